//! What the process tells of itself: a log for people, audit events for machines, traces for whoever collects them, and
//! figures for Prometheus. Nothing of it ever makes a call wait.

mod outlet;
mod traces;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
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
    let told =
        told(filter, config.log_as_json, log.pen(Stream::Log), audit.as_ref().unwrap_or(&log).pen(Stream::Audit));
    let traces = config.traces.map(|traces| exporting(&traces.endpoint).map(|provider| (provider, traces.one_in)));
    let traces = traces.transpose()?;
    match &traces {
        Some((provider, one_in)) => {
            told.with(traces_of(provider)).init();
            trace::follow_one_in(*one_in);
        }
        // Not a layer that is left out: one without a filter has everything made that anybody could tell, down to the
        // frames of HTTP/2, for nobody to write.
        None => told.init(),
    }
    Ok(Telemetry { traces: traces.map(|(provider, _)| provider), _audit: audit, _log: log })
}

/// A log for people, and the audit.
fn told<W>(
    filter: EnvFilter,
    as_json: bool,
    people: W,
    audit: W,
) -> impl Subscriber + for<'a> LookupSpan<'a> + SubscriberInitExt
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let people = fmt::layer().with_writer(people);
    let people = if as_json {
        people.json().flatten_event(true).boxed()
    } else {
        people.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
    };
    let not_others = filter_fn(|metadata| !is_audit(metadata) && !is_span(metadata));
    // Of any level: without a word, the levels that the filter leaves out would be looked at each time.
    let people = people.with_filter(filter.and(not_others.with_max_level_hint(LevelFilter::TRACE)));
    tracing_subscriber::registry().with(people).with(audit_events(audit))
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
        .with_filter(filter_fn(is_audit).with_max_level_hint(LevelFilter::INFO))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each costs more than it would seem: HTTP/2 alone has dozens for a call.
    #[test]
    fn what_nobody_writes_is_not_even_made() {
        let told = told(EnvFilter::new("info"), true, std::io::sink, std::io::sink);
        assert_eq!(told.max_level_hint(), Some(LevelFilter::INFO));
        tracing::subscriber::with_default(told, || {
            assert!(tracing::info_span!(target: trace::TARGET, "turn").is_disabled());
            assert!(tracing::trace_span!(target: "h2", "frame").is_disabled());
            assert!(tracing::enabled!(target: "symbolon", tracing::Level::INFO));
        });
    }
}
