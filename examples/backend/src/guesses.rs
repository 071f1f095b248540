//! Who has been wrong too often. It counts by the name that was typed, whether there is such a user or not, so that
//! `locked` tells nobody which names exist. In memory: several backends would count in their database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong guesses before a name is locked.
const AT_MOST: u32 = 5;

/// So many names are remembered before those whose time is over are forgotten.
const MANY: usize = 10_000;

pub(crate) struct Guesses {
    locked_for: Duration,
    /// How many, and when the last one was.
    wrong: Mutex<HashMap<String, (u32, Instant)>>,
}

impl Guesses {
    pub(crate) fn new(locked_for: Duration) -> Self {
        Self { locked_for, wrong: Mutex::default() }
    }

    /// Counts a guess as wrong before anybody knows, so that many at once are not more than many in turn.
    ///
    /// # Errors
    /// If the name is locked: for how long yet.
    pub(crate) fn take(&self, name: &str) -> Result<(), Duration> {
        let now = Instant::now();
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() > MANY {
            wrong.retain(|_, (_, last)| now.duration_since(*last) < self.locked_for);
        }
        let (count, last) = wrong.entry(name.to_owned()).or_insert((0, now));
        let left = self.locked_for.saturating_sub(now.duration_since(*last));
        if left.is_zero() {
            *count = 0;
        } else if *count >= AT_MOST {
            return Err(left);
        }
        (*count, *last) = (*count + 1, now);
        Ok(())
    }

    /// The guess was not wrong, but nobody has signed in yet either.
    pub(crate) fn give_back(&self, name: &str) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = wrong.get_mut(name) {
            *count = count.saturating_sub(1);
        }
    }

    /// They have signed in.
    pub(crate) fn forget(&self, name: &str) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
