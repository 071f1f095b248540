//! The command line: what is said there becomes a plan, and what comes of the plan is shown and written.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::plan::{Pace, Plan, Processes, Target, Way, Workload};
use crate::{Failure, Outcome, report, run, seed};

const EXAMPLES: &str = "\
Examples, against `symbolon dev` as it comes:
  symbolon-bench refresh --for 10s --server-pid $(pgrep -x symbolon)
  symbolon-bench refresh --over edge --in-flight 16
  symbolon-bench refresh --rate 500 --json > at-500.json
  symbolon-bench race --contenders 8
  symbolon-bench watch --watchers 1000 --rate 20 --html watch.html
  symbolon-bench report at-500.json at-1000.json --html both.html

Reading it:
  In a closed loop (--in-flight) the server sets the pace: look at the rate and at the CPU time an operation.
  In an open loop (--rate) the schedule does, and a call's latency begins when it was due, sent or not: look at
  the latency, and do not believe it beside a rate that was not reached or calls that were not sent.
  CPU time is of whole process trees, in milliseconds an operation; it is what a core has to give, and the
  figure to compare when generator and servers share a machine.";

/// Loads a token service and says how fast it was, how long callers waited and what it cost
#[derive(Parser)]
#[command(name = "symbolon-bench", version, after_help = EXAMPLES, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign subjects in that nobody heard of before
    Issue(Load),
    /// Redeem every session's newest refresh token, again and again
    Refresh(Load),
    /// Present one refresh token several times at once, then go on with what everybody got, and count who got what
    Race {
        /// How many present the token at once
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
        contenders: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Ask the server about access tokens that are good
    Introspect(Load),
    /// Verify access tokens in this process, with keys that are fetched once; nothing else is asked of the server
    Verify(Load),
    /// Revoke sessions, 50 a second unless --rate says otherwise, and measure how long after its answer each watcher hears
    Watch {
        /// How many watch
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
        watchers: usize,
        #[command(flatten)]
        load: Load,
    },
    /// Print SQL that fills a migrated database with sessions, for `refresh --seeded`
    Seed(seed::Fill),
    /// Make one report of several runs, side by side
    Report {
        /// What --json wrote
        #[arg(required = true, value_name = "FILE")]
        runs: Vec<PathBuf>,
        /// Where the report goes
        #[arg(long, value_name = "FILE")]
        html: PathBuf,
    },
}

#[derive(Args)]
struct Load {
    /// Which way the calls go in; edge is for refresh and race, json for these and issue
    #[arg(long, value_enum, default_value_t = Way::Grpc, help_heading = "Target")]
    over: Way,
    /// Where the gRPC service is
    #[arg(long = "server", value_name = "URL", default_value = "http://localhost:50051", help_heading = "Target")]
    grpc: String,
    /// Where the edge is, or the server written by hand
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080", help_heading = "Target")]
    http: String,
    /// The name of the edge's cookie [default: symbolon-PORT]
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    cookie: Option<String>,
    /// The CA of the gRPC service's certificate, instead of the system's
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    ca: Option<PathBuf>,
    /// The certificate to show to the gRPC service
    #[arg(long = "cert", value_name = "FILE", requires = "key", help_heading = "Target")]
    certificate: Option<PathBuf>,
    /// The private key of that certificate
    #[arg(long, value_name = "FILE", requires = "certificate", help_heading = "Target")]
    key: Option<PathBuf>,
    /// The caller's secret, on the first line of this file
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    token_file: Option<PathBuf>,

    /// How many calls are under way: always in a closed loop, at most in an open one [default: 64, and 512 with --rate, or as many as there are sessions]
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Load")]
    in_flight: Option<usize>,
    /// Start so many a second, answered or not (open loop), instead of one whenever one was answered (closed loop)
    #[arg(long, value_name = "PER SECOND", value_parser = rate, help_heading = "Load")]
    rate: Option<f64>,
    /// How long it is measured
    #[arg(long = "for", value_name = "SPAN", default_value = "10s", value_parser = span, help_heading = "Load")]
    measured: Duration,
    /// How long it is loaded before anything counts
    #[arg(long, value_name = "SPAN", default_value = "2s", value_parser = humantime::parse_duration, help_heading = "Load")]
    warm_up: Duration,
    /// How many sessions there are
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = at_least_one, help_heading = "Load")]
    sessions: usize,
    /// How many gRPC connections there are; over HTTP/1 every call in flight has its own
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one, help_heading = "Load")]
    connections: usize,
    #[command(flatten)]
    seeded: seed::Arguments,

    /// Read the CPU time of this process and all its children as the server's; may be given again
    #[arg(long, value_name = "PID", help_heading = "Results")]
    server_pid: Vec<u32>,
    /// The same as the database's
    #[arg(long, value_name = "PID", help_heading = "Results")]
    database_pid: Vec<u32>,
    /// What a report calls this run [default: the workload and the way]
    #[arg(long, value_name = "TEXT", help_heading = "Results")]
    name: Option<String>,
    /// Write the results as JSON to stdout
    #[arg(long, help_heading = "Results")]
    json: bool,
    /// Write a report to this file, which opens without a network
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    html: Option<PathBuf>,
}

