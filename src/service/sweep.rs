//! Sweeping: what nobody can ask for any more goes, at a pace at which nobody waits for it.

use crate::clock::Stopwatch;
use crate::service::Service;

impl Service {
    /// Deletes it in small portions and with long rests. Nothing is half done when this is dropped.
    pub async fn sweep(&self) {
        /// So few that a refresh that comes meanwhile hardly notices.
        const PORTION: u64 = 100;
        /// A rest is this many times what the portion before took: the slower the database, the less is asked of it.
        const REST: u32 = 4;
        self.limits.forget();
        if self.skew.check().is_err() {
            return;
        }
        let now = self.now();
        self.verified.forget(now.seconds());
        loop {
            let portion = Stopwatch::start();
            match self.store.sweep(now, PORTION).await {
                Ok(swept) if swept >= PORTION => tokio::time::sleep(portion.elapsed() * REST).await,
                Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "sweeping ended early"),
            }
        }
    }
}
