//! `RefreshTokens`: redeems a refresh token. The tag is checked before anything is asked of the database. A plain
//! refresh takes its turn in a batch; whatever a batch does not rotate goes the slow way: the row is read, the rule
//! decides, and a verdict that writes is a compare-and-swap. Whoever loses a race reads again and is told what the
//! winner made true.

use std::sync::Arc;
use std::time::Duration;

use crate::service::rotations::Outcome;
use crate::service::{Caller, Error, Granted, Service};
use crate::session::redeem::{Grant, Policy, Presented, Refusal, Rotation, Verdict, redeem};
use crate::session::{Decision, DecisionKind, Device, Revocation, RevokeReason, Session};
use crate::store;
use crate::time::Timestamp;
use crate::token::refresh::RefreshToken;

/// A refresh token to redeem; every field already checked for its form.
pub struct Refresh {
    pub refresh_token: String,
    /// Narrows this one access token; empty: the session's own.
    pub audience: Vec<String>,
    pub scope: Vec<String>,
    pub device: Device,
    pub rotation: Rotation,
}

impl Refresh {
    /// Whether it asks for nothing but its successor, so that its row of the rule is known before the session is.
    fn is_plain(&self) -> bool {
        self.audience.is_empty() && self.scope.is_empty() && self.rotation == Rotation::Always
    }
}

/// How often a lost race is run again. Each loss means that somebody else was served.
const ATTEMPTS: usize = 5;

impl Service {
    /// Redeems a refresh token.
    pub async fn refresh(&self, caller: &Arc<Caller>, refresh: &Refresh) -> Result<Granted, Error> {
        let token = self
            .refresh_tokens
            .read(&refresh.refresh_token)
            .inspect_err(|refused| self.audit.token_refused(*refused))?;
        // A rotation whose token cannot be signed, or at a wrong time, would only be in the way of a replica that can.
        self.can_serve()?;
        // A batch tells nobody what it would have refused, and counts nothing beforehand.
        let limited = self.limits.may_rotate(token.session_id).is_err();
        let mut in_doubt = None;
        if refresh.is_plain() && !caller.dry_run && !limited {
            match self.rotations.rotate(token, refresh.device.clone(), Arc::clone(caller)).await {
                Outcome::Rotated { session, at } => {
                    self.audit.rotated();
                    return self.grant(session, &[], &[], at, "rotated");
                }
                Outcome::Replayed { session, at } => {
                    self.audit.redeemed(&caller.name, &session, token.generation, &refresh.device, &Verdict::Replay);
                    return self.grant(session, &[], &[], at, Verdict::Replay.name());
                }
                Outcome::Undecided => {}
                Outcome::InDoubt(at) => in_doubt = Some(at),
            }
        }
        // In a box: it is large, and nearly no refresh needs its room.
        Box::pin(self.judge(caller, refresh, token, in_doubt)).await
    }

