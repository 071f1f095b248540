//! What is written down while it runs: how long each operation took, how many ended when, what was refused and why, and
//! whatever else a workload counts. Several tallies add up to one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::plan::Plan;
use crate::schedule::Window;

/// How many parts of the measured time a report shows.
const PARTS: u32 = 50;

/// Times in nanoseconds. Below a microsecond and above a minute they are all the same to it.
pub(crate) struct Tally {
    window: Window,
    width: Duration,
    pub(crate) times: Histogram<u64>,
    pub(crate) parts: Vec<u64>,
    pub(crate) errors: BTreeMap<Cow<'static, str>, u64>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            width: width(window.until - window.from),
            times: Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("cannot fail: the bounds are in order"),
            parts: vec![0; PARTS as usize],
            errors: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Writes down an operation that was due then and has ended now. Its time counts if it was due in the window, so that
    /// none is left out for being slow; it is one of the operations if it ended there, as the work on it did.
    pub(crate) fn took(&mut self, due: Instant, now: Instant) {
        if self.window.counts(due) {
            let took = now.saturating_duration_since(due).as_nanos();
            self.times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
        }
        if self.window.counts(now) {
            let part = (now - self.window.from).as_nanos() / self.width.as_nanos();
            let last = self.parts.len() - 1;
            self.parts[usize::try_from(part).unwrap_or(last).min(last)] += 1;
        }
    }

    /// Writes down one that failed: once, if any of it was in the window.
    pub(crate) fn failed(&mut self, due: Instant, now: Instant, code: Cow<'static, str>) {
        if self.window.counts(due) || self.window.counts(now) {
            *self.errors.entry(code).or_default() += 1;
        }
    }

    /// How many operations ended in the window.
    pub(crate) fn operations(&self) -> u64 {
        self.parts.iter().sum()
    }

    pub(crate) fn count(&mut self, what: &'static str, number: u64) {
        *self.counts.entry(what).or_default() += number;
    }

    /// Takes over what another has written down of the same window.
    pub(crate) fn add(&mut self, other: &Self) {
        self.times.add(&other.times).expect("cannot fail: they have the same bounds");
        for (count, more) in self.parts.iter_mut().zip(&other.parts) {
            *count += more;
        }
        for (code, more) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += more;
        }
        for (what, more) in &other.counts {
            self.count(what, *more);
        }
    }
}

/// How long one part of the measured time is.
pub(crate) fn width(measured: Duration) -> Duration {
    measured / PARTS
}

/// The window of a plan that begins now.
pub(crate) fn window(began: Instant, plan: &Plan) -> Window {
    Window::new(began, plan.warm_up, plan.measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(began: Instant) -> Tally {
        Tally::new(Window::new(began, Duration::from_secs(1), Duration::from_secs(10)))
    }

    #[test]
    fn an_operation_is_counted_from_when_it_was_due_and_in_the_part_in_which_it_ended() {
        let began = Instant::now();
        let mut tally = tally(began);
        tally.took(began + Duration::from_millis(1050), began + Duration::from_millis(1350));
        assert_eq!(tally.times.max() / 1_000_000, 300);
        assert_eq!((tally.parts[1], tally.operations()), (1, 1));
    }

    #[test]
    fn what_ends_after_the_end_has_a_time_and_is_no_operation() {
        let began = Instant::now();
        let mut tally = tally(began);
        tally.took(began + Duration::from_secs(10), began + Duration::from_secs(12));
        assert_eq!((tally.times.len(), tally.operations()), (1, 0));
    }

    #[test]
    fn what_was_due_in_the_warm_up_and_ends_later_is_an_operation_without_a_time() {
        let began = Instant::now();
        let mut tally = tally(began);
        tally.took(began, began + Duration::from_secs(2));
        tally.took(began, began + Duration::from_millis(500));
        assert_eq!((tally.times.len(), tally.operations()), (0, 1));
    }

    #[test]
    fn two_tallies_add_up() {
        let began = Instant::now();
        let (mut one, mut two) = (tally(began), tally(began));
        for (tally, millis) in [(&mut one, 1), (&mut two, 9)] {
            tally.took(began + Duration::from_secs(2), began + Duration::from_millis(2000 + millis));
            tally.failed(began, began + Duration::from_secs(2), Cow::Borrowed("RATE_LIMITED"));
            tally.failed(began, began + Duration::from_millis(500), Cow::Borrowed("too early to count"));
            tally.count("refused", millis);
        }
        one.add(&two);
        assert_eq!((one.times.len(), one.parts[5]), (2, 2));
        assert_eq!(one.times.min() / 100_000, 9, "a bucket below: the values are kept to three digits");
        assert_eq!(one.errors.get("RATE_LIMITED"), Some(&2));
        assert_eq!(one.errors.len(), 1);
        assert_eq!(one.counts.get("refused"), Some(&10));
    }
}
