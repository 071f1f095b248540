//! `ExplainSession`: why a session is as it is, from what its row remembers. Pure but for reading the row.

use crate::service::{Caller, Error, Service};
use crate::session::{Decision, DecisionKind, Device, Revocation, RevokeReason, Session, SessionId, State};
use crate::time::Timestamp;

/// Why a session is as it is.
pub struct Explanation {
    pub session: Session,
    /// One sentence for a person.
    pub summary: String,
    /// Oldest first: the issue, what the row remembers, and the revocation.
    pub decisions: Vec<Decision>,
}

/// As many decisions as an answer shows.
const SHOWN: usize = 16;

impl Service {
    /// Explains one session, ended ones too until they are swept.
    pub async fn explain(&self, caller: &Caller, id: SessionId, now: Timestamp) -> Result<Explanation, Error> {
        let session = self.session_for(caller, "ExplainSession", id).await?;
        Ok(Explanation { summary: summary(&session, now), decisions: decisions(&session), session })
    }
}

fn decisions(session: &Session) -> Vec<Decision> {
    let issued = Decision {
        at: session.created_at,
        kind: DecisionKind::Issued,
        caller: session.caller.clone(),
        presented: 0,
        current: 1,
        device: Device::default(),
    };
    // The server's own revocations are remembered with the generations that led to them.
    let revoked = session.revocation.as_ref().filter(|revocation| own_decision(revocation.reason).is_none());
    let revoked = revoked.map(|Revocation { at, by, .. }| Decision {
        at: *at,
        kind: DecisionKind::Revoked,
        caller: by.clone(),
        presented: 0,
        current: session.chain.generation,
        device: Device::default(),
    });
    let all: Vec<_> = [issued].into_iter().chain(session.decisions.iter().cloned()).chain(revoked).collect();
    all[all.len().saturating_sub(SHOWN)..].to_vec()
}

fn own_decision(reason: RevokeReason) -> Option<DecisionKind> {
    match reason {
        RevokeReason::ReuseDetected => Some(DecisionKind::ReuseDetected),
        RevokeReason::RolledBack => Some(DecisionKind::RolledBack),
        RevokeReason::SignedOut
        | RevokeReason::SignedOutElsewhere
        | RevokeReason::CredentialsChanged
        | RevokeReason::AccountDisabled
        | RevokeReason::Administrator
        | RevokeReason::Superseded
        | RevokeReason::SessionLimit => None,
    }
}

fn summary(session: &Session, now: Timestamp) -> String {
    match (&session.revocation, session.state(now)) {
        (Some(revocation), _) => format!("ended at {}: {}", revocation.at, why(session, revocation)),
        (None, State::Expired) if session.ends_at() == session.expires_at => {
            format!("ended at {}: it reached its longest life", session.expires_at)
        }
        (None, State::Expired) => {
            format!("ended at {}: it was not refreshed in time", session.ends_at())
        }
        (None, State::Active | State::Revoked) => format!(
            "active: refresh token {} is current since {}; ends at {} unless it is refreshed before",
            session.chain.generation,
            session.chain.rotated_at,
            session.ends_at()
        ),
    }
}

fn why(session: &Session, revocation: &Revocation) -> String {
    let by = &revocation.by;
    let presented = own_decision(revocation.reason)
        .and_then(|kind| session.decisions.iter().rev().find(|decision| decision.kind == kind))
        .map(|decision| {
            format!("refresh token {} was presented when {} was current", decision.presented, decision.current)
        });
    match revocation.reason {
        RevokeReason::ReuseDetected | RevokeReason::RolledBack if presented.is_some() => {
            let presented = presented.unwrap_or_default();
            if revocation.reason == RevokeReason::RolledBack {
                format!("{presented}, so the database had gone back in time")
            } else {
                presented
            }
        }
        RevokeReason::ReuseDetected => "a spent refresh token was presented".to_owned(),
        RevokeReason::RolledBack => "the database was restored from a backup".to_owned(),
        RevokeReason::SignedOut => format!("the user signed out (told by {by})"),
        RevokeReason::SignedOutElsewhere => format!("the user ended it from another session (told by {by})"),
        RevokeReason::CredentialsChanged => format!("the user's credentials changed (told by {by})"),
        RevokeReason::AccountDisabled => format!("the account was disabled (told by {by})"),
        RevokeReason::Administrator => format!("an administrator or an automatic control ended it (told by {by})"),
        RevokeReason::Superseded => format!("the same browser signed in again (told by {by})"),
        RevokeReason::SessionLimit => {
            "the subject had too many sessions and this one was used least recently".to_owned()
        }
    }
}
