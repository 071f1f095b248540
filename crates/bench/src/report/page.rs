//! A page of one outcome or several side by side, whole in one file: what was run, figures in a table, and pictures of the
//! throughput, of the latency and of what each part spent. It needs no script and no network.

use std::fmt::Write;

use super::figures::{amount, grouped, milliseconds, significant};
use super::svg::{self, Bar, COLOURS, Line, Tick};
use super::text::conditions;
use crate::{Cost, Outcome, Timeline};

const STYLE: &str = include_str!("page.css");

/// The shares that are marked on the latency's axis.
const SHARES: [(f64, &str); 6] =
    [(0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %")];

/// The page.
#[must_use]
pub fn html(outcomes: &[Outcome]) -> String {
    let names: Vec<_> = outcomes.iter().map(|outcome| escape(&outcome.plan.name)).collect();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n<main>\n<h1>{}</h1>\n",
        names.join(", "),
        names.join(" <span>beside</span> "),
    );
    page += &legend(outcomes);
    page += &table(outcomes);
    page += &figure("Throughput", "operations a second, over the measured time", &throughput(outcomes));
    page += &figure("Latency", "how long this share of all operations took at most", &latency(outcomes));
    page += &figure(
        "Cost",
        "milliseconds of CPU an operation: <b class=\"user\">user</b>, <b class=\"system\">system</b>",
        &cost(outcomes),
    );
    page + "</main>\n</html>\n"
}

/// For where text is shown or quoted.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn figure(title: &str, what: &str, svg: &str) -> String {
    format!("<figure>\n<figcaption><h2>{title}</h2> {what}</figcaption>\n{svg}\n</figure>\n")
}

fn legend(outcomes: &[Outcome]) -> String {
    let item = |(number, outcome): (usize, &Outcome)| {
        let (colour, plan) = (number % COLOURS, &outcome.plan);
        format!("<li><i class=\"c{colour}\"></i><b>{}</b> {}</li>\n", escape(&plan.name), escape(&conditions(plan)))
    };
    format!("<ul>\n{}</ul>\n", outcomes.iter().enumerate().map(item).collect::<String>())
}

fn table(outcomes: &[Outcome]) -> String {
    let mut rows = String::from("<tr><th>");
    for outcome in outcomes {
        write!(rows, "<th>{}", escape(&outcome.plan.name)).expect("cannot fail: into memory");
    }
    let mut row = |what: &str, of: &dyn Fn(&Outcome) -> Option<String>| {
        let cells: Vec<_> = outcomes.iter().map(of).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| format!("<td>{}", cell.unwrap_or_else(|| "–".to_owned())));
            write!(rows, "\n<tr><th>{}{}", escape(what), cells.collect::<String>()).expect("cannot fail: into memory");
        }
    };
    row("an operation is a", &|outcome| Some(outcome.plan.workload.operation().to_owned()));
    row("operations", &|outcome| Some(grouped(outcome.operations)));
    row("a second", &|outcome| Some(amount(outcome.per_second)));
    row("p50", &|outcome| Some(milliseconds(outcome.latency.p50)));
    row("p90", &|outcome| Some(milliseconds(outcome.latency.p90)));
    row("p99", &|outcome| Some(milliseconds(outcome.latency.p99)));
    row("p99.9", &|outcome| Some(milliseconds(outcome.latency.p99_9)));
    row("max", &|outcome| Some(milliseconds(outcome.latency.max)));
    for part in keys(outcomes, |outcome| outcome.cost.keys()) {
        row(&format!("{part}, ms CPU an operation"), &|outcome| Some(significant(outcome.cost.get(part)?.sum())));
    }
    row("not sent", &|outcome| outcome.unsent.map(grouped));
    for what in keys(outcomes, |outcome| outcome.counts.keys()) {
        row(what, &|outcome| outcome.counts.get(what).copied().map(grouped));
    }
    row("errors", &|outcome| Some(grouped(outcome.errors.values().sum())));
    for code in keys(outcomes, |outcome| outcome.errors.keys()) {
        row(&format!("error {code}"), &|outcome| outcome.errors.get(code).copied().map(grouped));
    }
    format!("<div><table>\n{rows}\n</table></div>\n")
}

