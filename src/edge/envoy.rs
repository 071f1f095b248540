//! The exchange as Envoy asks for it: `envoy.service.auth.v3.Authorization/Check` (`ext_authz` v3, over gRPC).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use tonic::{Code as RpcCode, Request, Response, Status};

use crate::edge::Edge;
use crate::edge::gateway::{Asked, Verdict};
use crate::edge::problem::{Code, Problem};
use crate::edge::visitor::device;
use crate::edge::wanted::Wanted;
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
        let headers = headers(http.header_map.unwrap_or_default(), &http.headers);
        let asked = asked(&self.0, &http.method, &http.path, &headers, attributes.context_extensions);
        let verdict = match asked {
            Ok(asked) => self.0.judge_at_gateway(asked).await,
            Err(problem) => Verdict::Refuse(problem),
        };
        Ok(Response::new(answer(verdict)))
    }
}

/// Each header by itself, as Envoy tells them when it is asked to; joined ones would make one broken cookie of two.
fn headers(each: pb::HeaderMap, joined: &BTreeMap<String, String>) -> HeaderMap {
    let each = each.headers.into_iter().map(|pb::HeaderValue { key, value, raw_value }| {
        (key, if raw_value.is_empty() { value.into_bytes() } else { raw_value })
    });
    let joined = joined.iter().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let known = each
        .chain(joined)
        .filter_map(|(key, value)| Some((HeaderName::try_from(key).ok()?, HeaderValue::try_from(value).ok()?)));
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
                headers_to_remove: gone.into_iter().map(|(name, _)| name.to_string()).collect(),
                response_headers_to_add: answer.iter().map(beside).collect(),
            };
            (RpcCode::Ok, HttpResponse::OkResponse(response))
        }
        Verdict::SignIn(location) => {
            (RpcCode::Unauthenticated, denied(StatusCode::FOUND, &[(header::LOCATION, location)], String::new()))
        }
        Verdict::Refuse(problem) => {
            let (status, body) = (problem.status(), problem.body());
            let said = problem.into_response();
            let headers: Vec<_> = said.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            (RpcCode::PermissionDenied, denied(status, &headers, body))
        }
    };
    let status = pb::Status { code: code.into(), ..pb::Status::default() };
    pb::CheckResponse { status: Some(status), http_response: Some(response) }
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
