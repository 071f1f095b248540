//! The thief: has a copy of the browser's cookie, as a program on its machine would, and asks from somewhere else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::stage::{ANSWER, Stage, answer};
use super::timeline::{Actor, answered, generation, presented};
use crate::edge::csrf::MARKER;

/// What sessions show of the thief.
const BROWSER: &str = "Thief/1.0 (another machine)";

/// What it has: refresh tokens of one session, by generation.
#[derive(Default)]
pub(super) struct Thief(Mutex<BTreeMap<u32, String>>);

impl Thief {
    /// Keeps a token; those of another session are of no use any more.
    fn keep(&self, token: &str) -> Option<u32> {
        let fresh = generation(token)?;
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, one| generation(one).is_some_and(|one| one.session_id == fresh.session_id));
        held.insert(fresh.generation, token.to_owned());
        Some(fresh.generation)
    }

    fn token(&self, generation: u32) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&generation).cloned()
    }
}

/// `POST /dev/thief/copy`: copies the cookie this request brings.
pub(super) async fn copy(State(stage): State<Arc<Stage>>, headers: HeaderMap) -> Response {
    match presented(&headers, &stage.cookie).and_then(|token| stage.thief.keep(token)) {
        Some(generation) => answer(StatusCode::OK, &json!({ "generation": generation })),
        None => answer(StatusCode::CONFLICT, &json!({ "detail": "there is no cookie to copy" })),
    }
}

/// `POST /dev/thief/refresh/{generation}`: refreshes with a copy. Answers how that went, and no token.
pub(super) async fn refresh(
    State((stage, edge)): State<(Arc<Stage>, Router)>,
    Path(generation): Path<u32>,
    request: Request,
) -> Response {
    let Some(token) = stage.thief.token(generation) else {
        return answer(StatusCode::CONFLICT, &json!({ "detail": "the thief has no such copy" }));
    };
    let Ok(uri) = format!("{}/refresh", stage.base_path).parse() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (mut asking, _) = request.into_parts();
    asking.uri = uri;
    asking.extensions.remove::<MatchedPath>();
    asking.headers = HeaderMap::new();
    let cookie = format!("{}={token}", stage.cookie);
    let own = stage.origins.own().url();
    for (name, value) in
        [(header::COOKIE, cookie.as_str()), (header::ORIGIN, own), (MARKER, "1"), (header::USER_AGENT, BROWSER)]
    {
        if let Ok(value) = value.parse() {
            asking.headers.insert(name, value);
        }
    }
    asking.extensions.insert(Actor::Thief);
    let told = edge.oneshot(Request::from_parts(asking, Body::empty())).await.unwrap_or_else(|never| match never {});
    let fresh = answered(told.headers(), &stage.cookie).and_then(|token| stage.thief.keep(token));
    let status = told.status();
    let body = to_bytes(told.into_body(), ANSWER).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    answer(StatusCode::OK, &json!({ "status": status.as_u16(), "code": body["code"], "generation": fresh }))
}
