//! The revocation feed: what is over, in memory, for whoever judges access tokens. It is filled from the database, by
//! asking again and again, so that what another replica ended is known here within a second; what this replica ends it
//! knows at once.

pub mod cursor;
mod known;
pub mod watcher;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

pub use cursor::Cursor;
pub use known::{Entry, RevokedKey};
use tokio::sync::watch;
use uuid::Uuid;
pub use watcher::Watcher;

use self::known::Known;
use crate::clock::Clock;
use crate::keys::ring::{KeyState, Member};
use crate::service::skew::APART;
use crate::session::{Ended, SessionId, ended};
use crate::store::{self, Position, Store};
use crate::time::Timestamp;

/// How long ago something that appears in the database now may say it happened: a call takes at most five seconds, and
/// clocks differ by ten at most. What is younger is asked for again and again, so that a commit out of order hides nothing.
const OVERLAP: Duration = Duration::from_secs(APART.as_secs() + 10);

/// How long what was read last is good for a verdict: as long as a database takes to fail over. While nobody reaches the
/// database nobody ends a session either; the bound is for a replica that alone is cut off.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// How long a compromised key is told of: longer than any cache keeps a JWKS, since what a thief signs with it may live
/// for ever.
const COMPROMISED: Duration = Duration::from_secs(30 * 86_400);

/// How many rows are read at once.
const PAGE: u64 = 5000;

/// Everything that is over and matters yet.
pub struct Feed {
    store: Store,
    clock: Arc<dyn Clock>,
    epoch: Uuid,
    known: RwLock<Known>,
    news: watch::Sender<News>,
}

/// What watchers are woken by.
#[derive(Clone, Copy, Debug, Default)]
struct News {
    /// The number of the next entry.
    next: u64,
    /// When the database was last asked, and told everything: by the clock nobody sets.
    heard_at: Option<Duration>,
    /// Nobody is served any more.
    closed: bool,
}

impl Feed {
    /// A feed that knows nothing yet.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>, epoch: Uuid) -> Self {
        Self { store, clock, epoch, known: RwLock::default(), news: watch::Sender::default() }
    }

    /// Sessions are over. Known here when this returns.
    pub fn ended(&self, ended: impl IntoIterator<Item = Ended>) {
        self.learn(ended.into_iter().map(Entry::Session));
    }

    /// The compromised ones among the keys of the ring.
    pub fn compromised<'a>(&self, members: impl IntoIterator<Item = &'a Member>) {
        let compromised = members.into_iter().filter(|member| member.state == KeyState::Compromised);
        let now = self.clock.now();
        let keys = compromised.filter_map(|member| {
            let forgotten_at = member.ended_at?.after(COMPROMISED);
            let key = RevokedKey { key_id: member.public.key_id().to_owned(), forgotten_at };
            (forgotten_at > now).then_some(Entry::Key(key))
        });
        self.learn(keys);
    }

    /// Whether this session was ended; `None` if that cannot be said from memory.
    #[must_use]
    pub fn has_ended(&self, id: SessionId) -> Option<bool> {
        let ended = self.known().has_ended(id);
        (ended || self.heard_within(GOOD_FOR)).then_some(ended)
    }

    /// Whether the database has told everything within this time.
    #[must_use]
    pub fn heard_within(&self, time: Duration) -> bool {
        let heard_at = self.news.borrow().heard_at;
        heard_at.is_some_and(|at| self.clock.uptime().saturating_sub(at) <= time)
    }

    /// Asks the database for what is new.
    pub async fn follow(&self) -> Result<(), store::Error> {
        let asked = (self.clock.now(), self.clock.uptime());
        let complete_to = self.known().complete_to;
        self.read(complete_to, asked.0, |_| ()).await?;
        self.heard(asked);
        Ok(())
    }

    /// Reads everything that matters: a fail-over may have brought or lost some. What only this replica knows is ended
    /// again. `longest_token` is the longest life an access token was ever granted.
    pub async fn read_again(&self, longest_token: Duration) -> Result<(), store::Error> {
        let asked = (self.clock.now(), self.clock.uptime());
        let oldest = asked.0.before(longest_token + ended::MARGIN);
        let mut told = HashSet::new();
        self.read(oldest, asked.0, |ended| {
            told.insert(ended.id);
        })
        .await?;
        self.heard(asked);
        let lost = self.known().untold(&told, oldest, asked.0.before(OVERLAP));
        for mut lost in lost {
            // Not at the time it ended at first: what was granted meanwhile has to be refused as long as it lives.
            lost.revocation.at = self.clock.now();
            if self.store.end(lost.id, &lost.revocation).await? {
                tracing::warn!(session_id = %lost.id, "the database had lost the end of a session: it is ended again");
                metrics::counter!("symbolon_revocations_reasserted_total").increment(1);
                self.ended([lost]);
            }
        }
        Ok(())
    }

    async fn read(&self, from: Timestamp, now: Timestamp, mut each: impl FnMut(&Ended)) -> Result<(), store::Error> {
        let mut position = Position::at(from);
        loop {
            let page = self.store.ended(position, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            position = Position::behind(last);
            page.iter().for_each(&mut each);
            let is_last = u64::try_from(page.len()).is_ok_and(|read| read < PAGE);
            self.learn_from_others(page.into_iter().filter(|ended| ended.forgotten_at() > now).collect());
            if is_last {
                return Ok(());
            }
        }
    }

    /// What the database tells. How long it took to be told is counted once the past is known.
    fn learn_from_others(&self, ended: Vec<Ended>) {
        let knows_the_past = self.news.borrow().heard_at.is_some();
        if knows_the_past {
            let (known, now) = (self.known(), self.clock.now());
            for new in ended.iter().filter(|ended| !known.has_ended(ended.id)) {
                metrics::histogram!("symbolon_revocation_lag_seconds").record(now.since(new.revocation.at));
            }
        }
        self.learn(ended.into_iter().map(Entry::Session));
    }

    fn learn(&self, entries: impl IntoIterator<Item = Entry>) {
        let mut entries = entries.into_iter().peekable();
        if entries.peek().is_none() {
            return;
        }
        let next = {
            let (mut known, now) = (self.known_mut(), self.clock.now());
            entries.for_each(|entry| known.learn(entry, now));
            known.next()
        };
        self.news.send_if_modified(|news| std::mem::replace(&mut news.next, next) < next);
    }

    fn heard(&self, (at, uptime): (Timestamp, Duration)) {
        metrics::gauge!("symbolon_feed_heard_timestamp_seconds").set(u32::try_from(at.seconds()).unwrap_or(u32::MAX));
        self.known_mut().complete_to = at.before(OVERLAP);
        // Nobody has to wake up for it, but those who wait to be told that they know everything.
        self.news.send_if_modified(|news| {
            let before = news.heard_at.replace(uptime);
            before.is_none_or(|before| uptime.saturating_sub(before) > watcher::ALIVE)
        });
    }

    /// Forgets what matters to nobody any more.
    pub fn forget(&self) {
        self.known_mut().forget(self.clock.now());
    }

    /// Sets the figure of what is remembered.
    pub fn measure(&self) {
        metrics::gauge!("symbolon_feed_entries").set(u32::try_from(self.known().count()).unwrap_or(u32::MAX));
    }

    /// Ends every watch, and lets none begin.
    pub fn close(&self) {
        self.news.send_modify(|news| news.closed = true);
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
