//! What a signed-in person may see and end of their own: `GET /auth/sessions`, `DELETE /auth/sessions/{id}` and
//! `POST /auth/logout-all`. The subject is always the access token's; an id from a page is never believed without it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::edge::Edge;
use crate::edge::issuer::Refusal;
use crate::edge::problem::Problem;
use crate::edge::session::{not_ended, signed_out};
use crate::edge::times::{at, hour, rfc3339};
use crate::pb::auth as pb;
use crate::pb::auth::RevokeReason;
use crate::pb::auth::revoke_session_request::Target;

/// The newest sessions of a person: as many as one answer of the service holds.
const MOST: i32 = 1000;

/// Shorter idle times tell too exactly when somebody was last here.
const TELLING: Duration = Duration::from_secs(24 * 3600);

#[derive(Serialize)]
struct Body {
    sessions: Vec<Shown>,
}

/// A session as its owner sees it, times rounded down to the hour.
#[derive(Serialize)]
struct Shown {
    session_id: String,
    client_id: String,
    /// Whether it is the one that asks.
    current: bool,
    create_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_refresh_time: Option<String>,
    expire_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle_expire_time: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_agent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ip_address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    label: String,
}

pub(super) async fn list(State(edge): State<Arc<Edge>>, parts: Parts) -> Result<Response, Problem> {
    let (claims, cookie) = edge.signed_in(&parts).await?;
    let request =
        pb::ListSessionsRequest { subject: claims.sub, page_size: MOST, ..pb::ListSessionsRequest::default() };
    let listed = edge.issuer.list(request).await.map_err(not_ended)?;
    let sessions = listed.sessions.into_iter().map(|session| shown(session, &claims.sid)).collect();
    let body = serde_json::to_string(&Body { sessions }).expect("cannot fail: text and flags");
    Ok(with(cookie, ([(header::CONTENT_TYPE, "application/json")], body).into_response()))
}

/// An answer that sets the next cookie, if there is one.
fn with(cookie: Option<HeaderValue>, mut response: Response) -> Response {
    response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

fn shown(session: pb::Session, own: &str) -> Shown {
    let told = |time| rfc3339(hour(at(time)));
    let used = session.last_refresh_time.or(session.create_time);
    let idle = at(session.idle_expire_time).since(at(used));
    let device = session.device.unwrap_or_default();
    Shown {
        current: session.session_id == own,
        create_time: told(session.create_time),
        last_refresh_time: session.last_refresh_time.map(|time| told(Some(time))),
        expire_time: told(session.expire_time),
        idle_expire_time: (idle >= TELLING).then(|| told(session.idle_expire_time)),
        session_id: session.session_id,
        client_id: session.client_id,
        user_agent: device.user_agent,
        ip_address: device.ip_address,
        label: device.label,
    }
}

pub(super) async fn end(
    State(edge): State<Arc<Edge>>,
    Path(session_id): Path<String>,
    parts: Parts,
) -> Result<Response, Problem> {
    let (claims, cookie) = edge.signed_in(&parts).await?;
    let own = claims.sid == session_id;
    let reason = if own { RevokeReason::SignedOut } else { RevokeReason::SignedOutElsewhere };
    let request = pb::RevokeSessionRequest {
        target: Some(Target::SessionId(session_id)),
        reason: reason.into(),
        subject: claims.sub,
    };
    match edge.issuer.revoke(request).await {
        // What cannot be an id is nobody's, like what is unknown.
        Ok(_) | Err(Refusal::Asked) if !own => Ok(with(cookie, StatusCode::NO_CONTENT.into_response())),
        Ok(_) => Ok(signed_out(&edge)),
        Err(refusal) => Err(not_ended(refusal)),
    }
}

pub(super) async fn logout_all(State(edge): State<Arc<Edge>>, parts: Parts) -> Result<Response, Problem> {
    let (claims, _) = edge.signed_in(&parts).await?;
    let request = pb::RevokeSubjectSessionsRequest {
        subject: claims.sub,
        reason: RevokeReason::SignedOutElsewhere.into(),
        ..pb::RevokeSubjectSessionsRequest::default()
    };
    edge.issuer.revoke_subject(request).await.map_err(not_ended)?;
    Ok(signed_out(&edge))
}
