//! Hands out turns to make a call: in a closed loop at once, in an open one when it is due. In an open loop a turn keeps
//! the time it was due however late it is taken, so that what a slow server delays is counted as waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::consume_budget;

use crate::plan::Pace;
use crate::schedule::{Schedule, Window};

#[derive(Clone)]
pub(crate) enum Turns {
    Closed(Window),
    Open { schedule: Schedule, window: Window, due: Arc<Semaphore>, made: Arc<AtomicU64> },
}

impl Turns {
    /// From when the window's warm-up begins.
    pub(crate) fn start(pace: Pace, window: Window) -> Self {
        let Pace::Open { per_second, .. } = pace else { return Self::Closed(window) };
        let (schedule, due) = (Schedule::new(window.began, per_second), Arc::new(Semaphore::new(0)));
        let metronome = Arc::clone(&due);
        // The runtime's timers tick once a millisecond, which would be seen in what is measured.
        std::thread::spawn(move || beat(&schedule, &metronome, window.until));
        Self::Open { schedule, window, due, made: Arc::default() }
    }

    /// When the next call was due; `None` once it is over.
    pub(crate) async fn next(&self) -> Option<Instant> {
        match self {
            Self::Closed(window) => {
                // Work that never waits would leave others no turn.
                consume_budget().await;
                Some(Instant::now()).filter(|now| *now < window.until)
            }
            Self::Open { schedule, due, made, .. } => {
                due.acquire().await.ok()?.forget();
                Some(schedule.at(made.fetch_add(1, Ordering::Relaxed)))
            }
        }
    }

    /// How many calls were due and never made, once it is over; none are ever due in a closed loop.
    pub(crate) fn unsent(&self) -> Option<u64> {
        match self {
            Self::Closed(_) => None,
            Self::Open { schedule, window, made, .. } => Some(schedule.unsent(made.load(Ordering::Relaxed), window)),
        }
    }
}

/// Lets calls go when they are due.
fn beat(schedule: &Schedule, due: &Semaphore, until: Instant) {
    let mut released = 0;
    loop {
        let now = Instant::now();
        if now >= until {
            due.close();
            return;
        }
        let all = schedule.due(now);
        due.add_permits(usize::try_from(all - released).unwrap_or(Semaphore::MAX_PERMITS));
        released = all;
        std::thread::sleep(schedule.at(all).min(until).saturating_duration_since(now));
    }
}
