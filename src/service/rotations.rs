//! Rotations in batches. Batches form by themselves: whatever queued while the last statement ran goes into the next
//! one, so a lonely refresh waits for nobody and a crowd shares one commit. A crowd that is as large as the one whose
//! statement is under way does not wait for its disk. What a batch does not rotate is judged one by one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use crate::clock::{Clock, Stopwatch};
use crate::service::{Caller, Clients, Limits};
use crate::session::{Device, Session};
use crate::store::{Right, Rotate, Store, Turn};
use crate::time::Timestamp;
use crate::token::refresh::RefreshToken;
use crate::trace;

/// How batches are formed.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// The most rotations of one statement.
    pub largest: usize,
    /// How many statements may run at a time.
    pub in_flight: usize,
    /// How many have to wait for a statement to be begun beside another, and never fewer than that one has: smaller ones cost
    /// more than they win.
    pub beside: usize,
}

impl Batching {
    /// What suits this store (docs/performance.md). A file takes one statement at a time.
    #[must_use]
    pub fn of(store: &Store) -> Self {
        Self { largest: 1000, in_flight: if store.is_file() { 1 } else { 2 }, beside: 24 }
    }

    /// One statement a refresh, as services are written by hand: what batches are measured against.
    pub const NONE: Self = Self { largest: 1, in_flight: 16, beside: 1 };
}

/// How many requests may wait, beside those of the next batch; one more waits to be allowed to wait.
const QUEUE: usize = 4096;

/// What became of a refresh token on the fast path.
pub(super) enum Outcome {
    /// It was current: the session as it is now.
    Rotated { session: Session, at: Timestamp },
    /// The same token came with another request of the same batch: a replay of that one's rotation.
    Replayed { session: Session, at: Timestamp },
    /// It was not rotated: to be judged by itself.
    Undecided,
    /// Whether it was rotated, at this time, is not known.
    InDoubt(Timestamp),
}

/// The queue in front of the batches, and whoever works on them.
pub struct Rotations {
    queue: mpsc::Sender<Waiting>,
    /// Forms the batches. Ends when it is dropped.
    dispatcher: JoinSet<()>,
}

struct Waiting {
    turn: Turn,
    caller: Arc<Caller>,
    answer: oneshot::Sender<Outcome>,
    /// Of its wait, if it is followed.
    span: Span,
}

impl Rotations {
    /// Begins to work.
    #[must_use]
    pub fn start(
        store: impl Rotate,
        clock: Arc<dyn Clock>,
        clients: Arc<ArcSwap<Clients>>,
        limits: Arc<Limits>,
        batching: Batching,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let worker = Arc::new(Worker { store, clock, clients, limits });
        let mut dispatcher = JoinSet::new();
        dispatcher.spawn(dispatch(worker, batching, waiting));
        Self { queue, dispatcher }
    }

    /// Finishes what is queued.
    pub(super) async fn finish(self) {
        drop(self.queue);
        self.dispatcher.join_all().await;
    }

    /// Rotates the session of this token if the token is current and the caller has a right to its client.
    pub(super) async fn rotate(&self, token: RefreshToken, device: Device, caller: Arc<Caller>) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let turn = Turn { session_id: token.session_id, generation: token.generation, device, caller: 0 };
        let span = tracing::info_span!(target: trace::TARGET, "turn");
        if self.queue.send(Waiting { turn, caller, answer, span: span.clone() }).await.is_err() {
            return Outcome::Undecided;
        }
        outcome.instrument(span).await.unwrap_or(Outcome::Undecided)
    }
}

/// Begins a statement when one may begin, until the queue is closed and empty. A statement that panicked is under way until none
/// is: its members are told nothing, and are judged.
async fn dispatch<R: Rotate>(worker: Arc<Worker<R>>, batching: Batching, mut waiting: mpsc::Receiver<Waiting>) {
    let Batching { largest, in_flight, beside } = batching;
    let (mut queued, mut running, mut under_way) = (Vec::new(), JoinSet::new(), 0);
    loop {
        let room = largest - queued.len();
        tokio::select! {
            Some(ended) = running.join_next() => {
                under_way -= ended.unwrap_or(0);
                // Whoever was answered goes first, and what comes meanwhile is in the next statement, too.
                tokio::task::yield_now().await;
                queued.extend(std::iter::from_fn(|| waiting.try_recv().ok()).take(room));
            }
            1.. = waiting.recv_many(&mut queued, room), if room > 0 => {}
            else => return,
        }
        let enough = match running.len() {
            0 => {
                under_way = 0;
                1
            }
            statements if statements < in_flight => beside.max(under_way / statements),
            _ => continue,
        };
        if queued.len() >= enough {
            let (worker, members) = (Arc::clone(&worker), queued.len());
            let batch = Batch::of(queued.drain(..));
            under_way += members;
            running.spawn(async move {
                worker.rotate(batch).await;
                members
            });
        }
    }
}

struct Worker<R> {
    store: R,
    clock: Arc<dyn Clock>,
    clients: Arc<ArcSwap<Clients>>,
    limits: Arc<Limits>,
}

