use std::num::NonZeroU32;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::yield_now;

use super::*;
use crate::clock::ManualClock;
use crate::service::limits::Rates;
use crate::session::SessionId;
use crate::store::Error;

/// A statement that began: how many are in it, and how to end it.
type Begun = (usize, oneshot::Sender<()>);

/// Ends a statement when it is told to, and panics if it is dropped instead.
struct Held(UnboundedSender<Begun>);

impl Rotate for Held {
    async fn rotate(&self, turns: &[Turn], _: Timestamp, _: &[Right]) -> Result<Vec<Session>, Error> {
        let (end, ended) = oneshot::channel();
        self.0.send((turns.len(), end)).unwrap();
        ended.await.expect("told to end");
        Ok(Vec::new())
    }
}

struct Queue {
    rotations: Arc<Rotations>,
    begun: UnboundedReceiver<Begun>,
    under_way: Vec<Begun>,
    asked: u64,
}

impl Queue {
    fn start(largest: usize, in_flight: usize) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let rates = Rates { rotations: NonZeroU32::MIN, issues: NonZeroU32::MIN };
        let limits = Arc::new(Limits::new(rates, Arc::clone(&clock)));
        let (tell, begun) = unbounded_channel();
        let batching = Batching { largest, in_flight, beside: 5 };
        let rotations = Arc::new(Rotations::start(Held(tell), clock, Arc::default(), limits, batching));
        Self { rotations, begun, under_way: Vec::new(), asked: 0 }
    }

    /// So many more ask, each for a session of its own. Answers how large the statements are that begin because of it.
    async fn ask(&mut self, count: u64) -> Vec<usize> {
        for _ in 0..count {
            self.asked += 1;
            let session_id = SessionId::new(0, Timestamp::EPOCH, self.asked.to_le_bytes());
            let (rotations, token) = (Arc::clone(&self.rotations), RefreshToken { session_id, generation: 1 });
            let caller = Arc::new(Caller::unlimited("somebody"));
            tokio::spawn(async move { rotations.rotate(token, Device::default(), caller).await });
        }
        self.begin().await
    }

    /// The same when the oldest statement of this size ends.
    async fn end(&mut self, size: usize) -> Vec<usize> {
        self.take(size).send(()).unwrap();
        self.begin().await
    }

    /// The same when it panics.
    async fn panic(&mut self, size: usize) -> Vec<usize> {
        drop(self.take(size));
        self.begin().await
    }

    fn take(&mut self, size: usize) -> oneshot::Sender<()> {
        let at = self.under_way.iter().position(|(its, _)| *its == size).unwrap();
        self.under_way.remove(at).1
    }

    async fn begin(&mut self) -> Vec<usize> {
        for _ in 0..1000 {
            yield_now().await;
        }
        let before = self.under_way.len();
        self.under_way.extend(std::iter::from_fn(|| self.begun.try_recv().ok()));
        self.under_way[before..].iter().map(|(size, _)| *size).collect()
    }
}

const NOTHING: [usize; 0] = [];

#[tokio::test]
async fn who_comes_alone_waits_for_nobody_and_who_comes_later_waits_together() {
    let mut queue = Queue::start(1000, 1);
    assert_eq!(queue.ask(1).await, [1]);
    assert_eq!(queue.ask(3).await, NOTHING);
    assert_eq!(queue.ask(4).await, NOTHING);
    assert_eq!(queue.end(1).await, [7]);
    assert_eq!(queue.end(7).await, NOTHING);
    assert_eq!(queue.ask(2).await, [2]);
}

#[tokio::test]
async fn a_statement_is_begun_beside_another_for_as_many_as_that_one_has_and_not_for_a_few() {
    let mut queue = Queue::start(1000, 2);
    assert_eq!(queue.ask(1).await, [1]);
    assert_eq!(queue.ask(4).await, NOTHING);
    assert_eq!(queue.ask(1).await, [5]);
    assert_eq!(queue.ask(30).await, NOTHING, "two are under way");
    assert_eq!(queue.end(1).await, [30]);
    assert_eq!(queue.end(5).await, NOTHING);
    assert_eq!(queue.ask(29).await, NOTHING);
    assert_eq!(queue.ask(1).await, [30]);
}

#[tokio::test]
async fn one_that_hangs_is_passed_however_large_another_was() {
    let mut queue = Queue::start(1000, 2);
    assert_eq!(queue.ask(1).await, [1]);
    assert_eq!(queue.ask(50).await, [50]);
    assert_eq!(queue.end(50).await, NOTHING);
    assert_eq!(queue.ask(5).await, [5]);
}

#[tokio::test]
async fn a_statement_has_no_more_than_the_most() {
    let mut queue = Queue::start(10, 2);
    assert_eq!(queue.ask(1).await, [1]);
    assert_eq!(queue.ask(25).await, [10]);
    assert_eq!(queue.end(1).await, [10]);
    assert_eq!(queue.end(10).await, NOTHING, "five are no ten");
    assert_eq!(queue.end(10).await, [5]);
}

#[tokio::test]
async fn one_that_panics_stops_nobody() {
    let mut queue = Queue::start(1000, 2);
    assert_eq!(queue.ask(20).await, [20]);
    assert_eq!(queue.panic(20).await, NOTHING);
    assert_eq!(queue.ask(1).await, [1]);
    assert_eq!(queue.ask(5).await, [5]);
}
