//! `GET /auth/check`: forward authentication for gateways. 401 and 403 speak of the user only; what cannot be decided is
//! 503. Every answer sets every identity header.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use symbolon_verifier::Claims;

use crate::edge::problem::{Code, Problem};
use crate::edge::wanted::Wanted;
use crate::edge::{Edge, identity};

pub(super) async fn check(State(edge): State<Arc<Edge>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let judged = judge(&edge, query.as_deref().unwrap_or_default(), &headers).await;
    let told = judged.and_then(|claims| identity::of(&claims).ok_or(Code::AccessTokenInvalid.into()));
    let (mut response, headers) = match told {
        Ok(headers) => (StatusCode::OK.into_response(), headers),
        Err(problem) => (problem.into_response(), identity::of_nobody()),
    };
    response.headers_mut().extend(headers);
    response
}

async fn judge(edge: &Edge, query: &str, headers: &HeaderMap) -> Result<Claims, Problem> {
    let wanted = Wanted::read(query).ok_or_else(malformed)?;
    let claims = edge.bearer(headers).await?;
    if wanted.is_met_by(&claims, edge) { Ok(claims) } else { Err(Code::AccessTokenInsufficient.into()) }
}

/// What a gateway is told whose configuration is wrong.
pub(super) fn malformed() -> Problem {
    let detail = "the query may hold audience, scope and acr, each with a value, and nothing else";
    Problem::bad_request(StatusCode::BAD_REQUEST, detail)
}
