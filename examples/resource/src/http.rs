//! The HTTP routes, and what each of them needs.

use std::time::Duration;

use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use symbolon_verifier::{Claims, Verifier};

/// How long ago a sign-in may be that deletes something.
const JUST_NOW: Duration = Duration::from_secs(300);

pub(crate) fn routes(verifier: &Verifier) -> Router {
    let signed_in = Router::new()
        .route("/orders", get(list))
        .route("/orders", post(place).layer(verifier.guard().scope("orders:write")))
        .route("/account", delete(close).layer(verifier.guard().max_age(JUST_NOW)))
        .route_layer(verifier.guard());
    // The token is looked at once, for all; the guards say who needs one.
    Router::new().route("/", get(greet)).merge(signed_in).layer(verifier.optional())
}

async fn greet(claims: Option<Claims>) -> String {
    claims.map_or_else(|| "hello, whoever you are\n".to_owned(), |claims| format!("hello, {}\n", claims.sub))
}

async fn list(claims: Claims) -> Json<Value> {
    Json(json!({ "subject": claims.sub, "orders": [] }))
}

async fn place(claims: Claims) -> Json<Value> {
    Json(json!({ "subject": claims.sub, "placed": true }))
}

async fn close(claims: Claims) -> Json<Value> {
    Json(json!({ "subject": claims.sub, "closed": true }))
}
