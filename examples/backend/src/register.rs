//! `POST /register`: makes a user, and issues no token: the new user signs in at the edge like everybody. It takes JSON
//! only, which no form of another site can send.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::password;
use crate::users::Users;

#[derive(Deserialize)]
struct Form {
    username: String,
    password: String,
    /// Whether a code of an authenticator app is wanted at every sign-in.
    #[serde(default)]
    totp: bool,
}

pub(crate) fn routes(users: Arc<Users>) -> Router {
    Router::new().route("/register", post(register)).with_state(users)
}

async fn register(State(users): State<Arc<Users>>, Json(form): Json<Form>) -> Response {
    let username = form.username.trim().to_lowercase();
    if username.is_empty()
        || username.len() > 64
        || !username.chars().all(|it| it.is_alphanumeric() || "._-@".contains(it))
    {
        return refused(StatusCode::BAD_REQUEST, "a username has 1 to 64 letters, digits or any of ._-@");
    }
    if !(8..=1000).contains(&form.password.chars().count()) {
        return refused(StatusCode::BAD_REQUEST, "a password has 8 to 1000 characters");
    }
    let mut secret = [0; 20];
    if getrandom::fill(&mut secret).is_err() {
        return broken();
    }
    let secret = form.totp.then_some(secret);
    let Ok(hash) = password::hash(form.password).await else { return broken() };
    match users.add(&username, &hash, secret.as_ref().map(<[u8; 20]>::as_slice)).await {
        Ok(true) => (StatusCode::CREATED, Json(answer(&username, secret))).into_response(),
        // Says that somebody has the name: with mail addresses for names, send a mail and say the same to everybody.
        Ok(false) => refused(StatusCode::CONFLICT, "this username is taken"),
        Err(_) => broken(),
    }
}

/// What the authenticator app is told, once. A real backend asks for one code before it turns the factor on.
fn answer(username: &str, secret: Option<[u8; 20]>) -> serde_json::Value {
    let Some(secret) = secret else { return json!({ "username": username }) };
    let secret = totp_rs::Secret::from(secret.to_vec()).to_base32();
    let uri = format!("otpauth://totp/Example:{username}?secret={secret}&issuer=Example");
    json!({ "username": username, "totp_secret": secret, "totp_uri": uri })
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

fn broken() -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, "try again later")
}
