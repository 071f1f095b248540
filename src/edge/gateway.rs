//! The exchange, for gateways: a request that somebody sends to an upstream, and what is to become of it. A refresh cookie is
//! exchanged for an access token, a bearer token is checked, and the upstream is told who it is. It listens where no proxy
//! leads to: what it answers is worth a sign-in.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::edge::check::malformed;
use crate::edge::cookie::{Found, find, without};
use crate::edge::csrf::{self, Header};
use crate::edge::envoy::Checks;
use crate::edge::problem::{Code, Problem};
use crate::edge::visitor::device;
use crate::edge::wanted::Wanted;
use crate::edge::{Edge, identity};
use crate::pb::auth::Device;
use crate::pb::envoy::authorization_server::AuthorizationServer;

/// A request at the gateway, as the browser sent it.
pub(super) struct Asked<'a> {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) device: Device,
    pub(super) wanted: Wanted,
}

/// What the gateway is to do.
pub(super) enum Verdict {
    /// Send it on with these headers instead of the client's own, and give the browser those of `answer`.
    Pass { upstream: Vec<(HeaderName, HeaderValue)>, answer: Vec<(HeaderName, HeaderValue)> },
    /// Send the browser to the sign-in.
    SignIn(HeaderValue),
    /// Answer the browser this, and the next cookie all the same: it has been spent for one.
    Refuse(Problem, Option<HeaderValue>),
}

/// What Envoy calls.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// The body of a refusal once more: nginx hands on headers of what `auth_request` was answered, and no body.
const PROBLEM: HeaderName = HeaderName::from_static("x-symbolon-problem");

/// An answer that sets the cookie is nobody else's, whatever the upstream says of it.
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// Forward authentication at `/exchange?audience=&scope=&acr=`, and Envoy's Check.
fn routes(edge: Arc<Edge>) -> Router {
    let checks = AuthorizationServer::new(Checks(Arc::clone(&edge)));
    // Of gRPC's own fallback every proxy would see a 200, and let everybody in.
    let checks = Router::new().route_service(CHECK, checks).route_layer(from_fn(only_grpc));
    Router::new().route("/exchange", any(exchange)).with_state(edge).merge(checks).fallback(nothing)
}

async fn nothing() -> Problem {
    Code::NotFound.into()
}

async fn only_grpc(request: Request, next: Next) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind.starts_with(b"application/grpc") { next.run(request).await } else { nothing().await.into_response() }
}