impl<R: Rotate> Worker<R> {
    async fn rotate(&self, batch: Batch) {
        if batch.turns.is_empty() {
            return;
        }
        metrics::histogram!("symbolon_rotations_batch_size").record(batch.size());
        // Read when the statement is built: waiting in the queue must not eat the leeway.
        let now = self.clock.now();
        let clients = self.clients.load_full();
        let stopwatch = Stopwatch::start();
        let rotated = self.store.rotate(&batch.turns, now, &batch.rights(&clients)).instrument(batch.span()).await;
        metrics::histogram!("symbolon_rotations_batch_seconds").record(stopwatch.elapsed());
        match rotated {
            Ok(rotated) => {
                // Here, so that whoever gives up before the answer is counted, too.
                for session in &rotated {
                    self.limits.rotated(session.id);
                }
                batch.answer(rotated, now, &clients);
            }
            Err(error) => {
                tracing::warn!(%error, members = batch.turns.len(), "a batch of rotations is in doubt");
                batch.doubt(now);
            }
        }
    }
}

/// The members of one statement. A session stands in it once: the first token leads, the same token again follows it,
/// and another token of the same session is judged afterwards.
#[derive(Default)]
struct Batch {
    /// In the order of their sessions.
    turns: Vec<Turn>,
    /// Who asks, each once; a turn says which of them it is.
    callers: Vec<Arc<Caller>>,
    /// Who waits for which turn.
    members: Vec<Members>,
    others: Vec<oneshot::Sender<Outcome>>,
    /// Of those who wait and are followed.
    followed: Vec<Span>,
}

/// Those who presented one token.
struct Members {
    leader: oneshot::Sender<Outcome>,
    followers: Vec<oneshot::Sender<Outcome>>,
}

impl Batch {
    fn of(queued: impl Iterator<Item = Waiting>) -> Self {
        let mut batch = Self::default();
        // Whoever has given up before the statement is built is left out.
        let mut queued: Vec<_> = queued.filter(|waiting| !waiting.answer.is_closed()).collect();
        // In one order everywhere, so that the batches of two replicas do not wait for each other.
        queued.sort_by_key(|waiting| waiting.turn.session_id);
        for Waiting { mut turn, caller, answer, span } in queued {
            batch.followed.extend((!span.is_disabled()).then_some(span));
            turn.caller = batch.place_of(caller);
            match (batch.turns.last(), batch.members.last_mut()) {
                // Another caller may have no right to it: not answered by what the first one was.
                (Some(last), Some(members)) if last.same_as(&turn) => members.followers.push(answer),
                (Some(last), _) if last.session_id == turn.session_id => batch.others.push(answer),
                _ => {
                    batch.turns.push(turn);
                    batch.members.push(Members { leader: answer, followers: Vec::new() });
                }
            }
        }
        batch
    }

    fn place_of(&mut self, caller: Arc<Caller>) -> u16 {
        let known = self.callers.iter().position(|known| Arc::ptr_eq(known, &caller));
        let place = known.unwrap_or_else(|| {
            self.callers.push(caller);
            self.callers.len() - 1
        });
        u16::try_from(place).expect("cannot fail: a batch has at most a thousand members")
    }

    /// The span of its statement: a step of the one that is in it alone, else linked with each that is followed.
    fn span(&self) -> Span {
        let size = self.turns.len();
        match self.followed.as_slice() {
            [] => Span::none(),
            [alone] if size == 1 => tracing::info_span!(target: trace::TARGET, parent: alone, "batch", size),
            followed => {
                let span = tracing::info_span!(target: trace::TARGET, parent: None, "batch", size);
                for member in followed {
                    span.follows_from(member);
                    member.follows_from(&span);
                }
                span
            }
        }
    }

    /// Which clients' sessions each caller may rotate.
    fn rights(&self, clients: &Clients) -> Vec<Right> {
        let mut rights = Vec::new();
        for (caller, place) in self.callers.iter().zip(0..) {
            let usable = clients.iter().filter(|(client_id, _)| caller.may_use(client_id));
            rights.extend(usable.map(|(client_id, client)| Right {
                caller: place,
                client_id: client_id.to_owned(),
                burst_millis: i64::try_from(client.policy.burst.as_millis()).unwrap_or(i64::MAX),
            }));
        }
        rights
    }

    #[expect(clippy::cast_precision_loss, reason = "at most a thousand")]
    fn size(&self) -> f64 {
        self.turns.len() as f64
    }

    fn answer(self, mut rotated: Vec<Session>, at: Timestamp, clients: &Clients) {
        rotated.sort_by_key(|session| session.id);
        let mut rotated = rotated.into_iter().peekable();
        for (turn, Members { leader, followers }) in self.turns.iter().zip(self.members) {
            let session = rotated.next_if(|session| session.id == turn.session_id);
            let replayed = session.as_ref().filter(|session| clients.replays_at_once(&session.client_id));
            tell(followers, || match replayed {
                Some(session) => Outcome::Replayed { session: session.clone(), at },
                None => Outcome::Undecided,
            });
            // A receiver that is gone has given up; its rotation stands, and its retry is a replay.
            let _ = leader.send(session.map_or(Outcome::Undecided, |session| Outcome::Rotated { session, at }));
        }
        tell(self.others, || Outcome::Undecided);
    }

    fn doubt(self, at: Timestamp) {
        for Members { leader, followers } in self.members {
            tell(followers.into_iter().chain([leader]), || Outcome::InDoubt(at));
        }
        tell(self.others, || Outcome::Undecided);
    }
}

fn tell(members: impl IntoIterator<Item = oneshot::Sender<Outcome>>, outcome: impl Fn() -> Outcome) {
    for member in members {
        let _ = member.send(outcome());
    }
}

#[cfg(test)]
mod tests;
