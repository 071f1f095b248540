//! The one table of all figures this program can show: their names, labels and what they mean. Whoever counts something
//! says so where it happens; what Prometheus is told about a figure, how times are cut into buckets, and docs/metrics.md
//! follow from here, and a test holds the table against the code.

use std::fmt::Write;

use metrics::Unit;

/// How a figure moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only up, from 0 at the start of the process.
    Counter,
    /// Up and down.
    Gauge,
    /// Counted by size, in buckets up to these.
    Histogram(&'static [f64]),
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// By which it is told apart. Each has a bounded number of values, whatever is sent.
    pub labels: &'static [&'static str],
    /// One line for Prometheus and the docs.
    pub means: &'static str,
}

/// The convention's own buckets for times (`rpc.server.call.duration`, `http.server.request.duration`), and three below
/// them: a refresh takes less than a millisecond.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// From "at once" to what the reading of everything, once a minute, finds.
const LAG: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Up to the largest batch.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

const fn figure(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    labels: &'static [&'static str],
    means: &'static str,
) -> Figure {
    Figure { name, kind, unit, labels, means }
}

use Kind::{Counter, Gauge, Histogram};
use Unit::{Bytes, Count, Seconds};

#[rustfmt::skip] // One row, one or two lines: what belongs together stays together.
pub const FIGURES: &[Figure] = &[
    figure("rpc_server_call_duration_seconds", Histogram(SECONDS), Seconds,
        &["rpc_method", "rpc_response_status_code", "rpc_system_name"],
        "How long gRPC calls took, from their headers to their answer; of a stream, until it began"),
    figure("http_server_request_duration_seconds", Histogram(SECONDS), Seconds,
        &["http_request_method", "http_response_status_code", "http_route", "url_scheme"],
        "How long requests to the edge took"),
    figure("symbolon_calls_total", Counter, Count, &["method", "reason"],
        "Calls by the reason of the error table that ended them, or `OK`"),
    figure("symbolon_refreshes_total", Counter, Count, &["outcome"], "Refresh tokens presented, by what the refresh rule made of them"),
    figure("symbolon_replays_other_device_total", Counter, Count, &[],
        "Replays from another address or browser than the session's: a theft, or a phone that changed its network"),
    figure("symbolon_sessions_issued_total", Counter, Count, &[], "Sign-ins"),
    figure("symbolon_sessions_revoked_total", Counter, Count, &[], "Sessions that calls ended"),
    figure("symbolon_denied_total", Counter, Count, &["dry_run"], "Refusals by policy: a caller asked for what it may not have"),
    figure("symbolon_introspections_refused_total", Counter, Count, &["reason"], "Access tokens that were shown and are none"),
    figure("symbolon_rotations_batch_size", Histogram(SIZES), Count, &[], "Rotations that shared one statement and one commit"),
    figure("symbolon_rotations_batch_seconds", Histogram(SECONDS), Seconds, &[], "How long that statement took, its commit included"),
    figure("symbolon_revocation_lag_seconds", Histogram(LAG), Seconds, &[],
        "How long after its end this replica learned from the database of a session that another one ended"),
    figure("symbolon_revocations_reasserted_total", Counter, Count, &[], "Ends of sessions that a fail-over had lost and that were written again"),
    figure("symbolon_feed_heard_timestamp_seconds", Gauge, Seconds, &[], "When the database last told what was ended"),
    figure("symbolon_feed_entries", Gauge, Count, &[], "Ended sessions and compromised keys that matter yet"),
    figure("symbolon_watchers", Gauge, Count, &[], "Streams of `WatchRevocations`"),
    figure("symbolon_watchers_too_slow_total", Counter, Count, &[], "Watchers sent away because they did not read"),
    figure("symbolon_signing_keys", Gauge, Count, &["state"], "Signing keys by state"),
    figure("symbolon_signing_key_activated_timestamp_seconds", Gauge, Seconds, &[], "When the key that signs began to"),
    figure("symbolon_signing_key_changes_total", Counter, Count, &["change"], "Changes of signing keys that this process made"),
    figure("symbolon_signing_keys_unreadable", Gauge, Count, &[], "Rows of signing keys that are left out, since they cannot be read"),
    figure("symbolon_clock_skew_seconds", Gauge, Seconds, &[], "How far this machine's clock is ahead of the database's; 0 on SQLite"),
    figure("symbolon_store_connections", Gauge, Count, &["pool", "state"], "Connections to the database, `idle` or `used`"),
    figure("symbolon_store_connections_max", Gauge, Count, &["pool"], "The most there may be"),
    figure("symbolon_store_retries_total", Counter, Count, &[], "Statements that were tried again"),
    figure("symbolon_ready", Gauge, Count, &[], "1 if it can serve, as `/readyz` says; looked at every two seconds"),
    figure("symbolon_reloads_total", Counter, Count, &["outcome", "what"], "Files that changed and were read again: `applied` or `refused`"),
    figure("symbolon_tls_handshakes_failed_total", Counter, Count, &["reason"], "TLS handshakes that failed"),
    figure("symbolon_lines_dropped_total", Counter, Count, &["stream"],
        "Lines of the `log` or the `audit` that were not written: their target is full, slow or gone"),
    figure("symbolon_gateway_checks_total", Counter, Count, &["answer"],
        "Requests a gateway asked about: `passed`, `sign_in`, `refused` or `undecided`"),
    figure("symbolon_verifier_revoked_sessions", Gauge, Count, &["issuer"], "Ended sessions the edge knows"),
    figure("symbolon_verifier_feed_heard_timestamp_seconds", Gauge, Seconds, &["issuer"], "When the edge last heard of revocations"),
    figure("symbolon_build_info", Gauge, Count, &["version"], "Always 1"),
    figure("process_cpu_seconds_total", Gauge, Seconds, &[], "CPU time this process has used"),
    figure("process_resident_memory_bytes", Gauge, Bytes, &[], "Memory it has"),
    figure("process_open_fds", Gauge, Count, &[], "Files and sockets it has open"),
    figure("process_max_fds", Gauge, Count, &[], "The most it may open"),
];

