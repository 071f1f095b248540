//! The verifier of a service: whom it trusts, and what it makes of a token. It owns the order of the questions: the token
//! itself first, then one look for an unknown key, and revocation last; where keys and revocations come from is the
//! business of others.

use crate::builder::{Builder, Tasks};
use crate::revocations::Revocations;
use crate::{
    Audience, Cache, Claims, Expected, Issuer, KeySet, KeySource, Refusal, Rejection, VerifyingKey, metrics, verify,
};
use std::cell::Cell;
use std::sync::Arc;

/// Verifies access tokens for one service. Cheap to clone; the clones are one verifier, and what it does in the background
/// ends with the last of them.
#[derive(Clone)]
pub struct Verifier(pub(crate) Arc<Inner>);

/// The seconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

pub(crate) struct Inner {
    pub(crate) trusted: Vec<Trusted>,
    pub(crate) audiences: Vec<String>,
    pub(crate) exp_leeway: i64,
    pub(crate) iat_leeway: i64,
    pub(crate) clock: Clock,
    #[expect(dead_code, reason = "dropped with the rest")]
    pub(crate) tasks: Tasks,
}

/// An issuer whose tokens are believed, with its own keys and its own revocations.
pub(crate) struct Trusted {
    pub(crate) issuer: String,
    pub(crate) keys: Arc<Cache<KeySet>>,
    pub(crate) revocations: Option<Arc<Revocations>>,
}

impl Verifier {
    /// Begins a verifier of `issuer`'s tokens for `audience`, which is this service as the issuer names it. There is none
    /// without both.
    #[expect(clippy::new_ret_no_self, reason = "there is nothing to verify with before it has started")]
    pub fn new(issuer: impl Into<Issuer>, audience: impl Into<String>) -> Builder {
        Builder::new(issuer.into(), audience.into())
    }

    pub(crate) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// What the token says, if it is to be believed now. `token` is what stands behind `Bearer `.
    ///
    /// Waits for others in two cases only: a token that is well-formed but whose key is unknown waits up to a second for
    /// the issuer's keys, once a cool-down; and one that holds is asked about where revocations are stale and the policy is
    /// to [`Ask`](crate::WhenStale::Ask).
    ///
    /// # Errors
    /// [`Refusal::Rejected`], [`Refusal::Revoked`] or [`Refusal::Undecided`].
    pub async fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        let judged = self.judge(token).await;
        let outcome = judged.as_ref().map_or_else(Refusal::label, |_| "valid");
        metrics::verified(outcome);
        judged
    }

    async fn judge(&self, token: &str) -> Result<Claims, Refusal> {
        let now = self.now();
        let mut furthest = Rejection::TooLarge;
        // By an issuer that may speak of its own keys only: another may sign with one of the same name.
        let mut revoked = false;
        for trusted in &self.0.trusted {
            let keys = trusted.keys.current();
            match trusted.look(&self.0, token, keys.as_deref(), now) {
                Ok(claims) => return trusted.unless_revoked(token, claims).await,
                Err(Refusal::Rejected(rejection)) => furthest = furthest.max(rejection),
                Err(_) => revoked = true,
            }
        }
        if revoked {
            return Err(Refusal::Revoked);
        }
        if furthest != Rejection::UnknownKey {
            return Err(furthest.into());
        }
        let mut undecided = false;
        for trusted in &self.0.trusted {
            let Some(keys) = trusted.keys.newer().await else {
                undecided = true;
                continue;
            };
            match trusted.look(&self.0, token, Some(&keys), now) {
                Ok(claims) => return trusted.unless_revoked(token, claims).await,
                Err(Refusal::Rejected(rejection)) => furthest = furthest.max(rejection),
                Err(refusal) => return Err(refusal),
            }
        }
        Err(if undecided && furthest == Rejection::UnknownKey { Refusal::Undecided } else { furthest.into() })
    }

    /// Whether it has the keys of every issuer, and of the feeds it follows an unbroken view. A service need not be unready
    /// when it is not: its verifier says what to do meanwhile.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.trusted.iter().all(Trusted::is_ready)
    }

    pub(crate) async fn ready(&self) {
        for trusted in &self.0.trusted {
            trusted.keys.first().await;
            if let Some(revocations) = &trusted.revocations {
                revocations.first().await;
            }
        }
    }

    pub(crate) fn now(&self) -> i64 {
        (self.0.clock)()
    }

    pub(crate) fn clock(&self) -> Clock {
        Arc::clone(&self.0.clock)
    }
}

impl Trusted {
    /// All that can be said from memory.
    fn look(&self, ours: &Inner, token: &str, keys: Option<&KeySet>, now: i64) -> Result<Claims, Refusal> {
        let expected = Expected {
            issuer: &self.issuer,
            audience: Audience::OneOf(&ours.audiences),
            now,
            exp_leeway: ours.exp_leeway,
            iat_leeway: ours.iat_leeway,
        };
        let source = Source { keys, trusted: self, refused: Cell::new(false) };
        verify(token, &source, &expected)
            .map_err(|rejection| if source.refused.get() { Refusal::Revoked } else { Refusal::Rejected(rejection) })
    }

    async fn unless_revoked(&self, token: &str, claims: Claims) -> Result<Claims, Refusal> {
        if let Some(revocations) = &self.revocations {
            revocations.judge(token, &claims.sid).await?;
        }
        Ok(claims)
    }

    fn is_ready(&self) -> bool {
        self.keys.current().is_some() && !self.revocations.as_ref().is_some_and(|revocations| revocations.is_stale())
    }
}

/// The keys of one issuer without those it took out of use, whatever it still publishes.
struct Source<'a> {
    keys: Option<&'a KeySet>,
    trusted: &'a Trusted,
    refused: Cell<bool>,
}

impl KeySource for Source<'_> {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        if self.trusted.revocations.as_ref().is_some_and(|revocations| revocations.names_key(kid)) {
            self.refused.set(true);
            return None;
        }
        self.keys?.verifying_key(kid)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let issuers: Vec<_> = self.0.trusted.iter().map(|trusted| &trusted.issuer).collect();
        f.debug_struct("Verifier")
            .field("issuers", &issuers)
            .field("audiences", &self.0.audiences)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
