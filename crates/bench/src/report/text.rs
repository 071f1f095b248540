//! An outcome on a terminal.

use std::fmt::Write;

use super::figures::{amount, grouped, milliseconds, significant};
use crate::{Outcome, Pace, Plan};

/// For people.
#[must_use]
pub fn text(outcome: &Outcome) -> String {
    let Outcome { plan, latency, .. } = outcome;
    let mut text = format!("{}: {}\n\n", plan.name, conditions(plan));
    let mut line = |what: &str, value: &str| writeln!(text, "{what:<18}{value}").expect("cannot fail: into memory");
    line("operations", &format!("{}, {} a second", grouped(outcome.operations), amount(outcome.per_second)));
    let shares = [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99), ("p99.9", latency.p99_9)];
    let shares = shares.into_iter().chain([("max", latency.max)]);
    let shares: Vec<_> = shares.map(|(share, value)| format!("{share} {}", milliseconds(value))).collect();
    line("latency", &shares.join("   "));
    if let Some(unsent) = outcome.unsent {
        line("not sent", &grouped(unsent));
    }
    for (what, count) in &outcome.counts {
        line(what, &grouped(*count));
    }
    line("errors", if outcome.errors.is_empty() { "none" } else { "" });
    for (code, count) in &outcome.errors {
        line("", &format!("{code}: {}", grouped(*count)));
    }
    for (part, cost) in &outcome.cost {
        let [sum, user, system] = [cost.sum(), cost.user, cost.system].map(significant);
        line(part, &format!("{sum} ms CPU an operation ({user} user, {system} system)"));
    }
    text
}

/// At what pace, for how long, with how much.
pub(super) fn conditions(plan: &Plan) -> String {
    let pace = match plan.pace {
        Pace::Closed { in_flight } => format!("{in_flight} in flight"),
        Pace::Open { per_second, in_flight } => {
            format!("{} a second, at most {in_flight} in flight", amount(per_second))
        }
    };
    let [measured, warm_up] = [plan.measured, plan.warm_up].map(humantime::format_duration);
    format!("{pace}, {measured} after a warm-up of {warm_up}, {} sessions", grouped(plan.sessions as u64))
}
