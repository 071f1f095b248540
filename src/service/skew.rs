//! How far this machine's clock and the database's are apart. What a session is depends on the time, so a replica whose clock
//! is wrong says nothing about sessions until it is right: others do. The database's time is asked for now and then, and
//! in between the clock that nobody sets tells what it is, so that a leap is noticed by the very next call.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::service::Error;
use crate::store::{self, Store};
use crate::time::Timestamp;

/// From here on it is told.
const WARNED_OF: Duration = Duration::from_secs(2);

/// The most that is borne.
const BORNE: Duration = Duration::from_secs(5);

/// How far apart the clocks of two replicas are at most, both of which serve.
pub const APART: Duration = Duration::from_secs(2 * BORNE.as_secs());

/// An answer that took longer says too little about the time: it may be off by half of that.
const SOON: Duration = Duration::from_secs(3);

/// The clock of this machine beside that of the database.
pub struct Skew {
    clock: Arc<dyn Clock>,
    /// The database's time when our uptime was nothing, in milliseconds since 1970.
    began: AtomicI64,
}

/// Not asked yet, or there is no other clock.
const UNKNOWN: i64 = i64::MIN;

impl Skew {
    /// One that knows of no other clock yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, began: AtomicI64::new(UNKNOWN) }
    }

    /// Asks the database for its time, if it has a clock of its own, and tells how far apart they are.
    pub async fn compare(&self, store: &Store) -> Result<(), store::Error> {
        let before = self.clock.uptime();
        let Some(theirs) = store.time().await? else { return Ok(()) };
        let took = self.clock.uptime().saturating_sub(before);
        if took < SOON {
            let began = theirs.before(before + took / 2);
            let was_off = self.is_off(WARNED_OF);
            self.began.store(began.millis(), Ordering::Release);
            self.tell(was_off);
        }
        Ok(())
    }

    /// # Errors
    /// If nobody should believe what depends on the time here.
    pub fn check(&self) -> Result<(), Error> {
        self.sentence().map_or(Ok(()), |sentence| Err(Error::StoreUnavailable(sentence.into())))
    }

    /// What is wrong, if something is.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let apart = self.millis().unsigned_abs() / 1000;
        self.is_off(BORNE)
            .then(|| format!("this machine's clock and the database's are {apart} s apart: set the clock"))
    }

    fn is_off(&self, borne: Duration) -> bool {
        u128::from(self.millis().unsigned_abs()) > borne.as_millis()
    }

    /// How far our clock is ahead; 0 if there is no other.
    fn millis(&self) -> i64 {
        let began = self.began.load(Ordering::Acquire);
        if began == UNKNOWN {
            return 0;
        }
        let theirs = Timestamp::from_millis(began).after(self.clock.uptime());
        self.clock.now().millis().saturating_sub(theirs.millis())
    }

    /// Sets the figure.
    pub fn measure(&self) {
        metrics::gauge!("symbolon_clock_skew_seconds").set(self.seconds());
    }

    fn seconds(&self) -> f64 {
        let millis = self.millis();
        Duration::from_millis(millis.unsigned_abs()).as_secs_f64().copysign(if millis < 0 { -1.0 } else { 1.0 })
    }

    fn tell(&self, was_off: bool) {
        let seconds = self.seconds();
        if self.is_off(BORNE) {
            tracing::error!(
                seconds,
                "this machine's clock and the database's are too far apart to serve: set the clock"
            );
        } else if self.is_off(WARNED_OF) {
            tracing::warn!(
                seconds,
                "this machine's clock and the database's are apart: more than 5 s and it stops serving"
            );
        } else if was_off {
            tracing::info!(seconds, "this machine's clock and the database's agree again");
        }
    }
}
