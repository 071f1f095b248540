//! How often the same one may ask. One session in a loop, or one caller gone wild, must not take the place of the others;
//! whoever uses Symbolon as it is meant never meets a limit. Each replica counts by itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;
use crate::service::Error;
use crate::session::SessionId;

/// How many a second, and ten times as many at once.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Rotations of one session.
    pub rotations: NonZeroU32,
    /// Sign-ins by one caller.
    pub issues: NonZeroU32,
}

/// As many seconds' worth may come at once.
const BURST: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");

/// The counters of this process.
pub struct Limits {
    clock: Uptime,
    rotations: Keyed<SessionId>,
    /// Sessions that have spent their rotations, and when the next one is allowed.
    spent: Mutex<HashMap<SessionId, Duration>>,
    /// Nearly always false, and then nobody takes the lock.
    any_spent: AtomicBool,
    issues: Keyed<String>,
}

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, Uptime, NoOpMiddleware<Duration>>;

/// Our clock, as the library reads it.
#[derive(Clone)]
struct Uptime(Arc<dyn Clock>);

impl GovernorClock for Uptime {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.uptime()
    }
}

impl Limits {
    #[must_use]
    pub fn new(rates: Rates, clock: Arc<dyn Clock>) -> Self {
        let clock = Uptime(clock);
        Self {
            rotations: keyed(rates.rotations, &clock),
            issues: keyed(rates.issues, &clock),
            spent: Mutex::default(),
            any_spent: AtomicBool::new(false),
            clock,
        }
    }

    /// Whether this session may be rotated now. Asking costs nothing: see [`Self::rotated`].
    ///
    /// # Errors
    /// If it has to wait.
    pub fn may_rotate(&self, session: SessionId) -> Result<(), Error> {
        if !self.any_spent.load(Ordering::Acquire) {
            return Ok(());
        }
        let until = self.spent().get(&session).copied().unwrap_or_default();
        let wait = until.saturating_sub(self.clock.now());
        if wait.is_zero() { Ok(()) } else { Err(Error::RateLimited(wait)) }
    }

    /// A session was rotated. Only this counts: whoever is given the same answer again costs nothing.
    pub fn rotated(&self, session: SessionId) {
        if let Err(spent) = self.rotations.check_key(&session) {
            self.spent().insert(session, spent.earliest_possible());
            self.any_spent.store(true, Ordering::Release);
        }
    }

    /// One more sign-in by this caller.
    ///
    /// # Errors
    /// If it has to wait.
    pub fn issue(&self, caller: &String) -> Result<(), Error> {
        let wait = |spent: governor::NotUntil<Duration>| Error::RateLimited(spent.wait_time_from(self.clock.now()));
        self.issues.check_key(caller).map_err(wait)
    }

    /// Forgets whoever is as fresh as if it had never come.
    pub(super) fn forget(&self) {
        let now = self.clock.now();
        let mut spent = self.spent();
        spent.retain(|_, until| *until > now);
        self.any_spent.store(!spent.is_empty(), Ordering::Release);
        drop(spent);
        self.rotations.retain_recent();
        self.issues.retain_recent();
    }

    fn spent(&self) -> MutexGuard<'_, HashMap<SessionId, Duration>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keyed<K: Hash + Eq + Clone>(rate: NonZeroU32, clock: &Uptime) -> Keyed<K> {
    let quota = Quota::per_second(rate).allow_burst(rate.saturating_mul(BURST));
    RateLimiter::dashmap_with_clock(quota, clock.clone())
}
