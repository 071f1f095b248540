//! What was decided about a session beside issue and plain rotations: the memory behind `ExplainSession`.

use crate::session::Device;
use crate::time::Timestamp;

/// How many decisions a session keeps: enough to explain an end, too few for a row to grow with use.
pub const KEPT: usize = 16;

/// One decision about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub at: Timestamp,
    pub kind: DecisionKind,
    /// The caller whose call led to it.
    pub caller: String,
    /// The generation that was presented; 0 for none.
    pub presented: u32,
    /// The generation that was current then.
    pub current: u32,
    pub device: Device,
}

/// What can be decided about a session beside a plain rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    Issued,
    Recovered,
    ReuseDetected,
    RolledBack,
    Revoked,
    Updated,
}

/// `decisions` with `latest` behind, without the oldest if there are too many.
#[must_use]
pub fn remember(decisions: &[Decision], latest: Decision) -> Vec<Decision> {
    let dropped = (decisions.len() + 1).saturating_sub(KEPT);
    decisions[dropped..].iter().cloned().chain([latest]).collect()
}
