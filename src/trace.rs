//! Which calls are followed, and how the rooms they pass know of each other: the span of a call is the child of whatever its
//! caller names in `traceparent` (W3C Trace Context), and names itself to whomever it calls. No token, session or subject
//! stands in a span. While nothing is followed, which is the default, it costs a look at one number.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, trace};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of every span that is sent to a collector.
pub const TARGET: &str = "symbolon::trace";

/// The names of spans that follow from no other: a request to the edge, a call, a batch. All others are steps of one.
pub const FIRST: [&str; 3] = ["request", "call", "batch"];

/// Where a caller says what it is a part of.
pub const TRACEPARENT: &str = "traceparent";

/// One call in so many is followed; 0: none.
static ONE_IN: AtomicU32 = AtomicU32::new(0);
/// Each counted for itself: a request that is not followed makes calls that may be.
static REQUESTS: AtomicU32 = AtomicU32::new(0);
static CALLS: AtomicU32 = AtomicU32::new(0);

/// Follows one call in so many from now on, and those whose caller says so.
pub fn follow_one_in(calls: u32) {
    ONE_IN.store(calls, Ordering::Relaxed);
}

/// A call that is to be followed, and what it is a part of.
pub struct Followed(Option<SpanContext>);

impl Followed {
    /// Whether a request to the edge is to be followed. Whoever sent these headers decides, if it may; else every so many.
    #[must_use]
    pub fn request(headers: Option<&HeaderMap>) -> Option<Self> {
        Self::decide(headers, &REQUESTS)
    }

    /// Whether a call with these headers is to be followed.
    #[must_use]
    pub fn call(headers: &HeaderMap) -> Option<Self> {
        Self::decide(Some(headers), &CALLS)
    }

    fn decide(headers: Option<&HeaderMap>, counted: &AtomicU32) -> Option<Self> {
        let one_in = ONE_IN.load(Ordering::Relaxed);
        if one_in == 0 {
            return None;
        }
        match headers.and_then(|headers| parent(headers.get(TRACEPARENT)?)) {
            Some(parent) => parent.is_sampled().then_some(Self(Some(parent))),
            None => counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(one_in).then_some(Self(None)),
        }
    }

    /// Gives the span of the call, which nobody has entered yet, its place.
    #[must_use]
    pub fn begin(self, span: Span) -> Span {
        if let Self(Some(parent)) = self {
            // It fails where nobody listens: then there is no span to place.
            let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
        span
    }
}

/// What is told to whoever is called within this span, if it is followed.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let context = trace::TraceContextExt::span(&context).span_context().clone();
    let flags = context.trace_flags().to_u8();
    context.is_valid().then(|| format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()))
}

/// Version 00, and whatever a later one adds behind it.
fn parent(header: &HeaderValue) -> Option<SpanContext> {
    let text = header.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let well_formed = [(version, 2), (trace_id, 32), (span_id, 16), (flags, 2)].iter().all(|(part, length)| {
        part.len() == *length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    });
    if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & TraceFlags::SAMPLED.to_u8());
    let (trace_id, span_id) = (TraceId::from_hex(trace_id).ok()?, SpanId::from_hex(span_id).ok()?);
    let context = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_traceparent_says_anything() {
        let read = |text: &str| parent(&HeaderValue::try_from(text).expect("a header"));
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(read(good).expect("well formed").is_sampled());
        assert!(!read(&good.replace("-01", "-00")).expect("well formed").is_sampled());
        assert!(read(&good.replace("00-4", "cc-4").replace("-01", "-01-more")).is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "sr1_0000000000000000000000000000000000000000000000000000",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
