//! The use cases: one file each, as the API names them. They load facts, let the pure rooms decide, and have the store
//! do it. They know nothing of gRPC or HTTP, and nothing of tables.

pub mod caller;
pub mod client;
pub mod erase;
pub mod error;
pub mod explain;
pub mod feed;
pub mod introspect;
pub mod issue;
pub mod keyring;
pub mod keys;
pub mod limits;
pub mod page;
pub mod refresh;
pub mod restore;
pub mod revoke;
pub mod rotations;
pub mod sessions;
pub mod skew;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
pub use caller::{Caller, Callers};
pub use client::{Client, Clients};
pub use error::Error;
pub use feed::Feed;
pub use keyring::Keyring;
pub use limits::Limits;
pub use restore::Restored;
pub use rotations::Rotations;
pub use skew::Skew;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::service::caller::Permission;
use crate::session::{Ended, Revocation, Session};
pub use crate::store::Store;
use crate::time::Timestamp;
use crate::token::access::{AccessToken, AccessTokens};
use crate::token::refresh::{RefreshToken, RefreshTokens};
use crate::verified::Verified;

/// Everything a use case needs.
pub struct Service {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub skew: Arc<Skew>,
    pub entropy: Arc<dyn Entropy>,
    /// Declared in a file, and anew whenever it changes: a call sees what holds when it asks.
    pub clients: Arc<ArcSwap<Clients>>,
    pub callers: Arc<ArcSwap<Callers>>,
    pub limits: Arc<Limits>,
    pub keyring: Keyring,
    pub feed: Arc<Feed>,
    pub access_tokens: AccessTokens,
    pub verified: Verified,
    pub refresh_tokens: RefreshTokens,
    pub rotations: Rotations,
    pub audit: Arc<Audit>,
}

/// What a caller is handed: the session's newest pair, and the session as stored.
pub struct Granted {
    pub access: AccessToken,
    pub refresh_token: String,
    pub session: Session,
    /// When this was decided.
    pub at: Timestamp,
    /// What was decided: `issued`, or the name of the rule's verdict.
    pub verdict: &'static str,
}

/// How often other replicas' changes are asked for. With what watchers wait and a statement takes, everybody knows of
/// the end of a session within half a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Every how many times everything is read again: once a minute.
const READ_AGAIN_EVERY: u64 = 240;

/// Counts the turns since everything was read.
#[derive(Default)]
struct Turns(u64);

impl Turns {
    /// Whether everything is to be read in this turn. What failed is owed: the next turn is asked for all of it, too.
    fn next_is_whole(&mut self) -> bool {
        self.0 += 1;
        self.0 >= READ_AGAIN_EVERY
    }

    /// Whether the clocks are to be compared in this turn: every ten seconds.
    fn compares_clocks(&self) -> bool {
        self.0.is_multiple_of(READ_AGAIN_EVERY / 6)
    }

    fn owe_whole(&mut self) {
        self.0 = self.0.max(READ_AGAIN_EVERY);
    }

    fn whole_is_done(&mut self) {
        self.0 = 0;
    }
}

/// Tells of trouble when it begins and when it is over, not four times a second.
#[derive(Default)]
struct Trouble(bool);

impl Trouble {
    fn tell(&mut self, error: Option<Error>) {
        match error {
            Some(error) if !self.0 => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "keys and revocations of other replicas are not followed");
                self.0 = true;
            }
            None if self.0 => {
                tracing::info!("keys and revocations of other replicas are followed again");
                self.0 = false;
            }
            Some(_) | None => {}
        }
    }
}

impl Service {
    /// The clock, read once a request.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Follows what other replicas have changed of keys and sessions, and rotates the signing keys, until the database is
    /// another one.
    pub async fn follow(&self) -> Restored {
        let (mut trouble, mut turns) = (Trouble::default(), Turns::default());
        loop {
            tokio::time::sleep(FOLLOW_EVERY).await;
            let all = turns.next_is_whole();
            if turns.compares_clocks()
                && let Err(error) = self.skew.compare(&self.store).await
            {
                tracing::debug!(%error, "the database's time is not known");
            }
            // What a wrong clock has read is worth nothing: once it is right, everything is read.
            if self.skew.check().is_err() {
                turns.owe_whole();
            }
            let (keys, feed, restored) =
                tokio::join!(self.tend_keys(), self.follow_feed(all), self.was_restored(turns.0));
            if let Some(restored) = restored {
                return restored;
            }
            if all && feed.is_ok() {
                turns.whole_is_done();
                self.feed.forget();
            }
            trouble.tell(keys.err().or(feed.err()));
        }
    }

