//! What a run came to, as data that is written as JSON and read again. It owns how a tally becomes figures.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::cpu::Used;
use crate::plan::Plan;
use crate::tally::{self, Tally};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub plan: Plan,
    /// How many operations ended in the measured time, errors apart.
    pub operations: u64,
    pub per_second: f64,
    pub latency: Latency,
    /// How many failed, by the reason the server gave or else by its status.
    pub errors: BTreeMap<String, u64>,
    /// What else the workload counted.
    pub counts: BTreeMap<String, u64>,
    /// How many calls were due and never made, in an open loop.
    pub unsent: Option<u64>,
    /// What each part spent on it: the server and the database if their processes were named, and the generator.
    pub cost: BTreeMap<String, Cost>,
    pub timeline: Timeline,
}

/// Milliseconds, of the calls that were made in the measured time; in an open loop from when they were due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    pub max: f64,
    /// The whole curve.
    pub curve: Vec<Point>,
}

/// This share of all operations took at most so long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub share: f64,
    pub milliseconds: f64,
}

/// Milliseconds of CPU time an operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub user: f64,
    pub system: f64,
}

/// How many operations ended in each part of the measured time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// How long a part is, in seconds.
    pub width: f64,
    pub operations: Vec<u64>,
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "it would take thousands of years of operations")]
    pub(crate) fn new(plan: &Plan, tally: Tally, unsent: Option<u64>, used: &[(&str, Used)]) -> Self {
        let operations = tally.operations();
        let each = |seconds: f64| if operations == 0 { 0.0 } else { seconds * 1e3 / operations as f64 };
        let cost = |used: &Used| Cost { user: each(used.user), system: each(used.system) };
        Self {
            plan: plan.clone(),
            operations,
            per_second: operations as f64 / plan.measured.as_secs_f64(),
            latency: Latency::of(&tally.times),
            errors: tally.errors.into_iter().map(|(code, count)| (code.into_owned(), count)).collect(),
            counts: tally.counts.into_iter().map(|(what, count)| (what.to_owned(), count)).collect(),
            unsent,
            cost: used.iter().map(|(part, used)| ((*part).to_owned(), cost(used))).collect(),
            timeline: Timeline { width: tally::width(plan.measured).as_secs_f64(), operations: tally.parts },
        }
    }
}

impl Latency {
    fn of(times: &Histogram<u64>) -> Self {
        let at = |share: f64| milliseconds(times.value_at_quantile(share));
        let curve = times.iter_quantiles(5).map(|step| Point {
            share: step.quantile_iterated_to(),
            milliseconds: milliseconds(step.value_iterated_to().min(times.max())),
        });
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: milliseconds(times.max()),
            curve: curve.collect(),
        }
    }
}

impl Cost {
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.user + self.system
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a minute")]
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::cli;

    /// A thousand operations of 1 to 1000 ms.
    pub(crate) fn outcome() -> Outcome {
        let plan = cli::plan(["symbolon-bench", "refresh", "--for", "10s"]).unwrap();
        let began = Instant::now();
        let mut tally = Tally::new(tally::window(began, &plan));
        let began = began + plan.warm_up;
        for millis in 1..=1000 {
            tally.took(began, began + Duration::from_millis(millis));
        }
        tally.failed(began, began, "RATE_LIMITED".into());
        Outcome::new(&plan, tally, None, &[("server", Used { user: 3.0, system: 1.0 })])
    }

    #[test]
    fn percentiles_rate_and_cost_are_those_of_what_was_written_down() {
        let outcome = outcome();
        let Latency { p50, p90, p99, p99_9, max, curve } = &outcome.latency;
        for (figure, expected) in [(p50, 500.0), (p90, 900.0), (p99, 990.0), (p99_9, 999.0), (max, 1000.0)] {
            assert!((figure / expected - 1.0).abs() < 0.002, "{figure} is not {expected}");
        }
        assert!(curve.is_sorted_by(|one, next| one.share <= next.share && one.milliseconds <= next.milliseconds));
        assert_eq!(outcome.operations, 1000);
        assert!((outcome.per_second - 100.0).abs() < 1e-9);
        assert!((outcome.cost["server"].sum() - 4.0).abs() < 1e-9);
    }

    #[test]
    fn it_is_the_same_after_it_was_written_and_read() {
        let outcome = outcome();
        let text = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome);
    }

    #[test]
    fn nothing_done_costs_nothing_and_takes_no_time() {
        let plan = cli::plan(["symbolon-bench", "refresh"]).unwrap();
        let tally = Tally::new(tally::window(Instant::now(), &plan));
        let outcome = Outcome::new(&plan, tally, Some(3), &[("server", Used { user: 1.0, system: 0.0 })]);
        assert!(outcome.cost["server"].sum().abs() < 1e-9 && outcome.latency.max.abs() < 1e-9);
    }
}
