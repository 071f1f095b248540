//! What a database that came back from a backup needs before it is served, and how a server notices that it happened under
//! it. A backup revives spent refresh tokens, and no rule can tell: so every session in it ends.

use thiserror::Error;
use uuid::Uuid;

use super::{Service, Store};
use crate::audit::Audit;
use crate::session::{Revocation, RevokeReason};
use crate::store;
use crate::time::Timestamp;

/// The database is not the one this server began with: what it remembers is of a time line that is gone.
#[derive(Debug, Error)]
#[error("the database was restored from a backup while this server ran, which remembers what is gone: start it again")]
pub struct Restored;

/// Who ended the sessions, as far as a session knows. No caller may have such a name.
const BY: &str = "symbolon restore";

/// So many sessions are looked at in a statement: far below what one may take, also where each lies on another page of a disk
/// that is slow.
const PORTION: u64 = 500;

/// Every how many looks at other replicas' changes the epoch is looked at: once a second.
const LOOK_EVERY: u64 = 4;

/// Ends every session of a database and gives it another epoch. Answers how many it ended. Ending early
/// it can be done again, and passes quickly over what was done; until it is done, no server starts there.
pub async fn restore(
    store: &Store,
    audit: &Audit,
    epoch: Uuid,
    now: Timestamp,
    keep_sessions: bool,
) -> Result<u64, store::Error> {
    store.begin_restore().await?;
    let revocation = Revocation { at: now, reason: RevokeReason::RolledBack, by: BY.to_owned() };
    let mut ended = 0;
    if !keep_sessions {
        let mut last = None;
        while let Some((count, behind)) = store.end_every(last, &revocation, PORTION).await? {
            (last, ended) = (Some(behind), ended + count);
        }
    }
    store.finish_restore(epoch).await?;
    audit.restored(ended, keep_sessions);
    Ok(ended)
}

impl Service {
    /// Whether the database has another epoch than it had when this server started. That it does not say is no answer.
    pub(super) async fn was_restored(&self, ticks: u64) -> Option<Restored> {
        if !ticks.is_multiple_of(LOOK_EVERY) {
            return None;
        }
        let identity = self.store.identity().await.ok()?;
        (identity.epoch != self.keyring.epoch()).then_some(Restored)
    }
}
