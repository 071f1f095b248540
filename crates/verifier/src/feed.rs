//! The feed of revocations, followed at every endpoint of an issuer at once. It owns the cursor, when to begin again and
//! how soon; what is revoked goes to `revocations`.

use crate::grpc::pb::watch_revocations_response::Event;
use crate::grpc::{Endpoint, pb};
use crate::revocations::Revocations;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

/// How long an endpoint may be silent: three heartbeats. A connection that broke without a word ends so.
const SILENCE: Duration = Duration::from_secs(45);

/// The waits between two tries: doubling from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LAST_WAIT: Duration = Duration::from_secs(10);

/// What makes entries safe to drop, beyond their own time.
pub(crate) struct Sweep<'a> {
    pub(crate) clock: &'a (dyn Fn() -> i64 + Send + Sync),
    /// How long after its `exp` a token still passes here.
    pub(crate) exp_leeway: i64,
}

/// Where one reader stands.
#[derive(Debug, Default)]
struct Reader {
    /// The last one received: good at every replica of the same database, so each endpoint keeps its own, whatever is
    /// behind it.
    cursor: String,
    /// Whether this stream has told everything there was when it began.
    caught_up: bool,
}

/// Follows one endpoint, for ever.
pub(crate) async fn follow(issuer: &str, endpoint: &Endpoint, revocations: &Revocations, sweep: &Sweep<'_>) {
    let mut reader = Reader::default();
    let mut wait = FIRST_WAIT;
    // Said once, until it has been heard of again.
    let mut told = None;
    loop {
        reader.caught_up = false;
        let status = watch(issuer, endpoint, &mut reader, revocations, sweep).await;
        if reader.caught_up {
            wait = FIRST_WAIT;
            told = None;
        }
        if status.code() == Code::OutOfRange && !reader.cursor.is_empty() {
            // Begin again. What is held stays: entries go by their own time.
            reader.cursor.clear();
            continue;
        }
        if told != Some(status.code()) {
            tracing::warn!(%issuer, code = ?status.code(), cause = status.message(), "the feed of revocations was cut");
            told = Some(status.code());
        }
        sleep(jittered(wait)).await;
        wait = LAST_WAIT.min(wait * 2);
    }
}

/// Reads one stream to its end.
async fn watch(
    issuer: &str,
    endpoint: &Endpoint,
    reader: &mut Reader,
    revocations: &Revocations,
    sweep: &Sweep<'_>,
) -> Status {
    let mut stream = match endpoint.watch(&reader.cursor).await {
        Ok(stream) => stream,
        Err(status) => return status,
    };
    loop {
        match timeout(SILENCE, stream.message()).await {
            Err(_) => return Status::deadline_exceeded("nothing was heard for 45 s"),
            Ok(Err(status)) => return status,
            Ok(Ok(None)) => return Status::unavailable("the stream has ended"),
            Ok(Ok(Some(response))) => {
                reader.take(response, revocations);
                let now = (sweep.clock)();
                let held = revocations.sweep(now.saturating_sub(sweep.exp_leeway));
                crate::metrics::feed(issuer, reader.caught_up.then_some(now), held);
            }
        }
    }
}

impl Reader {
    fn take(&mut self, response: pb::WatchRevocationsResponse, revocations: &Revocations) {
        // Held first: a cursor must not be ahead of what it stands for.
        match response.event {
            Some(Event::Revocations(revoked)) => revocations.hold(revoked),
            Some(Event::SnapshotEnd(_) | Event::Heartbeat(_)) => self.caught_up = true,
            // An event of a later version.
            None => {}
        }
        if !response.cursor.is_empty() {
            self.cursor = response.cursor;
        }
        if self.caught_up {
            revocations.heard();
        }
    }
}

/// Between a half and the whole of it, so that those who were cut together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let dice = RandomState::new().hash_one(()) % 1024;
    wait / 2 + wait * u32::try_from(dice).unwrap_or_default() / 2048
}

#[cfg(test)]
mod tests;
