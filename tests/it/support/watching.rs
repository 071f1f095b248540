use std::collections::BTreeSet;
use std::time::Duration;

use symbolon::pb::auth as pb;
use symbolon::pb::auth::watch_revocations_response::Event;
use tokio::time::timeout;
use tonic::{Response, Status, Streaming};

use super::{Process, Server};

/// Somebody who watches the feed and keeps the last cursor.
pub(crate) struct Watching {
    stream: Streaming<pb::WatchRevocationsResponse>,
    pub(crate) cursor: String,
}

/// Longer than anybody waits for anything: heartbeats come more often.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks for what came after a cursor.
pub(crate) fn after(cursor: &str) -> pb::WatchRevocationsRequest {
    pb::WatchRevocationsRequest { cursor: cursor.to_owned() }
}

impl Server {
    /// Watches from a cursor on; from the beginning without one.
    pub(crate) async fn watching(&self, cursor: &str) -> Watching {
        Watching::of(self.client().watch_revocations(after(cursor)).await)
    }
}

impl Process {
    /// Watches from a cursor on, on a connection of its own; from the beginning without one.
    pub(crate) async fn watching(&self, cursor: &str) -> Watching {
        Watching::of(self.client().await.watch_revocations(after(cursor)).await)
    }
}

impl Watching {
    /// What an answer that must be good brings.
    pub(crate) fn of(answer: Result<Response<Streaming<pb::WatchRevocationsResponse>>, Status>) -> Self {
        Self { stream: answer.unwrap().into_inner(), cursor: String::new() }
    }

    /// The next event, and the cursor it came with.
    pub(crate) async fn event(&mut self) -> Result<(Event, String), Status> {
        let answer = timeout(PATIENCE, self.stream.message()).await.expect("neither an event nor a heartbeat");
        let answer = answer?.expect("a watch ends with an error");
        if !answer.cursor.is_empty() {
            self.cursor.clone_from(&answer.cursor);
        }
        Ok((answer.event.unwrap(), answer.cursor))
    }

    /// Everything that is told before the reader is up to date: to the end of a snapshot, or to the first heartbeat.
    pub(crate) async fn caught_up(&mut self) -> Vec<pb::RevokedSession> {
        let mut told = Vec::new();
        loop {
            match self.event().await.unwrap().0 {
                Event::Revocations(some) => told.extend(some.sessions),
                Event::SnapshotEnd(_) | Event::Heartbeat(_) => return told,
            }
        }
    }

    /// What is told until all of these are.
    pub(crate) async fn until(&mut self, all: &[&str]) -> Vec<pb::RevokedSession> {
        let mut told = Vec::new();
        while !all.iter().all(|id| ids(&told).contains(id)) {
            if let Event::Revocations(some) = self.event().await.unwrap().0 {
                told.extend(some.sessions);
            }
        }
        told
    }

    /// The same, within a second.
    pub(crate) async fn soon(&mut self, ids: &[&str]) -> Vec<pb::RevokedSession> {
        timeout(Duration::from_secs(1), self.until(ids)).await.expect("not told within a second")
    }

    /// Why it ends. What is told before does not matter.
    pub(crate) async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.event().await {
                return status;
            }
        }
    }
}

/// The ids of what was told, sorted.
pub(crate) fn ids(told: &[pb::RevokedSession]) -> BTreeSet<&str> {
    told.iter().map(|session| session.session_id.as_str()).collect()
}
