//! `ListSessions`, `GetSession` and `UpdateSession`: looking at sessions, and changing what may be changed after
//! sign-in.

use crate::service::page::Query;
use crate::service::{Caller, Error, Service};
use crate::session::{Claims, Decision, DecisionKind, Device, Session, SessionId, State};
use crate::store::Selection;
use crate::time::Timestamp;

/// One page of a list, newest sign-in first.
pub struct Page {
    pub sessions: Vec<Session>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// What to change of a session; `None` leaves it as it is.
pub struct Update {
    pub claims: Option<Claims>,
    /// `Some(None)` removes the label.
    pub label: Option<Option<String>>,
}

/// How often a lost race is run again.
const ATTEMPTS: usize = 5;

impl Service {
    /// One page of a subject's sessions.
    pub async fn list(
        &self,
        caller: &Caller,
        query: &Query<'_>,
        page_size: u64,
        page_token: &str,
        now: Timestamp,
    ) -> Result<Page, Error> {
        let after = if page_token.is_empty() { None } else { Some(query.read(page_token)?) };
        let clients = caller.clients();
        let selection = Selection { subject: query.subject, clients: clients.as_deref(), client_id: query.client_id };
        self.skew.check()?;
        let live_at = (!query.include_ended).then_some(now);
        // One more than asked for tells whether there is a next page.
        let mut sessions = self.store.list(selection, live_at, after, page_size + 1).await?;
        let full = usize::try_from(page_size).unwrap_or(usize::MAX);
        let more = sessions.len() > full;
        sessions.truncate(full);
        let last = sessions.last().filter(|_| more);
        Ok(Page { next_page_token: last.map(|last| query.page_after(last.id)).unwrap_or_default(), sessions })
    }

    /// One session, ended ones too until they are swept.
    pub async fn get(&self, caller: &Caller, id: SessionId) -> Result<Session, Error> {
        self.session_for(caller, "GetSession", id).await
    }

    /// A session, if the caller of `method` has a right to it; one it has none to is not there.
    pub(super) async fn session_for(&self, caller: &Caller, method: &str, id: SessionId) -> Result<Session, Error> {
        // What is live could look expired.
        self.skew.check()?;
        let session = self.store.session(id).await?;
        session.filter(|session| self.may_touch(caller, method, session)).ok_or(Error::SessionNotFound)
    }

    /// Changes what may be changed of a live session: access tokens minted or replayed from now on show it.
    pub async fn update(
        &self,
        caller: &Caller,
        id: SessionId,
        update: &Update,
        now: Timestamp,
    ) -> Result<Session, Error> {
        if update.claims.as_ref().is_some_and(|claims| !caller.may_claim(claims))
            && !self.lets_through(caller, "UpdateSession", "claims", None)
        {
            return Err(self.denied(caller, "UpdateSession", "claims", None));
        }
        for _ in 0..ATTEMPTS {
            let seen = self.session_for(caller, "UpdateSession", id).await?;
            if seen.state(now) != State::Active {
                return Err(Error::SessionNotFound);
            }
            let decision = Decision {
                at: now,
                kind: DecisionKind::Updated,
                caller: caller.name.clone(),
                presented: 0,
                current: seen.chain.generation,
                device: Device::default(),
            };
            let mut changed = seen.clone();
            if let Some(claims) = &update.claims {
                changed.claims.clone_from(claims);
            }
            if let Some(label) = &update.label {
                changed.device.label.clone_from(label);
            }
            // A session whose next token could not be minted would be as good as ended.
            self.mint(&changed, &[], &[])?;
            if self.store.update(&seen, update.claims.as_ref(), update.label.as_ref(), decision).await? {
                self.audit.updated(&caller.name, &changed);
                return Ok(changed);
            }
        }
        Err(Error::StoreUnavailable("the session changed at every attempt".into()))
    }
}
