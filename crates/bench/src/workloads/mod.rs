//! What is done again and again, one file each: the workers that do it, and the sessions they need before it begins.

mod introspect;
mod issue;
mod race;
mod refresh;
mod verify;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;

use crate::Failure;
use crate::doors::{Doors, Refusal, grpc};
use crate::drive::{Work, drive, from_now};
use crate::outcome::Outcome;
use crate::plan::{Plan, Workload};
use crate::progress;

/// How many sign in at once before it begins.
const SIGNING_IN: usize = 64;

pub(crate) async fn run(plan: &Plan) -> Result<Outcome, Failure> {
    let doors = Arc::new(Doors::open(plan).await?);
    let subjects = Arc::new(Subjects::new());
    match plan.workload {
        Workload::Issue => measure(plan, issue::workers(plan, &doors, &subjects)).await,
        Workload::Refresh => {
            let tokens = match &plan.seeded {
                Some(seeded) => seeded.tokens(plan.sessions)?,
                None => refresh_tokens(plan, &doors, &subjects).await?,
            };
            measure(plan, refresh::workers(plan, &doors, &subjects, tokens)).await
        }
        Workload::Race { contenders } => {
            let tokens = refresh_tokens(plan, &doors, &subjects).await?;
            measure(plan, race::workers(plan, &doors, &subjects, tokens, contenders)).await
        }
        Workload::Introspect => {
            let tokens = access_tokens(plan, &doors, &subjects).await?;
            measure(plan, introspect::workers(plan, &doors, tokens)).await
        }
        Workload::Verify => {
            let tokens = access_tokens(plan, &doors, &subjects).await?;
            measure(plan, verify::workers(plan, doors.grpc(0), tokens).await?).await
        }
        Workload::Watch { watchers } => watch::run(plan, &doors, &subjects, watchers).await,
    }
}

async fn measure<W: Work>(plan: &Plan, workers: Vec<W>) -> Result<Outcome, Failure> {
    let driven = drive(plan, from_now(plan), workers).await?;
    Ok(Outcome::new(plan, driven.tally, driven.unsent, &driven.used))
}

/// Names that no other run has given.
struct Subjects {
    run: u128,
    next: AtomicU64,
}

impl Subjects {
    fn new() -> Self {
        Self {
            run: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis(),
            next: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        format!("bench-{}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// The refresh tokens of as many sessions as the plan says.
async fn refresh_tokens(plan: &Plan, doors: &Arc<Doors>, subjects: &Arc<Subjects>) -> Result<Vec<String>, Failure> {
    let (doors, subjects) = (Arc::clone(doors), Arc::clone(subjects));
    many(plan.sessions, move |at| {
        let (mut door, subject) = (doors.door(at), subjects.next());
        async move { door.issue(&subject).await }
    })
    .await
}

/// Their access tokens.
async fn access_tokens(plan: &Plan, doors: &Arc<Doors>, subjects: &Arc<Subjects>) -> Result<Vec<String>, Failure> {
    let (doors, subjects) = (Arc::clone(doors), Arc::clone(subjects));
    many(plan.sessions, move |at| {
        let (mut client, subject) = (doors.grpc(at), subjects.next());
        async move { Ok(grpc::session(&mut client, &subject).await?.1.access_token) }
    })
    .await
}

/// So many of something that is asked for, some at a time.
async fn many<T, F>(count: usize, ask: impl Fn(usize) -> F) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Refusal>> + Send + 'static,
{
    let bar = progress::counted("sign-ins", count);
    let (mut asked, mut answers) = (JoinSet::new(), Vec::with_capacity(count));
    for at in 0..count + SIGNING_IN {
        if at < count {
            asked.spawn(ask(at));
        }
        if at >= SIGNING_IN
            && let Some(answer) = asked.join_next().await
        {
            let code = |refusal: Refusal| format!("a sign-in before the load is refused: {}", refusal.code());
            answers.push(answer?.map_err(code)?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(answers)
}

/// As many shares as workers, each with its number.
fn shares<T>(plan: &Plan, all: Vec<T>) -> impl Iterator<Item = (usize, Vec<T>)> {
    let workers = plan.pace.in_flight();
    let mut shares: Vec<Vec<T>> = (0..workers).map(|_| Vec::new()).collect();
    for (at, one) in all.into_iter().enumerate() {
        shares[at % workers].push(one);
    }
    shares.into_iter().enumerate()
}

/// Goes round and round.
struct Round<T> {
    all: Vec<T>,
    next: usize,
}

impl<T> Round<T> {
    fn new(all: Vec<T>) -> Self {
        Self { all, next: 0 }
    }

    fn next(&mut self) -> &mut T {
        let at = self.next;
        self.next = (at + 1) % self.all.len();
        &mut self.all[at]
    }
}
