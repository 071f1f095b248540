//! What every answer has around it: the headers that keep browsers from doing more with it than they should, CORS for the
//! listed origins and nobody else, and its place in the figures.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::clock::Stopwatch;
use crate::edge::Edge;
use crate::edge::csrf::{Header, SITE};
use crate::edge::network::is_trusted;
use crate::edge::problem::{Code, Problem};
use crate::edge::visitor::Peer;
use crate::trace::{self, Followed};

/// How long browsers are to use nothing but https: a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// On every answer; a route may say something else.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// What a page of a listed origin may ask with.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, x-symbolon-csrf");
/// For how many seconds a browser need not ask again.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");
const PREFLIGHT_VARY: HeaderValue =
    HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers");

pub(super) async fn frame(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let stopwatch = Stopwatch::start();
    let (route, method) = (request.extensions().get::<MatchedPath>().cloned(), known(request.method()));
    let span = followed(&edge, &request, method, route.as_ref());
    let mut response = next.run(request).instrument(span.clone()).await;
    secure(response.headers_mut(), edge.hsts);
    // Only routes there are, so that nobody can make up labels.
    let route = route.map_or(String::new(), |route| route.as_str().to_owned());
    let status = response.status().as_str().to_owned();
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    // By the semantic convention of OpenTelemetry for HTTP; `error.type` would only repeat the status.
    metrics::histogram!(
        "http_server_request_duration_seconds",
        "http_request_method" => method,
        "http_response_status_code" => status,
        "http_route" => route,
        "url_scheme" => edge.origins.own().scheme(),
    )
    .record(stopwatch.elapsed());
    response
}

/// The span of a request that is followed. What it is a part of, only a trusted proxy may say: a page could join, or have
/// followed, whatever it likes.
fn followed(edge: &Edge, request: &Request, method: &'static str, route: Option<&MatchedPath>) -> Span {
    let trusted = request.extensions().get::<Peer>().is_some_and(|peer| is_trusted(peer.0, &edge.trusted_proxies));
    let Some(followed) = Followed::request(trusted.then(|| request.headers())) else { return Span::none() };
    let route = route.map(MatchedPath::as_str);
    followed.begin(tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "request",
        "otel.name" = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "http.request.method" = method,
        "http.route" = route,
        "http.response.status_code" = Empty,
        "url.scheme" = edge.origins.own().scheme(),
    ))
}

/// A method as the convention names it, who made up one has made up no label.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// Puts in what an answer does not say otherwise.
pub(super) fn secure(headers: &mut HeaderMap, hsts: bool) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    if hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}

pub(super) async fn cors(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let origin = match Header::of(request.headers(), &header::ORIGIN) {
        Header::Once(origin) => HeaderValue::from_bytes(origin).ok().filter(|_| edge.origins.allow(origin)),
        Header::Absent | Header::Repeated => None,
    };
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (preflight, &origin) {
        (true, Some(_)) => may_ask(),
        (true, None) => not_asked(&edge, request.headers()).into_response(),
        (false, _) => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, if preflight { PREFLIGHT_VARY } else { HeaderValue::from_static("origin") });
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

/// Nothing follows a preflight that is refused, so a developer has to find here why.
fn not_asked(edge: &Edge, headers: &HeaderMap) -> Problem {
    match (Header::of(headers, &SITE), Header::of(headers, &header::ORIGIN)) {
        (Header::Once(b"cross-site"), Header::Once(origin)) => {
            Problem::from(Code::CrossSite).with_detail(edge.origins.hint(origin))
        }
        (Header::Absent | Header::Once(_) | Header::Repeated, _) => Code::OriginNotAllowed.into(),
    }
}

fn may_ask() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    response
}
