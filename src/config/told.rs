//! What the process tells of itself, and where.

use std::num::NonZeroU32;

use super::resolve::Settings;

/// Log, audit and traces.
#[derive(Clone, Debug)]
pub struct Told {
    /// A `tracing` filter of the log.
    pub log: String,
    /// Whether the log is JSON.
    pub log_as_json: bool,
    /// `stderr`, `stdout` or the path of a file.
    pub audit_file: String,
    /// `None`: nothing is traced.
    pub traces: Option<Traces>,
}

/// Traces.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The URL of an OTLP/gRPC collector.
    pub endpoint: String,
    /// One call in so many is traced where its caller has not decided.
    pub one_in: NonZeroU32,
}

impl Told {
    pub(super) fn of(settings: &Settings) -> Self {
        let endpoint = settings.get("traces.endpoint");
        Self {
            log: settings.of("log"),
            log_as_json: settings.of::<String>("log_format") == "json",
            audit_file: settings.of("audit_file"),
            traces: endpoint.map(|endpoint| Traces { endpoint, one_in: settings.of("traces.one_in") }),
        }
    }
}
