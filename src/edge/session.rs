//! The session behind the cookie: `POST /auth/refresh` and `POST /auth/logout`, and what both sign-in and refresh
//! answer.
//!
//! A refresh never deletes the cookie, whatever the service says: a deletion cannot be conditional, and an answer that is
//! late would take away a cookie that was set meanwhile.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::edge::Edge;
use crate::edge::cookie::{self, Found};
use crate::edge::issuer::{Dead, Refusal};
use crate::edge::problem::{Code, Problem};
use crate::edge::times::{at, rfc3339};
use crate::edge::visitor::Visitor;
use crate::pb::auth as pb;
use crate::pb::auth::RevokeReason;
use crate::pb::auth::revoke_session_request::Target;

/// What a browser sent under our cookie's name.
pub(super) struct Jar(Option<Vec<u8>>);

impl Jar {
    pub(super) fn of(edge: &Edge, parts: &Parts) -> Result<Self, Problem> {
        let headers = parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
        match cookie::find(headers, edge.cookie.name()) {
            Found::None => Ok(Self(None)),
            Found::One(value) => Ok(Self(Some(value.to_vec()))),
            Found::Duplicate => Err(Code::DuplicateCookie.into()),
        }
    }

    /// The refresh token, if that is what it can be.
    pub(super) fn token(&self) -> Option<String> {
        self.0.clone().and_then(|value| String::from_utf8(value).ok())
    }
}

pub(super) async fn refresh(State(edge): State<Arc<Edge>>, parts: Parts) -> Result<Response, Problem> {
    if edge.hides_tokens {
        return Err(Code::NotFound.into());
    }
    let jar = Jar::of(&edge, &parts)?;
    if jar.0.is_none() {
        return Err(Code::NoSession.into());
    }
    let presented = jar.token().ok_or(Code::SessionInvalid)?;
    edge.forget(&presented);
    let device = Some(Visitor::of(&parts, &edge.trusted_proxies).device());
    let request =
        pb::RefreshTokensRequest { refresh_token: presented.clone(), device, ..pb::RefreshTokensRequest::default() };
    let refreshed = edge.issuer.refresh(request).await.map_err(refused)?;
    granted(&edge, Some(&presented), refreshed.tokens, refreshed.session)
}

pub(super) fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Dead(Dead::Invalid) => Code::SessionInvalid.into(),
        Refusal::Dead(Dead::Reused) => Code::SessionReused.into(),
        Refusal::Dead(Dead::Expired) => Code::SessionExpired.into(),
        Refusal::Dead(Dead::Revoked) => Code::SessionRevoked.into(),
        Refusal::Stale => Code::RefreshStale.into(),
        Refusal::RateLimited(after) => Problem::from(Code::RateLimited).with_retry_after(after),
        Refusal::SessionLimit | Refusal::Asked | Refusal::NotFound => Code::IssuerUnavailable.into(),
        Refusal::Unavailable(after) => Problem::from(Code::IssuerUnavailable).with_retry_after(after),
    }
}

pub(super) async fn logout(State(edge): State<Arc<Edge>>, parts: Parts) -> Result<Response, Problem> {
    if let Some(token) = Jar::of(&edge, &parts)?.token() {
        edge.forget(&token);
        edge.issuer.revoke(by_token(token, RevokeReason::SignedOut)).await.map_err(not_ended)?;
    }
    Ok(signed_out(&edge))
}

/// Whatever kept a session from being ended: to say that the user is signed out would be a lie.
pub(super) fn not_ended(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::RateLimited(after) => Problem::from(Code::RateLimited).with_retry_after(after),
        Refusal::Unavailable(after) => Problem::from(Code::IssuerUnavailable).with_retry_after(after),
        Refusal::Dead(_) | Refusal::Stale | Refusal::SessionLimit | Refusal::Asked | Refusal::NotFound => {
            Code::IssuerUnavailable.into()
        }
    }
}

/// 204, and the cookie is deleted.
pub(super) fn signed_out(edge: &Edge) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(deletion) = edge.cookie.delete() {
        response.headers_mut().insert(header::SET_COOKIE, deletion);
    }
    response
}

pub(super) fn by_token(token: String, reason: RevokeReason) -> pb::RevokeSessionRequest {
    pb::RevokeSessionRequest {
        target: Some(Target::RefreshToken(token)),
        reason: reason.into(),
        ..pb::RevokeSessionRequest::default()
    }
}

/// What sign-in and refresh answer: everything but the refresh token; in BFF mode nothing but the session. Seconds from now,
/// since browsers' clocks are wrong.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    tokens: Option<Grant<'a>>,
    session: Shown<'a>,
}

#[derive(Serialize)]
struct Grant<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: i64,
    refresh_in: i64,
}

#[derive(Serialize)]
struct Shown<'a> {
    session_id: &'a str,
    subject: &'a str,
    client_id: &'a str,
    create_time: String,
    expire_time: String,
    idle_expire_time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    acr: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    amr: &'a [String],
    auth_time: String,
}

/// The answer to a sign-in or a refresh; the cookie whenever the token differs from the one presented.
pub(super) fn granted(
    edge: &Edge,
    presented: Option<&str>,
    tokens: Option<pb::TokenPair>,
    session: Option<pb::Session>,
) -> Result<Response, Problem> {
    let (Some(tokens), Some(session)) = (tokens, session) else {
        tracing::error!("the token service answers without tokens or session");
        return Err(Code::IssuerUnavailable.into());
    };
    let now = edge.clock.now();
    // By the second, as the token itself has it: a fresh one of 15 minutes says 900.
    let left = |time| at(time).seconds().saturating_sub(now.seconds());
    let authentication = session.authentication.clone().unwrap_or_default();
    let body = Body {
        tokens: (!edge.hides_tokens).then(|| Grant {
            access_token: &tokens.access_token,
            token_type: &tokens.token_type,
            expires_in: left(tokens.access_token_expire_time),
            refresh_in: left(tokens.refresh_after).max(0),
        }),
        session: Shown {
            session_id: &session.session_id,
            subject: &session.subject,
            client_id: &session.client_id,
            create_time: rfc3339(at(session.create_time)),
            expire_time: rfc3339(at(session.expire_time)),
            idle_expire_time: rfc3339(at(session.idle_expire_time)),
            acr: &authentication.acr,
            amr: &authentication.amr,
            auth_time: rfc3339(at(authentication.auth_time)),
        },
    };
    let body = serde_json::to_string(&body).expect("cannot fail: text and numbers");
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if presented != Some(tokens.refresh_token.as_str()) {
        let lives = at(tokens.refresh_token_expire_time).since(now);
        let lives: Option<Duration> = (!session.browser_session).then_some(lives);
        let cookie = edge.cookie.set(&tokens.refresh_token, lives).map_err(|_| {
            tracing::error!("the token service answers a refresh token that cannot stand in a cookie");
            Code::IssuerUnavailable
        })?;
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
