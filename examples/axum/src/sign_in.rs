//! `POST /sign-in`: a form of this backend's own page, and the cookie that the edge goes on with.

use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{CACHE_CONTROL, ORIGIN, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use crate::Backend;
use crate::page::page;
use crate::pb::Device;

pub(crate) async fn sign_in(
    State(backend): State<Arc<Backend>>,
    // The peer: behind a proxy, what it says in X-Forwarded-For instead.
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let refused = |status, says| (status, page(&backend.edge_url, says)).into_response();
    // A form of another site must not sign somebody in here as somebody else.
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    if origin != Some(backend.public_url.origin().ascii_serialization().as_bytes()) {
        return refused(StatusCode::FORBIDDEN, "Sign in on this page only.");
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return refused(rejection.status(), "Try again later."),
    };
    let (username, password) = (field(&body, "username"), field(&body, "password"));
    let user = match username.zip(password) {
        Some((username, password)) => backend.users.authenticate(&username, password).await,
        None => None,
    };
    let Some(user) = user else {
        return refused(StatusCode::UNAUTHORIZED, "That is not right.");
    };

    let user_agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    let device = Device {
        user_agent: user_agent.unwrap_or_default(),
        ip_address: peer.ip().to_canonical().to_string(),
        ..Device::default()
    };
    // Says nothing of what happened: an error of gRPC may quote what was asked.
    let issued = match backend.symbolon.issue(&user, device).await {
        Ok(issued) => issued,
        Err(status) => {
            log("could not sign in", &status);
            return refused(StatusCode::SERVICE_UNAVAILABLE, "Try again later.");
        }
    };
    let Some(cookie) = backend.cookie.set(&issued.refresh_token, issued.seconds) else {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "Try again later.");
    };
    // Only now, so that nothing is lost if the new session fails; whether it succeeds is the old session's business.
    if let Some(old) = backend.cookie.find(&headers)
        && let Err(status) = backend.symbolon.supersede(old).await
    {
        log("could not end the session before", &status);
    }
    let mut answer = Redirect::to("/").into_response();
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(SET_COOKIE, cookie);
    answer
}

/// A field of a form that has it once.
fn field(form: &[u8], name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(form).filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn log(what: &str, status: &tonic::Status) {
    let _ = writeln!(stderr(), "{what}: {:?}", status.code());
}
