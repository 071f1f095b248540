//! Has workers make calls at the pace of the plan, and writes down what becomes of them. It owns the measured time: when it
//! begins and ends, and that CPU time is read at just these moments. What a call is, it does not know.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::Failure;
use crate::cpu::{Reading, Used};
use crate::doors::Refusal;
use crate::plan::{Plan, Processes};
use crate::progress::Running;
use crate::schedule::Window;
use crate::tally::{self, Tally};
use crate::turns::Turns;

/// The longest a call may take.
const DEADLINE: Duration = Duration::from_secs(30);

/// How many tallies there are, so that those who write them down rarely meet.
const TALLIES: usize = 16;

/// Makes one call at a time.
pub(crate) trait Work: Send + 'static {
    /// One operation; `notes` is for what the workload counts beside time and errors.
    fn once(&mut self, notes: &Notes) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// A tally that several write to.
pub(crate) struct Notes {
    window: Window,
    tally: Mutex<Tally>,
}

impl Notes {
    pub(crate) fn new(window: Window) -> Self {
        Self { window, tally: Mutex::new(Tally::new(window)) }
    }

    pub(crate) fn write(&self, what: impl FnOnce(&mut Tally)) {
        what(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether what happens now counts.
    pub(crate) fn count(&self) -> bool {
        self.window.counts(Instant::now())
    }

    /// Everything that was written so far, in any of them.
    pub(crate) fn sum(window: Window, all: &[Arc<Self>]) -> Tally {
        let mut sum = Tally::new(window);
        for some in all {
            some.write(|tally| sum.add(tally));
        }
        sum
    }
}

/// What came of it.
pub(crate) struct Driven {
    pub(crate) tally: Tally,
    pub(crate) unsent: Option<u64>,
    pub(crate) used: Vec<(&'static str, Used)>,
}

/// Runs it from now on, and returns when the last call was answered.
pub(crate) async fn drive<W: Work>(plan: &Plan, window: Window, workers: Vec<W>) -> Result<Driven, Failure> {
    let running = Running::start(plan.workload.name(), window);
    let turns = Turns::start(plan.pace, window);
    let notes: Vec<_> = (0..TALLIES).map(|_| Arc::new(Notes::new(window))).collect();
    let mut tasks = JoinSet::new();
    for (at, mut worker) in workers.into_iter().enumerate() {
        let (turns, notes, done) = (turns.clone(), Arc::clone(&notes[at % TALLIES]), Arc::clone(&running.done));
        tasks.spawn(async move {
            while let Some(due) = turns.next().await {
                let late = Err(Refusal::Failed(Cow::Borrowed("no answer within 30 s")));
                let answer = timeout(DEADLINE, worker.once(&notes)).await.unwrap_or(late);
                let now = Instant::now();
                done.fetch_add(1, Ordering::Relaxed);
                notes.write(|tally| match answer {
                    Ok(()) => tally.took(due, now),
                    Err(refusal) => tally.failed(due, now, refusal.code()),
                });
            }
        });
    }
    sleep_until(window.from.into()).await;
    let before = read(&plan.processes)?;
    sleep_until(window.until.into()).await;
    let after = read(&plan.processes)?;
    let used = after.iter().zip(&before).map(|((part, after), (_, before))| (*part, after.since(before))).collect();
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(Driven { tally: Notes::sum(window, &notes), unsent: turns.unsent(), used })
}

/// The window of a plan that begins now.
pub(crate) fn from_now(plan: &Plan) -> Window {
    tally::window(Instant::now(), plan)
}

/// The CPU time of every part, at one moment.
fn read(processes: &Processes) -> Result<Vec<(&'static str, Reading)>, Failure> {
    let mut parts = vec![("generator", Reading::own())];
    for (part, roots) in [("server", &processes.server), ("database", &processes.database)] {
        if !roots.is_empty() {
            parts.push((part, Reading::trees(roots)?));
        }
    }
    Ok(parts)
}
