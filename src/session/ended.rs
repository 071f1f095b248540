//! A session that was ended before its time, as long as somebody may still hold an access token of it.

use std::time::Duration;

use crate::session::{Revocation, Session, SessionId};
use crate::time::Timestamp;

/// What whoever is shown an access token has to know of the end of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub id: SessionId,
    pub revocation: Revocation,
    pub access_token_ttl: Duration,
}

/// How much longer an end is remembered than the last token can live: clocks differ.
pub const MARGIN: Duration = Duration::from_secs(60);

impl Ended {
    /// The end of this session.
    #[must_use]
    pub fn of(session: &Session, revocation: Revocation) -> Self {
        Self { id: session.id, revocation, access_token_ttl: session.lifetimes.access_token_ttl }
    }

    /// When its last access token is dead, even one whose rotation a fail-over has lost since: the end can be forgotten.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.revocation.at.after(self.access_token_ttl + MARGIN)
    }
}