    /// The slow way. `in_doubt` is when this very token may have been rotated by a statement whose answer was lost.
    async fn judge(
        &self,
        caller: &Caller,
        refresh: &Refresh,
        token: RefreshToken,
        mut in_doubt: Option<Timestamp>,
    ) -> Result<Granted, Error> {
        let presented = Presented {
            generation: token.generation,
            audience: &refresh.audience,
            scope: &refresh.scope,
            rotation: refresh.rotation,
        };
        for _ in 0..ATTEMPTS {
            let session = self.store.session(token.session_id).await?;
            let now = self.now();
            let policy = self.policy(caller, session.as_ref(), in_doubt);
            let verdict = redeem(&presented, session.as_ref(), now, policy.as_ref());
            let Some(mut session) = session else { return Err(self.refusal(caller, None, verdict)) };
            if verdict.chain().is_some() {
                self.limits.may_rotate(session.id)?;
            }
            match self.write(caller, refresh, &presented, &session, &verdict, now).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(store::Error::InDoubt) => {
                    in_doubt = Some(now);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            self.audit.redeemed(&caller.name, &session, presented.generation, &refresh.device, &verdict);
            if !verdict.yields_tokens() {
                return Err(self.refusal(caller, Some(&session), verdict));
            }
            if let Some(chain) = verdict.chain() {
                self.limits.rotated(session.id);
                session.chain = chain;
                session.device = session.device.updated_by(&refresh.device);
            }
            return self.grant(session, &refresh.audience, &refresh.scope, now, verdict.name());
        }
        Err(Error::StoreUnavailable("the session changed at every attempt".into()))
    }

    /// The rule's numbers for the session's client, if the caller may refresh that client. What may be our own commit
    /// is a replay whatever the leeway.
    fn policy(&self, caller: &Caller, session: Option<&Session>, in_doubt: Option<Timestamp>) -> Option<Policy> {
        let session = session.filter(|session| self.may_touch(caller, "RefreshTokens", session))?;
        let policy = self.clients.load().get(&session.client_id)?.policy;
        let ours = in_doubt == Some(session.chain.rotated_at);
        Some(if ours { Policy { leeway: Duration::MAX, ..policy } } else { policy })
    }

    /// Writes what the verdict says. `false`: the session has moved on meanwhile and is to be judged again.
    async fn write(
        &self,
        caller: &Caller,
        refresh: &Refresh,
        presented: &Presented<'_>,
        session: &Session,
        verdict: &Verdict,
        now: Timestamp,
    ) -> Result<bool, store::Error> {
        let decision = |kind| Decision {
            at: now,
            kind,
            caller: caller.name.clone(),
            presented: presented.generation,
            current: session.chain.generation,
            device: refresh.device.clone(),
        };
        let advance = async |chain, kind: Option<_>| {
            let device = session.device.updated_by(&refresh.device);
            self.store.advance(session, chain, &device, kind.map(decision)).await
        };
        let condemn = async |reason, kind| {
            let revocation = Revocation { at: now, reason, by: caller.name.clone() };
            let ended = self.store.condemn(session, &revocation, decision(kind)).await?;
            if ended {
                self.has_ended(session, revocation);
            }
            Ok(ended)
        };
        match verdict {
            Verdict::Refuse(_) | Verdict::Current | Verdict::Replay | Verdict::Repeat | Verdict::Stale => Ok(true),
            Verdict::Rotate(chain) => advance(chain, None).await,
            Verdict::Recover(chain) => advance(chain, Some(DecisionKind::Recovered)).await,
            Verdict::Heal(chain) => advance(chain, Some(DecisionKind::RolledBack)).await,
            Verdict::Reuse => condemn(RevokeReason::ReuseDetected, DecisionKind::ReuseDetected).await,
            Verdict::RolledBack => condemn(RevokeReason::RolledBack, DecisionKind::RolledBack).await,
        }
    }

    /// What the caller is told when a verdict gives nothing.
    fn refusal(&self, caller: &Caller, session: Option<&Session>, verdict: Verdict) -> Error {
        let denied = |field| self.denied(caller, "RefreshTokens", field, session);
        match verdict {
            Verdict::Refuse(Refusal::NotFound | Refusal::Expired) => Error::SessionExpired,
            Verdict::Refuse(Refusal::Revoked) | Verdict::RolledBack => Error::SessionRevoked,
            Verdict::Refuse(Refusal::Client) => denied("client_id"),
            Verdict::Refuse(Refusal::Grant(Grant::Audience)) => denied("audience"),
            Verdict::Refuse(Refusal::Grant(Grant::Scope)) => denied("scope"),
            Verdict::Refuse(Refusal::Grant(Grant::Rotation)) => denied("rotation"),
            Verdict::Stale => Error::RefreshTokenStale,
            Verdict::Reuse => Error::RefreshTokenReused,
            Verdict::Current
            | Verdict::Rotate(_)
            | Verdict::Repeat
            | Verdict::Replay
            | Verdict::Recover(_)
            | Verdict::Heal(_) => Error::Internal("a verdict that yields tokens is no refusal".into()),
        }
    }
}
