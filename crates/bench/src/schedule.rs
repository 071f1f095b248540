//! When calls are due at a fixed rate, whatever becomes of those before, and what of a run counts. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Calls at a fixed rate: number n is due n / rate after the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    began: Instant,
    per_second: f64,
}

/// What of a run counts: what was due once it was warm and before it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// When its warm-up begins.
    pub(crate) began: Instant,
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

impl Schedule {
    pub(crate) fn new(began: Instant, per_second: f64) -> Self {
        Self { began, per_second }
    }

    #[expect(clippy::cast_precision_loss, reason = "it would take thousands of years of calls")]
    pub(crate) fn at(&self, number: u64) -> Instant {
        self.began + Duration::from_secs_f64(number as f64 / self.per_second)
    }

    /// How many calls are due by now, this instant's included.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since the beginning")]
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began).as_secs_f64();
        let guess = (passed * self.per_second) as u64;
        // One more or less than the product says, where it was rounded.
        (guess.saturating_sub(1)..guess + 2).find(|number| self.at(*number) > now).unwrap_or(guess + 2)
    }

    /// How many calls were due in the window and never made, if so many were made in all.
    pub(crate) fn unsent(&self, made: u64, window: &Window) -> u64 {
        let before = |end: Instant| self.due(end) - u64::from(self.at(self.due(end) - 1) == end);
        before(window.until).saturating_sub(made.max(before(window.from)))
    }
}

impl Window {
    pub(crate) fn new(began: Instant, warm_up: Duration, measured: Duration) -> Self {
        Self { began, from: began + warm_up, until: began + warm_up + measured }
    }

    pub(crate) fn counts(&self, due: Instant) -> bool {
        (self.from..self.until).contains(&due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_call_is_due_at_the_beginning_and_then_one_every_period() {
        let began = Instant::now();
        let schedule = Schedule::new(began, 4.0);
        assert_eq!(schedule.at(0), began);
        assert_eq!(schedule.at(6), began + Duration::from_millis(1500));
        assert_eq!(schedule.due(began), 1);
        assert_eq!(schedule.due(began + Duration::from_millis(249)), 1);
        assert_eq!(schedule.due(began + Duration::from_millis(250)), 2);
    }

    #[test]
    fn only_what_was_due_in_the_window_and_never_made_is_unsent() {
        let began = Instant::now();
        let schedule = Schedule::new(began, 10.0);
        // Numbers 20 to 49 are due in it.
        let window = Window::new(began, Duration::from_secs(2), Duration::from_secs(3));
        assert_eq!(schedule.unsent(50, &window), 0);
        assert_eq!(schedule.unsent(45, &window), 5);
        assert_eq!(schedule.unsent(3, &window), 30, "what the warm-up left behind is not counted");
    }

    #[test]
    fn what_is_due_before_and_after_the_window_does_not_count() {
        let began = Instant::now();
        let window = Window::new(began, Duration::from_secs(2), Duration::from_secs(3));
        let at = |millis| window.counts(began + Duration::from_millis(millis));
        assert_eq!([at(0), at(1999), at(2000), at(4999), at(5000)], [false, false, true, true, false]);
    }

    proptest! {
        #[test]
        fn what_is_due_is_due_and_the_next_is_not(per_second in 0.1..1e6f64, passed in 0u64..10_000_000_000) {
            let began = Instant::now();
            let (schedule, now) = (Schedule::new(began, per_second), began + Duration::from_nanos(passed));
            let due = schedule.due(now);
            prop_assert!(schedule.at(due - 1) <= now && now < schedule.at(due));
        }
    }
}
