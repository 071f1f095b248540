//! Whoever watches the feed: it stands at a number and reads on at its own pace. Nobody waits for it, and it costs the same
//! however far behind it is.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::service::Error;
use crate::service::feed::{Cursor, Entry, Feed, News};
use crate::session::ended;
use crate::time::Timestamp;

/// What a watcher is told.
#[derive(Debug)]
pub enum Event {
    /// What is over. Without a cursor in the midst of a snapshot.
    Entries(Vec<Entry>, Option<Cursor>),
    /// What was told so far is everything, so many sessions.
    SnapshotEnd(usize, Cursor),
    /// Nothing new, and what was told is everything.
    Heartbeat(Timestamp, Cursor),
}

/// Reads the feed.
pub struct Watcher {
    feed: Arc<Feed>,
    news: watch::Receiver<News>,
    /// The number it stands at.
    at: u64,
    /// Where it was let in, until it has read so far.
    catching_up: Option<CatchingUp>,
    cursor: Cursor,
    began_at: Duration,
    told_at: Duration,
}

struct CatchingUp {
    to: u64,
    /// Up to when everything was known then.
    complete_to: Timestamp,
    /// What became known before this it has been told already; nothing: a snapshot.
    known_from: Option<Timestamp>,
    sessions: usize,
}

/// How often a watcher hears that there is nothing new.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The database has told everything so lately that there is truly nothing new.
pub(super) const ALIVE: Duration = Duration::from_secs(15);

/// How much later one replica may know than another what became visible too late for the overlap: everything is read again
/// once a minute, and reading takes its time.
const LATE: Duration = Duration::from_secs(120);

/// How long entries are gathered once there is one, so that a thousand are not a thousand messages to everybody.
const GATHER: Duration = Duration::from_millis(50);

/// The most entries of one event: about 60 KiB.
const BATCH: usize = 1000;

/// How long a watcher may leave lying what is there for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// After this it is sent away, to be asked again who it is and to find another replica.
const AGE: Duration = Duration::from_secs(30 * 60);

impl Feed {
    /// Begins to watch: everything that matters, or what came after a cursor. `longest_token` is the longest life an access
    /// token was ever granted.
    ///
    /// # Errors
    /// If the cursor is of another database, of the future, or so old that what came after it may be forgotten by now.
    pub fn watch(self: &Arc<Self>, cursor: Option<Cursor>, longest_token: Duration) -> Result<Watcher, Error> {
        let now = self.clock.now();
        let kept = now.before(longest_token + ended::MARGIN)..=now;
        if cursor.is_some_and(|cursor| cursor.epoch != self.epoch || !kept.contains(&cursor.complete_to)) {
            return Err(Error::CursorExpired);
        }
        let mut news = self.news.subscribe();
        news.borrow_and_update();
        let (to, complete_to) = {
            let known = self.known();
            (known.next(), known.complete_to)
        };
        let known_from = cursor.map(|cursor| cursor.complete_to.before(LATE));
        metrics::gauge!("symbolon_watchers").increment(1);
        Ok(Watcher {
            at: 0,
            catching_up: Some(CatchingUp { to, complete_to, known_from, sessions: 0 }),
            cursor: cursor.unwrap_or(Cursor { epoch: self.epoch, complete_to }),
            began_at: self.clock.uptime(),
            told_at: self.clock.uptime(),
            news,
            feed: Arc::clone(self),
        })
    }
}

impl Watcher {
    /// The next event; waits for it.
    ///
    /// # Errors
    /// If there will be none: the service stops, or the watcher is sent away.
    pub async fn next(&mut self) -> Result<Event, Error> {
        let left_lying = self.feed.clock.uptime().saturating_sub(self.told_at);
        if left_lying > PATIENCE && self.at < self.news.borrow().next {
            metrics::counter!("symbolon_watchers_too_slow_total").increment(1);
            return Err(Error::WatcherTooSlow);
        }
        // Not begun anew when it is woken for nothing: silence is bounded whatever happens.
        let mut silence = pin!(sleep(HEARTBEAT));
        loop {
            if self.news.borrow_and_update().closed {
                return Err(Error::ShuttingDown);
            }
            if let Some(event) = self.read() {
                self.told_at = self.feed.clock.uptime();
                return Ok(event);
            }
            if self.feed.clock.uptime().saturating_sub(self.began_at) > AGE {
                return Err(Error::ShuttingDown);
            }
            tokio::select! {
                // An error is the end of the feed itself, which says so before.
                _ = self.news.changed() => sleep(GATHER).await,
                () = &mut silence => {
                    if self.catching_up.is_none() && self.feed.heard_within(ALIVE) {
                        self.told_at = self.feed.clock.uptime();
                        return Ok(self.heartbeat());
                    }
                    silence.set(sleep(HEARTBEAT));
                }
            }
        }
    }

    /// What there is to tell now.
    fn read(&mut self) -> Option<Event> {
        if self.catching_up.is_some() {
            return self.catch_up();
        }
        let known = self.feed.known();
        let (entries, at) = known.read(self.at, known.next(), Timestamp::EPOCH, BATCH);
        self.at = at;
        self.cursor.complete_to = known.complete_at(at).unwrap_or(self.cursor.complete_to);
        (!entries.is_empty()).then_some(Event::Entries(entries, Some(self.cursor)))
    }

    /// What there was when it came, and that this was all.
    fn catch_up(&mut self) -> Option<Event> {
        let CatchingUp { to, complete_to, known_from, sessions } = self.catching_up.as_mut()?;
        let (mut entries, now) = (Vec::new(), self.feed.clock.now());
        while entries.is_empty() && self.at < *to {
            (entries, self.at) = self.feed.known().read(self.at, *to, known_from.unwrap_or(Timestamp::EPOCH), BATCH);
            // What matters no more is there until somebody tidies up.
            entries.retain(|entry| entry.forgotten_at() > now);
        }
        if !entries.is_empty() {
            *sessions += entries.iter().filter(|entry| matches!(entry, Entry::Session(_))).count();
            return Some(Event::Entries(entries, known_from.map(|_| self.cursor)));
        }
        if !self.feed.heard_within(ALIVE) {
            // That this is everything can only be said when the database has said so.
            return None;
        }
        self.cursor.complete_to = self.feed.known().complete_at(self.at).unwrap_or(*complete_to);
        let end = match known_from {
            None => Event::SnapshotEnd(*sessions, self.cursor),
            Some(_) => Event::Heartbeat(self.feed.clock.now(), self.cursor),
        };
        self.catching_up = None;
        Some(end)
    }

    fn heartbeat(&mut self) -> Event {
        self.cursor.complete_to = self.feed.known().complete_at(self.at).unwrap_or(self.cursor.complete_to);
        Event::Heartbeat(self.feed.clock.now(), self.cursor)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        metrics::gauge!("symbolon_watchers").decrement(1);
    }
}
