//! What an issuer has revoked, as far as is known here: the sessions and keys no longer to be trusted, how fresh that
//! knowledge is, and what to do when it is not. It owns the answer to "revoked?"; the feed fills it.

use crate::Refusal;
use crate::grpc::{Endpoints, pb};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What becomes of a token that holds while nobody has been heard of for so long that its session may have been revoked
/// without us knowing. What is known to be revoked is refused under every policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenStale {
    /// It passes: at worst it lives until its own `exp`, as it would without a feed.
    Open,
    /// It is [undecided](Refusal::Undecided): 503, since nobody says that it is bad.
    Closed,
    /// Symbolon is asked, token by token (`IntrospectToken`: the caller needs the permission `introspect` for the token's
    /// audience); if that fails too, undecided.
    Ask,
}

/// How long without a word until what is known is stale: four heartbeats.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(60);

/// How often what has run out is dropped, in seconds.
const SWEEP: i64 = 60;

pub(crate) struct Revocations {
    held: RwLock<Held>,
    /// When we last knew everything.
    heard: watch::Sender<Option<Instant>>,
    stale_after: Duration,
    when_stale: WhenStale,
    endpoints: std::sync::Arc<Endpoints>,
}

/// By name, until when it matters, in seconds since 1970. Nothing is dropped before that, whatever becomes of the feed.
#[derive(Default)]
struct Held {
    sessions: HashMap<Box<str>, i64>,
    keys: HashMap<Box<str>, i64>,
    swept: i64,
}

impl Revocations {
    pub(crate) fn new(stale_after: Duration, when_stale: WhenStale, endpoints: std::sync::Arc<Endpoints>) -> Self {
        Self { held: RwLock::default(), heard: watch::Sender::new(None), stale_after, when_stale, endpoints }
    }

    /// Whether a token that holds may pass.
    pub(crate) async fn judge(&self, token: &str, sid: &str) -> Result<(), Refusal> {
        if self.read().sessions.contains_key(sid) {
            return Err(Refusal::Revoked);
        }
        if !self.is_stale() {
            return Ok(());
        }
        match self.when_stale {
            WhenStale::Open => Ok(()),
            WhenStale::Closed => Err(Refusal::Undecided),
            WhenStale::Ask => match self.endpoints.is_active(token).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Refusal::Revoked),
                Err(status) => {
                    tracing::warn!(code = ?status.code(), cause = status.message(), "Symbolon could not be asked about a token");
                    Err(Refusal::Undecided)
                }
            },
        }
    }

    pub(crate) fn names_key(&self, kid: &str) -> bool {
        self.read().keys.contains_key(kid)
    }

    /// Takes over what one endpoint says.
    pub(crate) fn hold(&self, revoked: pb::Revocations) {
        // What says no end is held for ever: it cannot be known when to forget it.
        let until = |time: Option<prost_types::Timestamp>| time.map_or(i64::MAX, |time| time.seconds);
        let mut held = self.write();
        for session in revoked.sessions {
            let until = until(session.expire_time);
            held.sessions.entry(session.session_id.into()).and_modify(|held| *held = until.max(*held)).or_insert(until);
        }
        for key in revoked.keys {
            let until = until(key.expire_time);
            held.keys.entry(key.key_id.into()).and_modify(|held| *held = until.max(*held)).or_insert(until);
        }
    }

    /// An endpoint that has told us everything was heard of.
    pub(crate) fn heard(&self) {
        self.heard.send_replace(Some(Instant::now()));
    }

    /// Whether too long ago, or never.
    pub(crate) fn is_stale(&self) -> bool {
        self.heard.borrow().is_none_or(|heard| heard.elapsed() > self.stale_after)
    }

    /// Waits until everything is known for the first time.
    pub(crate) async fn first(&self) {
        // Cannot end without it: the sender is ours.
        let _ = self.heard.subscribe().wait_for(Option::is_some).await;
    }

    /// Drops what mattered until before `earliest`, once in a while. Answers how many sessions are held.
    pub(crate) fn sweep(&self, earliest: i64) -> usize {
        if earliest < self.read().swept.saturating_add(SWEEP) {
            return self.read().sessions.len();
        }
        let mut held = self.write();
        held.swept = earliest;
        held.sessions.retain(|_, until| *until >= earliest);
        held.keys.retain(|_, until| *until >= earliest);
        held.sessions.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}