/// Serves gateways, by HTTP/1 and HTTP/2, until `shutdown`.
///
/// # Errors
/// If it cannot serve.
pub async fn serve(
    edge: Arc<Edge>,
    listeners: Vec<TcpListener>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = stream::select_all(listeners.into_iter().map(TcpListenerStream::new)).filter_map(async |accepted| {
        // Out of file descriptors, or the peer was gone: tonic would end the whole server.
        if let Err(error) = &accepted {
            tracing::warn!(%error, "a gateway's connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        accepted.ok().map(Ok::<_, io::Error>)
    });
    let mut server = Server::builder().accept_http1(true).tcp_nodelay(true);
    server.add_routes(Routes::from(routes(edge))).serve_with_incoming_shutdown(Box::pin(incoming), shutdown).await
}

impl Edge {
    /// Judges a request.
    pub(super) async fn judge_at_gateway(self: &Arc<Self>, asked: Asked<'_>) -> Verdict {
        let verdict = match self.pass(&asked).await {
            Ok(verdict) => verdict,
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => match self.sign_in(&asked) {
                Some(location) => Verdict::SignIn(location),
                None => Verdict::Refuse(problem, None),
            },
            Err(problem) => Verdict::Refuse(problem, None),
        };
        let answer = match &verdict {
            Verdict::Pass { .. } => "passed",
            Verdict::SignIn(_) => "sign_in",
            Verdict::Refuse(problem, _) if problem.status().is_server_error() => "undecided",
            Verdict::Refuse(..) => "refused",
        };
        metrics::counter!("symbolon_gateway_checks_total", "answer" => answer).increment(1);
        verdict
    }

    async fn pass(self: &Arc<Self>, asked: &Asked<'_>) -> Result<Verdict, Problem> {
        let jar = || asked.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
        let (claims, authorization, cookie) = match find(jar(), self.cookie.name()) {
            Found::One(presented) => {
                self.check_origin(asked)?;
                let presented = std::str::from_utf8(presented).map_err(|_| Code::SessionInvalid)?;
                let worth = self.exchange(presented, asked.device.clone()).await?;
                let bearer = format!("Bearer {}", worth.access_token);
                let bearer = HeaderValue::try_from(bearer).map_err(|_| Code::IssuerUnavailable)?;
                (worth.claims.clone(), bearer, worth.set_cookie(self)?)
            }
            Found::Duplicate => return Err(Code::DuplicateCookie.into()),
            Found::None if !asked.headers.contains_key(header::AUTHORIZATION) => return Err(Code::NoSession.into()),
            Found::None => {
                let claims = self.bearer(asked.headers).await?;
                (claims, asked.headers[header::AUTHORIZATION].clone(), None)
            }
        };
        let Some(mut upstream) = identity::of(&claims) else {
            return Ok(Verdict::Refuse(Code::AccessTokenInvalid.into(), cookie));
        };
        if !asked.wanted.is_met_by(&claims, self) {
            return Ok(Verdict::Refuse(Code::AccessTokenInsufficient.into(), cookie));
        }
        upstream.push((header::AUTHORIZATION, authorization));
        // Of bytes that came in a header.
        let left = HeaderValue::from_bytes(&without(jar(), self.cookie.name())).map_err(|_| Code::BadRequest)?;
        upstream.push((header::COOKIE, left));
        Ok(Verdict::Pass { upstream, answer: setting(cookie) })
    }

    /// A cookie authenticates whatever a browser sends along: what may change something has to come from a page of ours.
    fn check_origin(&self, asked: &Asked<'_>) -> Result<(), Problem> {
        // A gateway may keep the first of these to itself, as what is between it and the browser (Traefik does).
        let upgrades = [header::UPGRADE, header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION]
            .iter()
            .any(|name| asked.headers.contains_key(name));
        if !upgrades && [Method::GET, Method::HEAD, Method::OPTIONS].contains(&asked.method) {
            return Ok(());
        }
        let [site, origin] = [&csrf::SITE, &header::ORIGIN].map(|name| Header::of(asked.headers, name));
        if csrf::is_ours(site, origin, &self.origins) { Ok(()) } else { Err(Code::CrossSite.into()) }
    }

    /// Where a page load goes whose user is signed out; whatever else it is has to be told 401.
    fn sign_in(&self, asked: &Asked<'_>) -> Option<HeaderValue> {
        let login_url = self.login_url.as_deref()?;
        let mode = Header::of(asked.headers, &FETCH_MODE);
        if asked.method != Method::GET || mode != Header::Once(b"navigate") {
            return None;
        }
        let sign = if login_url.contains('?') { '&' } else { '?' };
        let back: String = form_urlencoded::byte_serialize(path_of_ours(asked.target).as_bytes()).collect();
        HeaderValue::try_from(format!("{login_url}{sign}return_to={back}")).ok()
    }
}

/// The headers that set a cookie, which make an answer nobody else's.
pub(super) fn setting(cookie: Option<HeaderValue>) -> Vec<(HeaderName, HeaderValue)> {
    let headers = cookie.map(|cookie| [(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, PRIVATE)]);
    headers.into_iter().flatten().collect()
}

/// A path on this host, and nothing that a browser would take for another one.
fn path_of_ours(target: &str) -> &str {
    let ours = target.starts_with('/') && !target.starts_with("//") && !target.contains(['\\', '\n', '\r', '\t']);
    if ours { target } else { "/" }
}

async fn exchange(State(edge): State<Arc<Edge>>, RawQuery(query): RawQuery, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let verdict = match asked(&edge, query.as_deref().unwrap_or_default(), &parts) {
        Ok(asked) => edge.judge_at_gateway(asked).await,
        Err(problem) => Verdict::Refuse(problem, None),
    };
    let (mut response, headers) = match verdict {
        Verdict::Pass { mut upstream, answer } => {
            upstream.extend(answer);
            (StatusCode::OK.into_response(), upstream)
        }
        Verdict::SignIn(location) => {
            let mut headers = identity::of_nobody();
            headers.push((header::LOCATION, location));
            (StatusCode::FOUND.into_response(), headers)
        }
        Verdict::Refuse(problem, cookie) => {
            let mut headers = identity::of_nobody();
            headers.extend(setting(cookie));
            headers.extend(HeaderValue::try_from(problem.body()).ok().map(|body| (PROBLEM, body)));
            (problem.into_response(), headers)
        }
    };
    response.headers_mut().extend(headers);
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What the gateway says of the request: it is not the one that came here.
fn asked<'a>(edge: &Edge, query: &str, parts: &'a Parts) -> Result<Asked<'a>, Problem> {
    let said = |name: &HeaderName| match Header::of(&parts.headers, name) {
        Header::Once(value) => std::str::from_utf8(value).ok(),
        Header::Absent | Header::Repeated => None,
    };
    let silent = "the gateway has to say X-Forwarded-Method and X-Forwarded-Uri";
    let silent = || Problem::bad_request(StatusCode::BAD_REQUEST, silent);
    let method = said(&FORWARDED_METHOD).and_then(|method| method.parse().ok()).ok_or_else(silent)?;
    Ok(Asked {
        method,
        target: said(&FORWARDED_URI).ok_or_else(silent)?,
        headers: &parts.headers,
        device: device(&parts.headers, &edge.trusted_proxies),
        wanted: Wanted::read(query).ok_or_else(malformed)?,
    })
}

#[cfg(test)]
mod tests {
    use super::path_of_ours;

    #[test]
    fn a_page_is_returned_to_on_this_host_only() {
        for path in ["/", "/orders?x=1#y", "/a//b", "/%2f/evil.example"] {
            assert_eq!(path_of_ours(path), path);
        }
        for elsewhere in ["//evil.example", "https://evil.example", "", "/\\evil.example", "evil", "/\t/evil.example"] {
            assert_eq!(path_of_ours(elsewhere), "/", "{elsewhere}");
        }
    }
}
