//! Revocations told to watchers: a session is revoked at a fixed rate, and for every watcher it is written down how long
//! after the revocation was answered it heard. Who heard before that waited not at all.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use symbolon::pb::auth::revoke_session_request::Target;
use symbolon::pb::auth::watch_revocations_response::Event;
use symbolon::pb::auth::{RevokeSessionRequest, WatchRevocationsRequest, WatchRevocationsResponse};
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

use super::{Subjects, many, shares};
use crate::Failure;
use crate::doors::{Doors, Refusal, grpc};
use crate::drive::{Notes, Work, drive, from_now};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::progress;

/// How many streams share a connection: what every server of HTTP/2 is asked to allow (RFC 9113, section 6.5.2).
const STREAMS: usize = 100;

/// How long after the last revocation one is waited for that nobody heard of yet.
const PATIENCE: Duration = Duration::from_secs(10);

/// Revokes.
struct Worker {
    client: grpc::Client,
    /// Ids of sessions to be revoked.
    sessions: Vec<String>,
    subjects: Arc<Subjects>,
    revoked: Arc<Revoked>,
}

/// What was revoked, by the session's id.
#[derive(Default)]
struct Revoked {
    all: RwLock<HashMap<String, Revocation>>,
    /// How many of them count.
    counted: AtomicU64,
}

#[derive(Clone, Copy)]
struct Revocation {
    counts: bool,
    /// When the server said that it is done.
    answered: Option<Instant>,
}

pub(super) async fn run(
    plan: &Plan,
    doors: &Arc<Doors>,
    subjects: &Arc<Subjects>,
    watchers: usize,
) -> Result<Outcome, Failure> {
    let sessions = sessions(plan, doors, subjects).await?;
    let streams = streams(plan, watchers).await?;
    let revoked = Arc::<Revoked>::default();
    let window = from_now(plan);
    let (notes, told) = (Arc::new(Notes::new(window)), Arc::<AtomicU64>::default());
    let mut hearing = JoinSet::new();
    for stream in streams {
        hearing.spawn(hear(stream, Arc::clone(&revoked), Arc::clone(&notes), Arc::clone(&told)));
    }
    let worker = |(at, sessions)| Worker {
        client: doors.grpc(at),
        sessions,
        subjects: Arc::clone(subjects),
        revoked: Arc::clone(&revoked),
    };
    let mut driven = drive(plan, window, shares(plan, sessions).map(worker).collect()).await?;
    let revocations = revoked.counted.load(Ordering::Relaxed);
    let expected = revocations * watchers as u64;
    let end = Instant::now() + PATIENCE;
    while told.load(Ordering::Relaxed) < expected && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hearing.abort_all();
    let mut tally = Notes::sum(window, &[notes]);
    tally.count("revocations", revocations);
    let missing = expected.saturating_sub(told.load(Ordering::Relaxed));
    if missing > 0 {
        tally.errors.insert("not told within 10 s of the end".into(), missing);
    }
    tally.errors.append(&mut driven.tally.errors);
    Ok(Outcome::new(plan, tally, driven.unsent, &driven.used))
}

/// Sessions to be revoked.
async fn sessions(plan: &Plan, doors: &Arc<Doors>, subjects: &Arc<Subjects>) -> Result<Vec<String>, Failure> {
    let (doors, subjects) = (Arc::clone(doors), Arc::clone(subjects));
    many(plan.sessions, move |at| {
        let (mut client, subject) = (doors.grpc(at), subjects.next());
        async move { Ok(grpc::session(&mut client, &subject).await?.0.session_id) }
    })
    .await
}

/// Watchers that know everything that was revoked before.
async fn streams(plan: &Plan, watchers: usize) -> Result<Vec<Streaming<WatchRevocationsResponse>>, Failure> {
    let bar = progress::counted("watchers", watchers);
    let mut clients = grpc::connect(&plan.target, watchers.div_ceil(STREAMS)).await?;
    let mut streams = Vec::with_capacity(watchers);
    while streams.len() < watchers {
        let client = &mut clients[streams.len() / STREAMS];
        let mut stream = client.watch_revocations(WatchRevocationsRequest::default()).await?.into_inner();
        while !matches!(next(&mut stream).await?, Event::SnapshotEnd(_)) {}
        streams.push(stream);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(streams)
}

async fn next(stream: &mut Streaming<WatchRevocationsResponse>) -> Result<Event, Status> {
    let message = stream.message().await?.ok_or_else(|| Status::unavailable("the stream ended"))?;
    message.event.ok_or_else(|| Status::internal("a message without an event"))
}

/// Writes down when this watcher hears of what.
async fn hear(
    mut stream: Streaming<WatchRevocationsResponse>,
    revoked: Arc<Revoked>,
    notes: Arc<Notes>,
    told: Arc<AtomicU64>,
) {
    loop {
        match next(&mut stream).await {
            Ok(Event::Revocations(some)) => {
                let now = Instant::now();
                for session in &some.sessions {
                    // Others may revoke too.
                    let Some(revocation) = revoked.get(&session.session_id).filter(|it| it.counts) else { continue };
                    notes.write(|tally| tally.took(revocation.answered.unwrap_or(now), now));
                    told.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(Event::SnapshotEnd(_) | Event::Heartbeat(_)) => {}
            Err(status) => {
                let code = Refusal::from(status).code();
                let now = Instant::now();
                return notes.write(|tally| tally.failed(now, now, format!("a watch ended: {code}").into()));
            }
        }
    }
}

impl Revoked {
    fn get(&self, id: &str) -> Option<Revocation> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }

    fn put(&self, id: &str, counts: bool, answered: Option<Instant>) {
        let revocation = Revocation { counts, answered };
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), revocation);
    }
}

impl Work for Worker {
    async fn once(&mut self, notes: &Notes) -> Result<(), Refusal> {
        let id = match self.sessions.pop() {
            Some(id) => id,
            None => grpc::session(&mut self.client, &self.subjects.next()).await?.0.session_id,
        };
        let target = Some(Target::SessionId(id.clone()));
        let counts = notes.count();
        self.revoked.put(&id, counts, None);
        self.client.revoke_session(RevokeSessionRequest { target, ..Default::default() }).await?;
        self.revoked.put(&id, counts, Some(Instant::now()));
        self.revoked.counted.fetch_add(u64::from(counts), Ordering::Relaxed);
        Ok(())
    }
}
