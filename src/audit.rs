//! What is told of decisions: one audit event (JSON on the log, target `symbolon::audit`) and one count each. It is told
//! after the decision was stored, and knows nothing secret.

use std::collections::HashSet;
use std::sync::Mutex;

use metrics::counter;

use crate::session::redeem::Verdict;
use crate::session::{Device, Session, SessionId};
use crate::token::refresh::Refused;

/// The target of audit events, for whoever filters or ships them.
pub const TARGET: &str = "symbolon::audit";

/// Tells of decisions; callers are named as in the configuration. Remembers which replays it has told of, so that a parallel burst is one event, and one more if
/// another device joins in.
#[derive(Default)]
pub struct Audit {
    replays: Mutex<HashSet<(SessionId, u32, bool)>>,
}

/// How many replays are remembered before the memory starts over: a bound on memory, not a promise.
const REPLAYS_REMEMBERED: usize = 10_000;

impl Audit {
    /// A session was issued.
    pub fn issued(&self, caller: &str, session: &Session) {
        counter!("symbolon_sessions_issued_total").increment(1);
        tracing::info!(target: TARGET, event = "issued", caller, session_id = %session.id,
            subject = session.subject, client_id = session.client_id);
    }

    /// A session was rotated: counted and not told, since an event for each would drown the others.
    pub fn rotated(&self) {
        counter!("symbolon_refreshes_total", "outcome" => "rotated").increment(1);
    }

    /// A refresh token with a right tag was judged. `current` is what the session had before.
    pub fn redeemed(&self, caller: &str, before: &Session, presented: u32, device: &Device, verdict: &Verdict) {
        counter!("symbolon_refreshes_total", "outcome" => verdict.name()).increment(1);
        let current = before.chain.generation;
        let other_device = differs(&before.device, device);
        let event = match verdict {
            // Counted; an event for each would drown the others. A dead token can be presented without end.
            // What policy refuses is told by [`Self::denied`], as of every other method.
            Verdict::Rotate(_) | Verdict::Current | Verdict::Refuse(_) => return,
            Verdict::Replay | Verdict::Repeat if !self.first_replay(before.id, current, other_device) => return,
            Verdict::Replay => "replayed",
            Verdict::Repeat => "repeated",
            Verdict::Recover(_) => "recovered",
            Verdict::Stale => "stale",
            Verdict::Reuse => "reuse",
            Verdict::Heal(_) | Verdict::RolledBack => "rolled_back",
        };
        if other_device && event == "replayed" {
            counter!("symbolon_replays_other_device_total").increment(1);
        }
        tracing::info!(target: TARGET, event, caller, session_id = %before.id, subject = before.subject,
            client_id = before.client_id, presented, current, other_device);
    }

    /// What was presented is no refresh token of ours, or of a master key we have not got: a count, never an event a
    /// request, since anybody can send garbage.
    pub fn token_refused(&self, refused: Refused) {
        let outcome = match refused {
            Refused::Invalid => "invalid",
            Refused::MasterKeyUnknown(_) => "master_key_unknown",
        };
        counter!("symbolon_refreshes_total", "outcome" => outcome).increment(1);
    }

    /// A call ended sessions.
    pub fn revoked(&self, caller: &str, session: &Session, reason: &str) {
        counter!("symbolon_sessions_revoked_total").increment(1);
        tracing::info!(target: TARGET, event = "revoked", caller, session_id = %session.id,
            subject = session.subject, client_id = session.client_id, reason);
    }

    /// A call ended sessions of a subject.
    pub fn subject_revoked(&self, caller: &str, subject: &str, count: u64, reason: &str) {
        counter!("symbolon_sessions_revoked_total").increment(count);
        tracing::info!(target: TARGET, event = "subject_revoked", caller, subject, count, reason);
    }

    /// What tells of a person was erased. Who that was is not told: it would stay here.
    pub fn erased(&self, caller: &str, count: u64, ended: u64) {
        counter!("symbolon_sessions_revoked_total").increment(ended);
        tracing::info!(target: TARGET, event = "erased", caller, count, ended);
    }

    /// A database came back from a backup: every session was ended, or kept at the risk of whoever asked for that.
    pub fn restored(&self, ended: u64, kept: bool) {
        tracing::info!(target: TARGET, event = "restored", count = ended, kept);
    }

    /// A signing key changed: `published`, `asked_for`, `activated`, `retired`, `gone` or `revoked`; because of its schedule,
    /// because a caller asked for it, or because one was compromised.
    pub fn signing_key(&self, change: &'static str, key_id: &str, reason: &'static str, caller: Option<&str>) {
        counter!("symbolon_signing_key_changes_total", "change" => change).increment(1);
        tracing::info!(target: TARGET, event = "signing_key", change, key_id, reason, caller);
    }

    /// A call changed what it may change of a session.
    pub fn updated(&self, caller: &str, session: &Session) {
        tracing::info!(target: TARGET, event = "updated", caller, session_id = %session.id,
            subject = session.subject, client_id = session.client_id);
    }

    /// A caller was refused what it asked for, of this session if there was one. `field` is the field of the request
    /// that asks for too much, or the permission that is missing.
    pub fn denied(&self, caller: &str, method: &str, field: &str, session: Option<&Session>) {
        counter!("symbolon_denied_total", "dry_run" => "false").increment(1);
        self.told_of_refusal("denied", caller, method, field, session);
    }

    /// The same of a caller in a dry run, who was not refused.
    pub fn would_be_denied(&self, caller: &str, method: &str, field: &str, session: Option<&Session>) {
        counter!("symbolon_denied_total", "dry_run" => "true").increment(1);
        self.told_of_refusal("would_be_denied", caller, method, field, session);
    }

    #[expect(clippy::unused_self, reason = "every event is told by the one who tells events")]
    fn told_of_refusal(&self, event: &str, caller: &str, method: &str, field: &str, session: Option<&Session>) {
        tracing::info!(target: TARGET, event, caller, method, field,
            session_id = session.map(|session| display(session.id)),
            subject = session.map(|session| session.subject.as_str()),
            client_id = session.map(|session| session.client_id.as_str()));
    }

    fn first_replay(&self, session: SessionId, generation: u32, other_device: bool) -> bool {
        let mut told = self.replays.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.len() >= REPLAYS_REMEMBERED {
            told.clear();
        }
        told.insert((session, generation, other_device))
    }
}

/// So many events were not written, for their target was full, slow or gone: what follows has a gap before it.
pub fn lost(count: u64) {
    tracing::info!(target: TARGET, event = "lost", count);
}

/// Whether the call came from somewhere else than the session was last used from, as far as both are known.
fn differs(before: &Device, now: &Device) -> bool {
    let other = |before: &Option<String>, now: &Option<String>| now.is_some() && before.is_some() && before != now;
    other(&before.user_agent, &now.user_agent) || other(&before.ip_address, &now.ip_address)
}
