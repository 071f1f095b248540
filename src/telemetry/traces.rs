//! Sending spans to a collector, by OTLP over gRPC, from a bounded queue: a collector that is slow, hangs or is gone costs
//! the spans that find no place in it, and nothing else.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, dynamic_filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::trace;

/// How long the collector may take for some spans.
const PATIENCE: Duration = Duration::from_secs(5);

/// A batch is linked to each of its members.
const LINKS: u32 = 1000;

/// What sends spans to this collector. What else there is to say of it stands in the environment, under OpenTelemetry's own
/// names: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_…`.
///
/// # Errors
/// A sentence, if the collector's URL is none.
pub fn exporting(endpoint: &str) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(PATIENCE);
    let exporter = if endpoint.starts_with("https://") {
        exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
    } else {
        exporter
    };
    let exporter = exporter.build().map_err(|error| format!("SYMBOLON_TRACES_ENDPOINT: {error}"))?;
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("symbolon");
    }
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        // Which calls are followed is decided before there is a span.
        .with_sampler(Sampler::AlwaysOn)
        .with_max_links_per_span(LINKS)
        .with_resource(resource.build())
        .build())
}

/// Hands the spans of `crate::trace`, and nothing else, to a provider.
#[must_use]
pub fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target() == trace::TARGET;
    // A step is a span only where what it is a step of is one.
    let filter = dynamic_filter_fn(move |metadata, context| {
        ours(metadata) && (trace::FIRST.contains(&metadata.name()) || context.lookup_current().is_some())
    });
    let filter = filter
        .with_max_level_hint(LevelFilter::INFO)
        .with_callsite_filter(move |metadata| if ours(metadata) { Interest::sometimes() } else { Interest::never() });
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("symbolon"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter)
}