/// Tells the recorder of this process what each figure means. Counters begin at 0, not when something is first counted: the
/// first time would not be seen as a change.
pub fn describe() {
    for Figure { name, kind, unit, labels, means } in FIGURES {
        match kind {
            Counter => {
                metrics::describe_counter!(*name, *unit, *means);
                if labels.is_empty() {
                    metrics::counter!(*name).increment(0);
                }
            }
            Gauge => metrics::describe_gauge!(*name, *unit, *means),
            Histogram(_) => metrics::describe_histogram!(*name, *unit, *means),
        }
    }
    for (name, label, value) in FROM_ZERO {
        metrics::counter!(name, label => value).increment(0);
    }
}

/// The outcomes and streams that alerts look for, for the same reason.
const FROM_ZERO: [(&str, &str, &str); 7] = [
    ("symbolon_refreshes_total", "outcome", "rotated"),
    ("symbolon_refreshes_total", "outcome", "reuse"),
    ("symbolon_refreshes_total", "outcome", "rolled_back"),
    ("symbolon_denied_total", "dry_run", "false"),
    ("symbolon_denied_total", "dry_run", "true"),
    ("symbolon_lines_dropped_total", "stream", "audit"),
    ("symbolon_lines_dropped_total", "stream", "log"),
];

/// The table of docs/metrics.md.
#[must_use]
pub fn markdown_table() -> String {
    let mut table = "| figure | kind | labels | means |\n|---|---|---|---|\n".to_owned();
    for Figure { name, kind, labels, means, .. } in FIGURES {
        let kind = match kind {
            Counter => "counter",
            Gauge => "gauge",
            Histogram(_) => "histogram",
        };
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {means} |", labels.join(", "));
    }
    table
}
