//! What an issuer has revoked, as far as is known here: the sessions and keys no longer to be trusted, how fresh that
//! knowledge is, and what to do when it is not. It owns the answer to "revoked?"; the feed fills it.

use crate::grpc::{Channel, Endpoint, Endpoints, pb};
use crate::{Refusal, feed};
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::metadata::AsciiMetadataValue;

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

/// What an issuer has revoked. [`Verifier`](crate::Verifier) has its own; this is for whoever judges tokens in another way,
/// as an edge does that knows its issuer's name only once it has answered.
pub struct Revocations {
    held: RwLock<Held>,
    /// How many keys were named.
    keys: watch::Sender<usize>,
    /// When we last knew everything.
    heard: watch::Sender<Option<Instant>>,
    stale_after: Duration,
    when_stale: WhenStale,
    endpoints: Arc<Endpoints>,
}

/// By name, until when it matters, in seconds since 1970. Nothing is dropped before that, whatever becomes of the feed.
#[derive(Default)]
struct Held {
    sessions: HashMap<Box<str>, i64>,
    keys: HashMap<Box<str>, i64>,
    swept: i64,
}

impl Revocations {
    pub(crate) fn new(stale_after: Duration, when_stale: WhenStale, endpoints: Arc<Endpoints>) -> Self {
        let (keys, heard) = (watch::Sender::new(0), watch::Sender::new(None));
        Self { held: RwLock::default(), keys, heard, stale_after, when_stale, endpoints }
    }

    /// Of the issuer at these addresses, to be called with this `authorization`; stale when none was heard of for a minute.
    /// Nothing is known before [`follow`](Self::follow) has run for a moment.
    #[must_use]
    pub fn at(channels: Vec<Channel>, credential: Option<&AsciiMetadataValue>, when_stale: WhenStale) -> Self {
        let endpoints = channels.into_iter().map(|channel| Endpoint::new(channel, credential.cloned())).collect();
        Self::new(STALE_AFTER, when_stale, Arc::new(Endpoints::new(endpoints)))
    }

    /// Follows the feed at every address, for ever. `issuer` names it in logs and metrics; `clock` tells the seconds since
    /// 1970, and `exp_leeway` for how many of them after its `exp` a token still passes.
    pub async fn follow(&self, issuer: &str, clock: impl Fn() -> i64 + Send + Sync, exp_leeway: i64) {
        let sweep = feed::Sweep { clock: &clock, exp_leeway };
        join_all(self.endpoints.all.iter().map(|endpoint| feed::follow(issuer, endpoint, self, &sweep))).await;
    }

    /// Whether a token that holds may pass. Asks only where the policy is to [`Ask`](WhenStale::Ask).
    ///
    /// # Errors
    /// [`Refusal::Revoked`] or [`Refusal::Undecided`].
    pub async fn judge(&self, token: &str, sid: &str) -> Result<(), Refusal> {
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

    /// Whether the tokens of this key are refused, whatever the issuer publishes.
    #[must_use]
    pub fn names_key(&self, kid: &str) -> bool {
        self.read().keys.contains_key(kid)
    }

    /// Changes whenever another key is taken out of use: a published set that is kept is wrong then.
    #[must_use]
    pub fn keys_named(&self) -> watch::Receiver<usize> {
        self.keys.subscribe()
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
        let before = held.keys.len();
        for key in revoked.keys {
            let until = until(key.expire_time);
            held.keys.entry(key.key_id.into()).and_modify(|held| *held = until.max(*held)).or_insert(until);
        }
        if held.keys.len() > before {
            self.keys.send_modify(|named| *named += held.keys.len() - before);
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
