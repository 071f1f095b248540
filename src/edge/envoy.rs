//! The exchange as Envoy asks for it: `envoy.service.auth.v3.Authorization/Check` (`ext_authz` v3, over gRPC).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tonic::{Code as RpcCode, Request, Response, Status};

use crate::edge::Edge;
use crate::edge::gateway::{Asked, Verdict};
use crate::edge::problem::{Code, MEDIA_TYPE, Problem};
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
                response_headers_to_add: answer.iter().map(overwrite).collect(),
            };
            (RpcCode::Ok, HttpResponse::OkResponse(response))
        }
        Verdict::SignIn(location) => {
            (RpcCode::Unauthenticated, denied(StatusCode::FOUND, &[(header::LOCATION, location)], String::new()))
        }
        Verdict::Refuse(problem) => {
            let kind = [(header::CONTENT_TYPE, MEDIA_TYPE)];
            (RpcCode::PermissionDenied, denied(problem.status(), &kind, problem.body()))
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

fn overwrite((name, value): &(HeaderName, HeaderValue)) -> pb::HeaderValueOption {
    let header = pb::HeaderValue { key: name.to_string(), value: String::new(), raw_value: value.as_bytes().to_vec() };
    pb::HeaderValueOption {
        header: Some(header),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
        keep_empty_value: true,
    }
}
