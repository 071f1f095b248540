//! `RevokeSession` and `RevokeSubjectSessions`: end sessions before their time. Ending what is unknown or over already
//! is no fault (RFC 7009 section 2.2).

use crate::service::skew::APART;
use crate::service::{Caller, Error, Service};
use crate::session::{Revocation, RevokeReason, SessionId, State};
use crate::store::Selection;
use crate::time::Timestamp;
use crate::token::refresh::Refused;

/// Which session to end.
pub enum Target {
    /// Any refresh token of it, a spent one too.
    RefreshToken(String),
    SessionId(SessionId),
}

impl Service {
    /// Ends one session. Answers whether this call ended it. With `subject` only that subject's session.
    pub async fn revoke(
        &self,
        caller: &Caller,
        target: Target,
        subject: Option<&str>,
        reason: RevokeReason,
        now: Timestamp,
    ) -> Result<bool, Error> {
        // What is live could look expired, and a sign-out that ends nothing would be a lie.
        self.skew.check()?;
        let (id, by_token) = match target {
            Target::SessionId(id) => (id, false),
            Target::RefreshToken(text) => match self.refresh_tokens.read(&text) {
                Ok(token) => (token.session_id, true),
                Err(Refused::Invalid) => return Ok(false),
                // A sign-out that ends nothing would be a lie.
                Err(unknown @ Refused::MasterKeyUnknown(_)) => return Err(unknown.into()),
            },
        };
        let session = self.store.session(id).await?;
        let Some(session) = session.filter(|session| subject.is_none_or(|subject| session.subject == subject)) else {
            return Ok(false);
        };
        if !self.may_touch(caller, "RevokeSession", &session) {
            let denied = || self.denied(caller, "RevokeSession", "client_id", Some(&session));
            return if by_token { Err(denied()) } else { Ok(false) };
        }
        if session.state(now) != State::Active {
            return Ok(false);
        }
        let revocation = Revocation { at: now, reason, by: caller.name.clone() };
        let ended = self.store.end(id, &revocation).await?;
        if ended {
            self.has_ended(&session, revocation);
            self.audit.revoked(&caller.name, &session, reason.name());
        }
        Ok(ended)
    }

    /// Ends the live sessions of a subject that were issued before this call, `except` one. Answers how many.
    pub async fn revoke_subject(
        &self,
        caller: &Caller,
        subject: &str,
        client_id: Option<&str>,
        except: Option<SessionId>,
        reason: RevokeReason,
        now: Timestamp,
    ) -> Result<u64, Error> {
        self.skew.check()?;
        let clients = caller.clients();
        let selection = Selection { subject, clients: clients.as_deref(), client_id };
        let revocation = Revocation { at: now, reason, by: caller.name.clone() };
        // By a replica whose clock may be ahead of ours.
        let issued_until = now.after(APART);
        let mut ended = self.store.end_all(selection, except, issued_until, &revocation).await?;
        if caller.dry_run && clients.is_some() {
            // A sign-out that ended nothing would be a refusal.
            let more =
                self.store.end_all(Selection { clients: None, ..selection }, except, issued_until, &revocation).await?;
            if !more.is_empty() {
                self.lets_through(caller, "RevokeSubjectSessions", "client_id", None);
            }
            ended.extend(more);
        }
        let count = u64::try_from(ended.len()).unwrap_or(u64::MAX);
        self.feed.ended(ended);
        if count > 0 {
            self.audit.subject_revoked(&caller.name, subject, count, reason.name());
        }
        Ok(count)
    }
}
