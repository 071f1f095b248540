//! How often a sign-in may fail, for one account and from one network: kept in this process's memory, which is bounded.
//! It does not know what was wrong with an attempt.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::time::Timestamp;

/// So many at once, and one more each time `every` has passed.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub burst: u32,
    pub every: Duration,
}

/// Twenty wrong passwords for one account, then four a minute: few enough to guess nothing, and an owner who mistypes
/// does not meet it. Locking an account is the verifier's business.
pub const ACCOUNT: Allowance = Allowance { burst: 20, every: Duration::from_secs(15) };

/// One office may be one address. Only failures count, so that a thousand people who sign in at nine do not meet it; a
/// hundred who mistype do not either.
pub const NETWORK: Allowance = Allowance { burst: 100, every: Duration::from_secs(1) };

/// The most keys that are remembered; beyond it the ones that are free again are forgotten, then any other.
const MOST: usize = 100_000;

/// Who is counted.
pub type Key = [u8; 16];

/// Counts attempts by key.
#[derive(Debug)]
pub struct Attempts {
    allowance: Allowance,
    /// When all that was taken will have been given back.
    taken: Mutex<HashMap<Key, Timestamp>>,
}

impl Attempts {
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, taken: Mutex::default() }
    }

    /// Takes one before it is known how it will end, so that a thousand at a time are not all let through.
    ///
    /// # Errors
    /// When there is none left: how long until there is.
    pub fn take(&self, key: Key, now: Timestamp) -> Result<(), Duration> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let until = take(self.allowance, taken.get(&key).copied(), now)?;
        if taken.len() >= MOST && !taken.contains_key(&key) {
            taken.retain(|_, until| *until > now);
            if let Some(any) = taken.keys().next().copied().filter(|_| taken.len() >= MOST) {
                taken.remove(&any);
            }
        }
        taken.insert(key, until);
        Ok(())
    }

    /// Gives one back: it did not fail.
    pub fn give_back(&self, key: Key) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = taken.get_mut(&key) {
            *until = until.before(self.allowance.every);
        }
    }
}

/// The generic cell rate algorithm (ITU-T I.371): one number holds how much of a burst is used.
fn take(allowance: Allowance, until: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Duration> {
    let next = until.filter(|until| *until > now).unwrap_or(now).after(allowance.every);
    let latest = now.after(allowance.every * allowance.burst);
    if next > latest { Err(next.since(latest)) } else { Ok(next) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Allowance = Allowance { burst: 3, every: Duration::from_secs(10) };
    const KEY: Key = [7; 16];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_at_a_time() {
        let attempts = Attempts::new(THREE);
        for _ in 0..3 {
            assert_eq!(attempts.take(KEY, at(100)), Ok(()));
        }
        assert_eq!(attempts.take(KEY, at(100)), Err(Duration::from_secs(10)));
        assert_eq!(attempts.take(KEY, at(104)), Err(Duration::from_secs(6)));
        assert_eq!(attempts.take([8; 16], at(104)), Ok(()), "somebody else");
        assert_eq!(attempts.take(KEY, at(110)), Ok(()));
        assert!(attempts.take(KEY, at(110)).is_err());
        for _ in 0..3 {
            assert_eq!(attempts.take(KEY, at(1000)), Ok(()), "after a while it is whole again");
        }
        assert!(attempts.take(KEY, at(1000)).is_err());
    }

    #[test]
    fn what_did_not_fail_does_not_count() {
        let attempts = Attempts::new(THREE);
        for second in 0..100 {
            assert_eq!(attempts.take(KEY, at(second)), Ok(()));
            attempts.give_back(KEY);
        }
        attempts.give_back([8; 16]);
        assert_eq!(attempts.take([8; 16], at(0)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::new(THREE);
        let key = |number: usize| u128::try_from(number).expect("small").to_be_bytes();
        for number in 0..MOST + 10 {
            assert_eq!(attempts.take(key(number), at(1)), Ok(()));
        }
        assert_eq!(attempts.taken.lock().expect("whole").len(), MOST);
        assert_eq!(attempts.take(key(MOST + 11), at(100)), Ok(()));
        assert_eq!(attempts.taken.lock().expect("whole").len(), 1, "what is free again is forgotten");
    }
}