    async fn follow_feed(&self, all: bool) -> Result<(), Error> {
        // A wrong clock would ask for what has not happened yet.
        self.skew.check()?;
        if all {
            let learned = self.keyring.learn_longest_token().await;
            self.feed.read_again(self.keyring.policy().longest_token).await?;
            learned?;
        } else {
            self.feed.follow().await?;
        }
        Ok(())
    }

    /// Sets the figures that nothing changes step by step.
    pub fn measure(&self) {
        self.store.measure();
        self.keyring.measure();
        self.feed.measure();
        self.skew.measure();
    }

    /// Finishes what is queued and closes the database.
    pub async fn close(self) {
        self.rotations.finish().await;
        self.store.close().await;
    }

    /// Whether a caller may call a method at all.
    ///
    /// # Errors
    /// If it may not.
    pub fn permit(&self, caller: &Caller, method: &'static str, permission: Permission) -> Result<(), Error> {
        if caller.permissions.contains(&permission)
            || (!permission.destroys() && self.lets_through(caller, method, permission.name(), None))
        {
            return Ok(());
        }
        self.audit.denied(&caller.name, method, permission.name(), None);
        Err(Error::CallerNotPermitted { caller: caller.name.clone(), permission })
    }

    /// Whether what a caller is refused is only told: in a dry run.
    fn lets_through(&self, caller: &Caller, method: &str, what: &'static str, session: Option<&Session>) -> bool {
        if caller.dry_run {
            self.audit.would_be_denied(&caller.name, method, what, session);
        }
        caller.dry_run
    }

    /// Whether a caller may touch this session, as it is or in a dry run.
    fn may_touch(&self, caller: &Caller, method: &str, session: &Session) -> bool {
        caller.may_use(&session.client_id) || self.lets_through(caller, method, "client_id", Some(session))
    }

    /// A refusal by policy. It is told to the audit here, so that each is told once.
    fn denied(&self, caller: &Caller, method: &str, field: &'static str, session: Option<&Session>) -> Error {
        self.audit.denied(&caller.name, method, field, session);
        Error::GrantNotPermitted { caller: caller.name.clone(), field }
    }

    /// The pair of the session's current generation: the same facts, the same bytes.
    fn grant(
        &self,
        session: Session,
        audience: &[String],
        scope: &[String],
        at: Timestamp,
        verdict: &'static str,
    ) -> Result<Granted, Error> {
        let access = self.mint(&session, audience, scope)?;
        let refresh_token =
            self.refresh_tokens.write(RefreshToken { session_id: session.id, generation: session.chain.generation });
        Ok(Granted { access, refresh_token, session, at, verdict })
    }

    /// The access token of the session's current generation, signed by whichever key signs now.
    fn mint(&self, session: &Session, audience: &[String], scope: &[String]) -> Result<AccessToken, Error> {
        let ring = self.keyring.ring();
        Ok(self.access_tokens.mint(ring.signer()?, session, audience, scope)?)
    }

    /// Whether a key that this replica can open signs.
    ///
    /// # Errors
    /// If none does.
    pub fn can_sign(&self) -> Result<(), Error> {
        Ok(self.keyring.ring().signer().map(drop)?)
    }

    /// Whether sessions can be served, as far as that does not depend on the database.
    ///
    /// # Errors
    /// If no key signs, or the clock is wrong.
    pub fn can_serve(&self) -> Result<(), Error> {
        self.can_sign()?;
        self.skew.check()
    }

    /// A session was ended: whoever judges its access tokens knows it at once.
    fn has_ended(&self, session: &Session, revocation: Revocation) {
        self.feed.ended([Ended::of(session, revocation)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-REV-02: a fail-over may have taken something back, or brought it late.
    #[test]
    fn everything_is_read_again_once_a_minute_and_until_that_succeeds() {
        let mut turns = Turns::default();
        let mut whole = |count: u32| (0..count).filter(|_| turns.next_is_whole()).count();
        let minute = u32::try_from(60_000 / FOLLOW_EVERY.as_millis()).unwrap();
        assert_eq!((whole(minute - 1), whole(5)), (0, 5));
        turns.whole_is_done();
        let mut whole = |count: u32| (0..count).filter(|_| turns.next_is_whole()).count();
        assert_eq!((whole(minute - 1), whole(1)), (0, 1));
    }
}
