//! A load generator for token services: it does one thing again and again ([`Workload`]), through one door ([`Way`]), at one
//! pace ([`Pace`]), and says how fast it was, how long callers waited and what every part spent on it ([`Outcome`]).
//!
//! In reading order: what is to be done (`plan`, from the command line by `cli`), on which sessions if not on its own
//! (`seed`), when (`schedule`, `turns`), by whom (`workloads`, through `doors`), what is written down (`tally`, `cpu`), and
//! what is made of it (`outcome`, `report`).

#![expect(clippy::disallowed_methods, reason = "it measures time, and sends what it likes when it likes")]

mod plan;
pub mod seed;

mod schedule;
mod turns;

mod doors;
mod drive;
mod workloads;

mod cpu;
mod progress;
mod tally;

mod outcome;
pub mod report;

pub mod cli;

pub use outcome::{Cost, Latency, Outcome, Point, Timeline};
pub use plan::{Pace, Plan, Processes, Target, Way, Workload};

/// What went wrong before there was anything to measure, in a sentence.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Does what the plan says; on a terminal stderr shows how far it is.
///
/// # Errors
/// If a server is not reached, refuses the sessions that the load needs, or a process to be watched is not there. What
/// is refused under load is counted in the outcome.
pub async fn run(plan: &Plan) -> Result<Outcome, Failure> {
    workloads::run(plan).await
}
