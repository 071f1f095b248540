//! The exchange as Envoy asks for it: `envoy.service.auth.v3.Authorization/Check` (`ext_authz` v3, over gRPC).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use tonic::{Code as RpcCode, Request, Response, Status};

use crate::edge::gateway::{Asked, Verdict, setting};
use crate::edge::problem::{Code, Problem};
use crate::edge::visitor::device;
use crate::edge::wanted::Wanted;
use crate::edge::{Edge, identity};
use crate::pb::envoy as pb;
use crate::pb::envoy::authorization_server::Authorization;
use crate::pb::envoy::check_response::HttpResponse;
use crate::pb::envoy::header_value_option::HeaderAppendAction;

/// Envoy's checks.
pub(super) struct Checks(pub(super) Arc<Edge>);

#[tonic::async_trait]
impl Authorization for Checks {
    async fn check(&self, request: Request<pb::CheckRequest>) -> Result<Response<pb::CheckResponse>, Status> {
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
        let each = http.header_map.ok_or_else(|| {
            tracing::error!(
                "Envoy joins headers, and two cookies to a broken one: set encode_raw_headers in ext_authz"
            );
            Status::failed_precondition("set encode_raw_headers")
        })?;
        let headers = headers(each);
        let asked = asked(&self.0, &http.method, &http.path, &headers, attributes.context_extensions);
        let verdict = match asked {
            Ok(asked) => self.0.judge_at_gateway(asked).await,
            Err(problem) => Verdict::Refuse(problem, None),
        };
        Ok(Response::new(answer(verdict)))
    }
}

/// Each header by itself.
fn headers(each: pb::HeaderMap) -> HeaderMap {
    let each = each.headers.into_iter().map(|pb::HeaderValue { key, value, raw_value }| {
        (key, if raw_value.is_empty() { value.into_bytes() } else { raw_value })
    });
    let known =
        each.filter_map(|(key, value)| Some((HeaderName::try_from(key).ok()?, HeaderValue::try_from(value).ok()?)));
    let mut headers = HeaderMap::new();
    for (name, value) in known {
        headers.append(name, value);
    }
    headers
}

fn asked<'a>(
    edge: &Edge,
    method: &str,
    target: &'a str,
    headers: &'a HeaderMap,
    wanted: BTreeMap<String, String>,
) -> Result<Asked<'a>, Problem> {
    let wanted = Wanted::from_pairs(wanted).ok_or_else(|| {
        let detail = "context_extensions may hold audience, scope and acr, each with a value, and nothing else";
        Problem::bad_request(StatusCode::BAD_REQUEST, detail)
    })?;
    let method = method.parse().map_err(|_| Code::BadRequest)?;
    Ok(Asked { method, target, headers, device: device(headers, &edge.trusted_proxies), wanted })
}

fn answer(verdict: Verdict) -> pb::CheckResponse {
    let (code, response) = match verdict {
        Verdict::Pass { upstream, answer } => {
            // What is empty is taken away: an empty header is still one.
            let (gone, headers): (Vec<_>, Vec<_>) = upstream.into_iter().partition(|(name, value)| {
                value.is_empty() && (*name == header::COOKIE || *name == header::AUTHORIZATION)
            });
            let response = pb::OkHttpResponse {
                headers: headers.iter().map(overwrite).collect(),
                headers_to_remove: gone.into_iter().map(|(name, _)| name.to_string()).chain(look_alikes()).collect(),
                response_headers_to_add: answer.iter().map(beside).collect(),
            };
            (RpcCode::Ok, HttpResponse::OkResponse(response))
        }
        Verdict::SignIn(location) => {
            (RpcCode::Unauthenticated, denied(StatusCode::FOUND, &[(header::LOCATION, location)], String::new()))
        }
        Verdict::Refuse(problem, cookie) => {
            let (status, body) = (problem.status(), problem.body());
            let mut said = problem.into_response();
            said.headers_mut().extend(setting(cookie));
            let headers: Vec<_> = said.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            (RpcCode::PermissionDenied, denied(status, &headers, body))
        }
    };
    let status = pb::Status { code: code.into(), ..pb::Status::default() };
    pb::CheckResponse { status: Some(status), http_response: Some(response) }
}

/// The identity headers as somebody else may spell them: for many an application an underscore is a hyphen.
fn look_alikes() -> impl Iterator<Item = String> {
    let names = identity::of_nobody().into_iter();
    names.flat_map(|(name, _)| {
        let words: Vec<_> = name.as_str().split('-').map(str::to_owned).collect();
        [["_", "_"], ["_", "-"], ["-", "_"]].map(|[one, two]| [&words[0], one, &words[1], two, &words[2]].concat())
    })
}

fn denied(status: StatusCode, headers: &[(HeaderName, HeaderValue)], body: String) -> HttpResponse {
    let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    HttpResponse::DeniedResponse(pb::DeniedHttpResponse {
        status: Some(pb::HttpStatus { code: i32::from(status.as_u16()) }),
        headers: headers.iter().chain([&no_store]).map(overwrite).collect(),
        body,
    })
}

/// The upstream's own cookies stay; of everything else there is one.
fn beside(header: &(HeaderName, HeaderValue)) -> pb::HeaderValueOption {
    if header.0 == header::SET_COOKIE {
        let append_action = HeaderAppendAction::AppendIfExistsOrAdd.into();
        return pb::HeaderValueOption { append_action, ..overwrite(header) };
    }
    overwrite(header)
}

fn overwrite((name, value): &(HeaderName, HeaderValue)) -> pb::HeaderValueOption {
    // Envoy reads text in answers, and no raw value. What is none are other cookies of the jar, which no browser sends so.
    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let header = pb::HeaderValue { key: name.to_string(), value, raw_value: Vec::new() };
    pb::HeaderValueOption {
        header: Some(header),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refusal_has_the_headers_it_has_elsewhere() {
        let problem = Problem::from(Code::RateLimited).with_retry_after(Some(Duration::from_secs(3)));
        let refusal = answer(Verdict::Refuse(problem, None)).http_response;
        let Some(HttpResponse::DeniedResponse(refusal)) = refusal else { panic!("no refusal: {refusal:?}") };
        let headers = refusal.headers.into_iter().filter_map(|it| it.header);
        let headers: BTreeMap<_, _> = headers.map(|header| (header.key, header.value)).collect();
        let expected =
            [("cache-control", "no-store"), ("content-type", "application/problem+json"), ("retry-after", "3")];
        assert_eq!(headers, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(refusal.status.map(|status| status.code), Some(429));
    }
}
