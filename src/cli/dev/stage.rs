//! What the page of `dev` is shown and can make happen: one layer around the edge's routes that watches them, and routes of
//! its own under `/dev/`. Neither `serve` nor `edge` has it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::json;

use super::thief::Thief;
use super::timeline::{Answered, Asked, Timeline, generation, presented};
use super::world::{Outage, SkippingClock, judged};
use super::{page, thief};
use crate::clock::Clock;
use crate::edge::Channel;
use crate::edge::csrf::{self, decide};
use crate::edge::origin::Origins;
use crate::pb::auth::auth_service_client::AuthServiceClient;
use crate::pb::auth::{DecisionKind, ExplainSessionRequest};

/// How long the token service can be stopped for.
const OUTAGE: Duration = Duration::from_secs(10);

/// The longest leap of the clock: beyond every session's life.
const LEAP: Duration = Duration::from_secs(31 * 86_400);

/// The largest answer of the edge: a page of a thousand sessions.
pub(super) const ANSWER: usize = 4 * 1024 * 1024;

/// Everything the page's buttons act on.
pub(super) struct Stage {
    /// The name of the edge's.
    pub(super) cookie: String,
    pub(super) origins: Origins,
    /// Where the edge refreshes.
    pub(super) refresh: Uri,
    pub(super) clock: Arc<SkippingClock>,
    /// Not where the database has a clock of its own, which stays as it is.
    pub(super) may_skip: bool,
    pub(super) outage: Arc<Outage>,
    /// The token service, not the way its edge asks it.
    pub(super) service: Channel,
    pub(super) loses_next: AtomicBool,
    pub(super) timeline: Mutex<Timeline>,
    pub(super) thief: Thief,
}

impl Stage {
    /// The edge's routes as `dev` has them.
    pub(super) fn around(self: Arc<Self>, edge: Router) -> Router {
        let edge = edge.layer(from_fn_with_state(Arc::clone(&self), watch));
        let changing = Router::new()
            .route("/dev/skip/{seconds}", post(skip))
            .route("/dev/lose", post(lose))
            .route("/dev/stop", post(stop))
            .route("/dev/thief/copy", post(thief::copy))
            .with_state(Arc::clone(&self))
            // The thief asks the edge as everybody does.
            .route(
                "/dev/thief/refresh/{generation}",
                post(thief::refresh).with_state((Arc::clone(&self), edge.clone())),
            )
            .route_layer(from_fn_with_state(Arc::clone(&self), only_our_page));
        let shown = Router::new().route("/dev/state/{after}", get(state)).route("/dev/sessions/{id}", get(explain));
        shown.with_state(self).merge(changing).merge(page::routes()).merge(edge)
    }
}

/// JSON that nobody keeps.
pub(super) fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_string(value).expect("cannot fail: text and numbers");
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}

/// Notes what goes over the wire, and loses what is to be lost.
async fn watch(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts, &stage.cookie);
    let (response, verdict) = judged(next.run(Request::from_parts(parts, body))).await;
    let may_be_lost = asked.is_refresh() && !asked.is_by_the_thief();
    let lost = may_be_lost && stage.loses_next.swap(false, Ordering::Relaxed);
    let (parts, body) = response.into_parts();
    let Ok(body) = to_bytes(body, ANSWER).await else { return StatusCode::BAD_GATEWAY.into_response() };
    let answered = Answered { status: parts.status, headers: &parts.headers, body: &body, verdict, lost };
    let mut timeline = stage.timeline.lock().unwrap_or_else(PoisonError::into_inner);
    timeline.add(asked, &answered, &stage.cookie, stage.clock.now());
    drop(timeline);
    if lost {
        // As a proxy says it whose connection broke.
        return StatusCode::BAD_GATEWAY.into_response();
    }
    Response::from_parts(parts, Body::from(body))
}

/// What changes something is for the page, as at the edge.
async fn only_our_page(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    match decide(&csrf::Asked::of(request.method(), request.headers(), false), &stage.origins) {
        csrf::Verdict::Admitted => next.run(request).await,
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

/// `GET /dev/state/{after}`: what there is to show, and what went over the wire after this entry.
async fn state(State(stage): State<Arc<Stage>>, Path(after): Path<u64>, headers: HeaderMap) -> Response {
    let timeline = stage.timeline.lock().unwrap_or_else(PoisonError::into_inner);
    let state = json!({
        "now": stage.clock.now().millis(),
        "skipped": stage.clock.skipped().as_secs(),
        "may_skip": stage.may_skip,
        "stopped_for": stage.outage.left().as_secs_f64(),
        "loses_next": stage.loses_next.load(Ordering::Relaxed),
        "generation": presented(&headers, &stage.cookie).and_then(generation).map(|token| token.generation),
        "wire": timeline.after(after).collect::<Vec<_>>(),
    });
    answer(StatusCode::OK, &state)
}

/// `POST /dev/skip/{seconds}`: sets the server's clock forward.
async fn skip(State(stage): State<Arc<Stage>>, Path(seconds): Path<u64>) -> Response {
    if !stage.may_skip {
        return answer(StatusCode::CONFLICT, &json!({ "detail": "PostgreSQL has a clock of its own, which stays" }));
    }
    stage.clock.skip(Duration::from_secs(seconds).min(LEAP));
    StatusCode::NO_CONTENT.into_response()
}

/// `POST /dev/lose`: the browser's next refresh is answered, and the answer is lost.
async fn lose(State(stage): State<Arc<Stage>>) -> StatusCode {
    stage.loses_next.store(true, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

/// `POST /dev/stop`: the token service answers its edge nothing for a while.
async fn stop(State(stage): State<Arc<Stage>>) -> StatusCode {
    stage.outage.begin(OUTAGE);
    StatusCode::NO_CONTENT
}

/// `GET /dev/sessions/{id}`: what `ExplainSession` says.
async fn explain(State(stage): State<Arc<Stage>>, Path(id): Path<String>) -> Response {
    let request = ExplainSessionRequest { session_id: id };
    match AuthServiceClient::new(stage.service.clone()).explain_session(request).await {
        Ok(explained) => {
            let explained = explained.into_inner();
            let decisions: Vec<_> = explained
                .decisions
                .iter()
                .map(|decision| {
                    let time = decision.time.unwrap_or_default();
                    json!({
                        "time": time.seconds * 1000 + i64::from(time.nanos / 1_000_000),
                        "kind": kind(decision.kind()),
                        "presented": decision.presented_generation,
                        "current": decision.current_generation,
                        "user_agent": decision.device.as_ref().map(|device| &device.user_agent),
                    })
                })
                .collect();
            answer(StatusCode::OK, &json!({ "summary": explained.summary, "decisions": decisions }))
        }
        Err(status) => answer(StatusCode::NOT_FOUND, &json!({ "detail": status.message() })),
    }
}

/// `reuse detected`, as people read it.
fn kind(kind: DecisionKind) -> String {
    kind.as_str_name().trim_start_matches("DECISION_KIND_").replace('_', " ").to_lowercase()
}
