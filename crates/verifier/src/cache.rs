//! An issuer's keys, kept in memory: fetched when they are old or a token names one that is not among them, and kept when
//! they cannot be fetched. It owns when to fetch; what is fetched, and how, is the caller's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// The least time between a fetch and one that an unknown key sets off, unless told otherwise: so often do forged key ids
/// become a fetch.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// The longest an answer is believed, whatever it says of itself.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long one fetch may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long a token with an unknown key waits for the fetch it set off: somebody waits for the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon it is tried again while there is nothing yet, doubling up to the cool-down; and the shortest an answer is
/// believed, whatever it says of itself.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// What was last fetched, and when to fetch again.
///
/// One task runs [`follow`](Self::follow) for as long as the cache is used; it alone fetches, so that however many ask there
/// is one fetch at a time and one a cool-down.
#[derive(Debug)]
pub struct Cache<S> {
    current: watch::Sender<Option<Arc<S>>>,
    phase: watch::Sender<Phase>,
    wanted: Notify,
    outdated: Notify,
    cool_down: Duration,
}

/// What the one task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fetching,
    /// It fetched just now, with success or without, and will not again for a while.
    Resting {
        fetched: bool,
    },
    /// It waits for a reason to fetch.
    Ready,
}

impl<S> Cache<S> {
    /// Empty, until [`follow`](Self::follow) has fetched something. Unknown keys set off a fetch once a `cool_down`.
    #[must_use]
    pub fn new(cool_down: Duration) -> Self {
        Self {
            current: watch::Sender::new(None),
            phase: watch::Sender::new(Phase::Fetching),
            wanted: Notify::new(),
            outdated: Notify::new(),
            cool_down,
        }
    }

    /// This set, for ever.
    #[must_use]
    pub fn holding(set: S) -> Self {
        let cache = Self::new(Duration::MAX);
        cache.current.send_replace(Some(Arc::new(set)));
        cache.phase.send_replace(Phase::Resting { fetched: true });
        cache
    }

    /// What is known; `None` before the first answer.
    #[must_use]
    pub fn current(&self) -> Option<Arc<S>> {
        self.current.borrow().clone()
    }

    /// Waits for the first answer.
    pub async fn first(&self) {
        // Cannot end without one: the sender is ours.
        let _ = self.current.subscribe().wait_for(Option::is_some).await;
    }

    /// What is known after another look, for a token whose key is unknown: what the last look found if that was just now,
    /// else what a new one finds, in at most a second. `None` if that look failed or takes longer, so that nobody can say
    /// whether there is such a key.
    pub async fn newer(&self) -> Option<Arc<S>> {
        let mut phase = self.phase.subscribe();
        // Whoever comes first begins the fetch; nobody behind wishes for another one after it.
        let is_first = self.phase.send_if_modified(|phase| {
            let is_ready = *phase == Phase::Ready;
            if is_ready {
                *phase = Phase::Fetching;
            }
            is_ready
        });
        if is_first {
            self.wanted.notify_one();
        }
        let look = async {
            let rested = phase.wait_for(|phase| matches!(phase, Phase::Resting { .. })).await;
            rested.is_ok_and(|phase| *phase == Phase::Resting { fetched: true })
        };
        if timeout(PATIENCE, look).await.unwrap_or(false) { self.current() } else { None }
    }

    /// What is known is known to be wrong: it is fetched anew at once, whatever the cool-down.
    pub fn outdate(&self) {
        self.outdated.notify_one();
    }

    /// Keeps it fresh, for ever. `fetch` answers a set and how long it may be kept, or `None` if there is none to be had:
    /// then what is known stays known, since whoever signed with those keys still signs, and it is tried again after the
    /// cool-down.
    pub async fn follow<F: Future<Output = Option<(S, Duration)>>>(&self, mut fetch: impl FnMut() -> F) {
        let mut next_wait = FIRST_WAIT;
        loop {
            self.phase.send_replace(Phase::Fetching);
            let answer = timeout(DEADLINE, fetch()).await.unwrap_or(None);
            let fetched = answer.is_some();
            let max_age = match answer {
                Some((set, max_age)) => {
                    self.current.send_replace(Some(Arc::new(set)));
                    max_age.clamp(FIRST_WAIT, LONGEST)
                }
                None => self.cool_down,
            };
            self.phase.send_replace(Phase::Resting { fetched });
            if self.current.borrow().is_none() {
                sleep(next_wait.min(self.cool_down)).await;
                next_wait = next_wait.saturating_mul(2);
                continue;
            }
            let rest = async {
                sleep(self.cool_down.min(max_age)).await;
                if let Some(left) = max_age.checked_sub(self.cool_down) {
                    self.phase.send_replace(Phase::Ready);
                    let _ = timeout(left, self.wanted.notified()).await;
                }
            };
            tokio::select! {
                () = rest => {}
                () = self.outdated.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
