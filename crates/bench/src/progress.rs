//! How far it is, on stderr and only on a terminal. It shows and counts, and decides nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::schedule::Window;

/// A bar that counts something of which the end is known.
pub(crate) fn counted(what: &'static str, length: usize) -> ProgressBar {
    let bar = ProgressBar::new(length as u64).with_message(what);
    bar.with_style(style("{msg:<10} {wide_bar} {human_pos} of {human_len}, {eta} left"))
}

/// A bar for the run itself, until it is dropped.
pub(crate) struct Running {
    /// How many operations there were.
    pub(crate) done: Arc<AtomicU64>,
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(what: &'static str, window: Window) -> Self {
        let Window { began, until, .. } = window;
        let done = Arc::<AtomicU64>::default();
        let length = u64::try_from((until - began).as_millis()).unwrap_or(u64::MAX);
        let bar = ProgressBar::new(length).with_style(style("{prefix:<10} {wide_bar} {msg}, {eta} left"));
        let bar = bar.with_prefix(what);
        let task = tokio::spawn(follow(bar.clone(), Arc::clone(&done), began));
        Self { done, bar, task }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a person to look at")]
async fn follow(bar: ProgressBar, done: Arc<AtomicU64>, began: Instant) {
    let (mut earlier, mut then) = (0, began);
    while !bar.is_hidden() {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let (count, now) = (done.load(Ordering::Relaxed), Instant::now());
        bar.set_message(format!("{:.0}/s", (count - earlier) as f64 / (now - then).as_secs_f64()));
        bar.set_position(u64::try_from((now - began).as_millis()).unwrap_or(u64::MAX));
        (earlier, then) = (count, now);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("cannot fail: the templates are fixed")
}
