//! What the process tells of itself: a log for people, audit events for machines, traces for whoever collects them, and
//! figures for Prometheus. Nothing of it ever makes a call wait.

mod outlet;
mod traces;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub use self::outlet::Target;
use self::outlet::{Outlet, Stream};
pub use self::traces::{exporting, layer as traces_of};
use crate::figures::{self, FIGURES, Kind};
use crate::{audit, trace};

/// What is told, and where.
pub struct Config {
    /// Chooses what people read; audit events are told whatever it says.
    pub filter: String,
    pub log_as_json: bool,
    pub audit: Target,
    pub traces: Option<Traces>,
}

/// Where traces go, and how many there are.
pub struct Traces {
    pub endpoint: String,
    /// One call in so many, where its caller has not decided.
    pub one_in: u32,
}

/// What is being told. Dropped, it writes what is left, within a few seconds.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    // Before the log, which is told of what the audit lost.
    _audit: Option<Outlet>,
    _log: Outlet,
}

/// How long the collector may take for the last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Starts to tell, once a process; within a runtime, on which spans are sent.
///
/// # Errors
/// A sentence, if the filter is none, or a target cannot be written to.
pub fn start(config: Config) -> Result<Telemetry, String> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| format!("SYMBOLON_LOG: {error}"))?;
    let log = Outlet::open(Stream::Log, Target::Stderr)?;
    let audit = match config.audit {
        // One after the other, so that no line is in the middle of another.
        Target::Stderr => None,
        target @ (Target::Stdout | Target::File(_)) => Some(Outlet::open(Stream::Audit, target)?),
    };
    let people = fmt::layer().with_writer(log.pen(Stream::Log));
    let people = if config.log_as_json {
        people.json().flatten_event(true).boxed()
    } else {
        people.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
    };
    let people = people.with_filter(filter.and(filter_fn(|metadata| !is_audit(metadata) && !is_span(metadata))));
    let events = audit_events(audit.as_ref().unwrap_or(&log).pen(Stream::Audit));
    let traces = config.traces.map(|traces| exporting(&traces.endpoint).map(|provider| (provider, traces.one_in)));
    let traces = traces.transpose()?;
    let spans = traces.as_ref().map(|(provider, _)| traces_of(provider));
    tracing_subscriber::registry().with(people).with(events).with(spans).init();
    if let Some((_, one_in)) = traces {
        trace::follow_one_in(one_in);
    }
    Ok(Telemetry { traces: traces.map(|(provider, _)| provider), _audit: audit, _log: log })
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.traces.as_ref().map(|traces| traces.shutdown_with_timeout(LAST_SPANS)) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

/// Writes audit events, and nothing else, as one line of JSON each.
pub fn audit_events<S, W>(writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(filter_fn(is_audit))
}

fn is_audit(metadata: &Metadata<'_>) -> bool {
    metadata.target() == audit::TARGET
}

fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.target() == trace::TARGET
}

/// Counts, and shows what was counted as Prometheus reads it.
///
/// # Errors
/// If a histogram of the table has no buckets.
pub fn figures() -> Result<PrometheusBuilder, BuildError> {
    FIGURES.iter().try_fold(PrometheusBuilder::new(), |builder, figure| match figure.kind {
        Kind::Histogram(buckets) => builder.set_buckets_for_metric(Matcher::Full(figure.name.to_owned()), buckets),
        Kind::Counter | Kind::Gauge => Ok(builder),
    })
}

/// Starts counting, once a process. The handle renders the figures.
///
/// # Errors
/// If another recorder is at work.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let handle = figures()?.install_recorder()?;
    figures::describe();
    Ok(handle)
}