/// `symbolon-bench`.
#[must_use]
pub fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::tell(&format!("symbolon-bench: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// The plan that a command line asks for.
///
/// # Errors
/// If it asks for none, or for something that does not go together.
pub fn plan(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Plan, clap::Error> {
    match Cli::try_parse_from(words)?.command.into_load() {
        Ok((workload, load)) => load.plan(workload),
        Err(_) => Err(Cli::command().error(ErrorKind::InvalidSubcommand, "seed and report run nothing")),
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    let (workload, load) = match command.into_load() {
        Ok(load) => load,
        Err(Aside::Seed(fill)) => return report::print(&fill.sql()),
        Err(Aside::Report { runs, html }) => {
            let outcomes: Result<Vec<_>, _> = runs.iter().map(|path| read(path)).collect();
            return write(&html, &report::html(&outcomes?));
        }
    };
    let plan = load.plan(workload).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(&plan))?;
    if let Some(html) = &load.html {
        write(html, &report::html(std::slice::from_ref(&outcome)))?;
    }
    report::print(&if load.json { report::json(&outcome)? } else { report::text(&outcome) })
}

/// What puts no load on anything.
enum Aside {
    Seed(seed::Fill),
    Report { runs: Vec<PathBuf>, html: PathBuf },
}

impl Command {
    fn into_load(self) -> Result<(Workload, Load), Aside> {
        Ok(match self {
            Self::Issue(load) => (Workload::Issue, load),
            Self::Refresh(load) => (Workload::Refresh, load),
            Self::Race { contenders, load } => (Workload::Race { contenders }, load),
            Self::Introspect(load) => (Workload::Introspect, load),
            Self::Verify(load) => (Workload::Verify, load),
            Self::Watch { watchers, load } => (Workload::Watch { watchers }, load),
            Self::Seed(fill) => return Err(Aside::Seed(fill)),
            Self::Report { runs, html } => return Err(Aside::Report { runs, html }),
        })
    }
}

impl Load {
    fn plan(&self, workload: Workload) -> Result<Plan, clap::Error> {
        let rate = self.rate.or(matches!(workload, Workload::Watch { .. }).then_some(50.0));
        let in_flight = |most: usize| self.in_flight.unwrap_or(most.min(self.sessions));
        let pace = match rate {
            Some(per_second) => Pace::Open { per_second, in_flight: in_flight(512) },
            None => Pace::Closed { in_flight: in_flight(64) },
        };
        let name = || format!("{} over {}", workload.name(), self.over.name());
        let plan = Plan {
            name: self.name.clone().unwrap_or_else(name),
            workload,
            over: self.over,
            pace,
            warm_up: self.warm_up,
            measured: self.measured,
            sessions: self.sessions,
            seeded: self.seeded.seeded(),
            connections: self.connections,
            target: Target {
                grpc: self.grpc.clone(),
                http: self.http.clone(),
                cookie: self.cookie.clone(),
                ca: self.ca.clone(),
                certificate: self.certificate.clone(),
                key: self.key.clone(),
                token_file: self.token_file.clone(),
            },
            processes: Processes { server: self.server_pid.clone(), database: self.database_pid.clone() },
        };
        plan.check().map_err(|sentence| Cli::command().error(ErrorKind::ArgumentConflict, sentence))?;
        Ok(plan)
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "expected a whole number of at least 1".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=1e6).contains(rate));
    rate.ok_or_else(|| "expected a number from 0.01 to 1000000".to_owned())
}

fn span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if span < Duration::from_millis(100) { Err("expected at least 100ms".to_owned()) } else { Ok(span) }
}

fn read(path: &Path) -> Result<Outcome, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: not what --json writes: {error}", path.display()).into())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(words: &[&str]) -> String {
        plan([&["symbolon-bench"], words].concat()).unwrap_err().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_loop_is_open_if_there_is_a_rate() {
        let pace = |words: &[&str]| plan([&["symbolon-bench"], words].concat()).unwrap().pace;
        assert_eq!(pace(&["refresh"]), Pace::Closed { in_flight: 64 });
        assert_eq!(pace(&["refresh", "--rate", "2000"]), Pace::Open { per_second: 2000.0, in_flight: 512 });
        assert_eq!(pace(&["watch"]), Pace::Open { per_second: 50.0, in_flight: 512 });
    }

    #[test]
    fn what_does_not_go_together_is_said_before_anything_is_asked() {
        assert!(fault(&["introspect", "--over", "edge"]).contains("introspect does not go over edge"));
        assert!(fault(&["issue", "--over", "edge"]).contains("issue does not go over edge"));
        assert!(fault(&["verify", "--over", "json"]).contains("verify does not go over json"));
        assert!(fault(&["refresh", "--sessions", "9", "--in-flight", "10"]).contains("needs as many --sessions"));
        assert!(
            fault(&["refresh", "--over", "edge", "--http", "https://a.example"]).contains("expected a URL like http:")
        );
        assert!(fault(&["refresh", "--rate", "0"]).contains("expected a number from"));
    }
}
