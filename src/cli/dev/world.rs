//! What only `dev` can do to its world: set the clock forward and stop the token service for a while.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tonic::Status;
use tower::ServiceExt;

use crate::clock::{Clock, SystemClock};
use crate::edge::Channel;
use crate::edge::issuer::channel;
use crate::rpc::Judged;
use crate::time::Timestamp;

/// The machine's clock, and what was skipped. That is kept, or what stands in the database would have happened tomorrow when
/// `dev` is started again.
pub(super) struct SkippingClock {
    seconds: AtomicU64,
    path: PathBuf,
}

impl SkippingClock {
    /// As it was left; a file that says nothing is none.
    pub(super) fn kept_in(path: PathBuf) -> Self {
        let kept = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        Self { seconds: AtomicU64::new(kept.unwrap_or_default()), path }
    }

    pub(super) fn skip(&self, seconds: u64) -> io::Result<()> {
        let skipped = self.seconds.load(Ordering::Relaxed).saturating_add(seconds);
        std::fs::write(&self.path, skipped.to_string())?;
        self.seconds.store(skipped, Ordering::Relaxed);
        Ok(())
    }

    /// How far it is ahead of the machine's.
    pub(super) fn skipped(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }
}

impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().after(self.skipped())
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime() + self.skipped()
    }
}

/// Until when the token service answers nobody, by the machine's uptime in milliseconds: no skip ends it.
#[derive(Default)]
pub(super) struct Outage(AtomicU64);

impl Outage {
    pub(super) fn begin(&self, lasts: Duration) {
        let until = SystemClock.uptime() + lasts;
        self.0.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long it still lasts; nothing when there is none.
    pub(super) fn left(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed)).saturating_sub(SystemClock.uptime())
    }
}

tokio::task_local! {
    /// The verdict on the refresh token of the request that is being answered.
    static VERDICT: Cell<Option<&'static str>>;
}

/// Answers what `work` answers, and the verdict that fell meanwhile.
pub(super) async fn judged<T>(work: impl Future<Output = T>) -> (T, Option<&'static str>) {
    let scoped = async { (work.await, VERDICT.with(Cell::get)) };
    VERDICT.scope(Cell::new(None), scoped).await
}

/// The token service as its edge reaches it: away during an outage, and what it judges is noted.
pub(super) fn watched(service: Channel, outage: Arc<Outage>) -> Channel {
    channel(tower::service_fn(move |request| {
        let (service, outage) = (service.clone(), Arc::clone(&outage));
        async move {
            if !outage.left().is_zero() {
                return Ok::<_, Infallible>(Status::unavailable("stopped for a moment").into_http());
            }
            let answer = service.oneshot(request).await.unwrap_or_else(Status::into_http);
            if let Some(Judged(verdict)) = answer.extensions().get() {
                // What nobody waits for is nobody's.
                let _ = VERDICT.try_with(|noted| noted.set(Some(verdict)));
            }
            Ok(answer)
        }
    }))
}