/// All there are in any of them, in order.
fn keys<'a, K: Iterator<Item = &'a String>>(outcomes: &'a [Outcome], of: impl Fn(&'a Outcome) -> K) -> Vec<&'a String> {
    let mut keys: Vec<_> = outcomes.iter().flat_map(of).collect();
    keys.sort();
    keys.dedup();
    keys
}

#[expect(clippy::cast_precision_loss, reason = "for a picture")]
fn throughput(outcomes: &[Outcome]) -> String {
    let rates = |timeline: &Timeline| -> Vec<f64> {
        timeline.operations.iter().map(|count| *count as f64 / timeline.width).collect()
    };
    let lasts = |timeline: &Timeline| timeline.width * timeline.operations.len() as f64;
    let longest = greatest(outcomes.iter().map(|outcome| lasts(&outcome.timeline)));
    let (up, top) = svg::rounded(greatest(outcomes.iter().flat_map(|outcome| rates(&outcome.timeline))));
    let line = |outcome: &Outcome| -> Line {
        let rates = rates(&outcome.timeline);
        // A part is drawn in its middle.
        let at = |(number, rate)| ((number as f64 + 0.5) * outcome.timeline.width / longest, rate / top);
        rates.into_iter().enumerate().map(at).collect()
    };
    let up: Vec<Tick> = up.into_iter().map(|rate| (rate / top, amount(rate))).collect();
    let (across, _) = svg::rounded(longest);
    let across = across.into_iter().filter(|second| *second <= longest);
    let across: Vec<Tick> = across.map(|second| (second / longest, format!("{} s", significant(second)))).collect();
    svg::lines("Throughput over time", &across, &up, &outcomes.iter().map(line).collect::<Vec<_>>())
}

/// Each further nine is as wide as the one before.
fn latency(outcomes: &[Outcome]) -> String {
    let nines = |share: f64| -(1.0 - share).log10() / 4.0;
    let points = || outcomes.iter().flat_map(|outcome| &outcome.latency.curve).map(|point| point.milliseconds);
    let least = points().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
    if !least.is_finite() {
        return svg::lines("Latency by percentile", &[], &[], &[]);
    }
    let powers = svg::powers(least, greatest(points()));
    let (bottom, top) = (powers[0], powers[powers.len() - 1]);
    let height = |value: f64| (value / bottom).log10() / (top / bottom).log10();
    let line = |outcome: &Outcome| -> Line {
        let curve = outcome.latency.curve.iter().filter(|point| point.milliseconds > 0.0);
        let line = curve.map(|point| (nines(point.share), height(point.milliseconds)));
        line.take_while(|(x, _)| *x <= 1.0).collect()
    };
    let across: Vec<Tick> = SHARES.iter().map(|(share, label)| (nines(*share), (*label).to_owned())).collect();
    let up: Vec<Tick> = powers.iter().map(|value| (height(*value), milliseconds(*value))).collect();
    svg::lines("Latency by percentile", &across, &up, &outcomes.iter().map(line).collect::<Vec<_>>())
}

fn cost(outcomes: &[Outcome]) -> String {
    let greatest = greatest(outcomes.iter().flat_map(|outcome| outcome.cost.values()).map(Cost::sum));
    let share = |value: f64| if greatest > 0.0 { value / greatest } else { 0.0 };
    let mut bars = Vec::new();
    for outcome in outcomes {
        for (part, cost) in &outcome.cost {
            let label = if outcomes.len() == 1 { part.clone() } else { format!("{}: {part}", outcome.plan.name) };
            let parts = vec![("user", share(cost.user)), ("system", share(cost.system))];
            bars.push(Bar { label, value: significant(cost.sum()), parts });
        }
    }
    svg::bars("CPU time an operation", &bars)
}

fn greatest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use crate::outcome::tests::outcome;

    #[test]
    fn a_name_cannot_become_markup() {
        let mut outcome = outcome();
        outcome.plan.name = "<script>\"&".to_owned();
        let page = super::html(&[outcome]);
        assert!(page.contains("&lt;script&gt;&quot;&amp;") && !page.contains("<script"));
    }

    #[test]
    fn several_runs_stand_side_by_side_and_nothing_is_fetched() {
        let page = super::html(&[outcome(), outcome()]);
        assert_eq!(page.matches("<path").count(), 4, "two lines in each of two pictures");
        assert_eq!(page.matches("<rect").count(), 4, "two parts of two bars");
        assert!(!page.contains("http") && !page.contains("NaN") && !page.contains("inf"));
    }
}
