//! `EraseSubject`: what tells of a person leaves the database. Its sessions end first, so that nothing comes back, and are
//! known as ended for as long as their access tokens live; then nothing is left of them.

use crate::service::skew::APART;
use crate::service::{Caller, Error, Service};
use crate::session::{Revocation, RevokeReason};
use crate::store::Selection;
use crate::time::Timestamp;

/// So many sessions are erased at a time: far below what a statement may take.
const PORTION: u64 = 500;

/// What was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    pub sessions: u64,
    /// How many of them were live.
    pub ended: u64,
}

impl Service {
    /// Erases a subject's sessions that were issued before this call, ended ones too, of the clients the caller has a right to.
    /// An error may come half-way: the same call goes on from there.
    pub async fn erase_subject(&self, caller: &Caller, subject: &str, now: Timestamp) -> Result<Erased, Error> {
        self.skew.check()?;
        let clients = caller.clients();
        let selection = Selection { subject, clients: clients.as_deref(), client_id: None };
        let revocation = Revocation { at: now, reason: RevokeReason::Administrator, by: caller.name.clone() };
        // By a replica whose clock may be ahead of ours.
        let issued_until = now.after(APART);
        let ended = self.store.end_all(selection, None, issued_until, &revocation).await?;
        let live = u64::try_from(ended.len()).unwrap_or(u64::MAX);
        self.feed.ended(ended);
        let mut erased = Erased { sessions: 0, ended: live };
        let done = async {
            loop {
                let portion = self.store.erase(selection, issued_until, &revocation, PORTION).await?;
                erased.sessions += portion;
                if portion < PORTION {
                    return self.store.erase_requests(subject).await;
                }
            }
        };
        let done = done.await;
        // Whatever was done is told, also if it was not all.
        if erased.sessions + erased.ended > 0 {
            self.audit.erased(&caller.name, erased.sessions, erased.ended);
        }
        done?;
        Ok(erased)
    }
}
