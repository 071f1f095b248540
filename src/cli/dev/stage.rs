//! What the page of `dev` is shown and can make happen: one layer around the edge's routes that watches them, and routes of
//! its own under `/dev/`. Neither `serve` nor `edge` has it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use serde_json::json;
use tonic::Code;

use super::thief::Thief;
use super::timeline::{Answered, Asked, Timeline};
use super::world::{Outage, SkippingClock, judged};
use super::{page, thief};
use crate::clock::Clock;
use crate::edge::Channel;
use crate::edge::csrf::{self, decide};
use crate::edge::origin::Origins;
use crate::pb::auth::auth_service_client::AuthServiceClient;
use crate::pb::auth::{DecisionKind, ExplainSessionRequest};
use crate::time::Timestamp;

/// How long the token service can be stopped for.
const OUTAGE: Duration = Duration::from_secs(10);

/// The longest leap of the clock, in seconds: beyond every session's life.
const LEAP: u64 = 31 * 86_400;

/// The largest answer of the edge: a page of a thousand sessions.
pub(super) const ANSWER: usize = 4 * 1024 * 1024;

/// Everything the page's buttons act on.
pub(super) struct Stage {
    /// The name of the edge's cookie.
    pub(super) cookie: String,
    pub(super) origins: Origins,
    /// Where the edge's routes begin, without a slash at its end.
    pub(super) base_path: String,
    /// When this process began: whoever knew an earlier one begins anew.
    pub(super) began: Timestamp,
    pub(super) clock: Arc<SkippingClock>,
    /// Not where the database has a clock of its own, which stays as it is.
    pub(super) may_skip: bool,
    pub(super) outage: Arc<Outage>,
    /// The token service, not the way its edge asks it.
    pub(super) service: Channel,
    /// So many answers to the browser's refreshes are still to be lost.
    pub(super) losses: AtomicU32,
    pub(super) timeline: Mutex<Timeline>,
    pub(super) thief: Thief,
}

impl Stage {
    /// The edge's routes as `dev` has them.
    pub(super) fn around(self: Arc<Self>, edge: Router) -> Router {
        let edge = edge.layer(from_fn_with_state(Arc::clone(&self), watch));
        let page = page::routes(&self.base_path);
        let changing = Router::new()
            .route("/dev/skip/{seconds}", post(skip))
            .route("/dev/lose/{times}", post(lose))
            .route("/dev/stop", post(stop))
            .route("/dev/thief/copy", post(thief::copy))
            .with_state(Arc::clone(&self))
            // The thief asks the edge as everybody does.
            .route(
                "/dev/thief/refresh/{generation}",
                post(thief::refresh).with_state((Arc::clone(&self), edge.clone())),
            )
            .route_layer(from_fn_with_state(Arc::clone(&self), only_our_page));
        let own = Router::new()
            .route("/dev/state/{after}", get(state))
            .route("/dev/sessions/{id}", get(explain))
            .with_state(Arc::clone(&self))
            .merge(changing)
            .route_layer(from_fn_with_state(self, only_under_our_name));
        own.merge(page).merge(edge)
    }
}

impl Stage {
    /// Whether the answer at hand is one of those to be lost.
    fn loses_one(&self) -> bool {
        self.losses.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// JSON that nobody keeps.
pub(super) fn answer(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_string(value).expect("cannot fail: text and numbers");
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    (status, headers, body).into_response()
}

/// Notes what goes over the wire, and loses what is to be lost.
async fn watch(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let asked = Asked::of(&parts, &stage.cookie);
    let (response, verdict) = judged(next.run(Request::from_parts(parts, body))).await;
    let lost = verdict.is_some() && !asked.is_by_the_thief() && stage.loses_one();
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

/// A page of elsewhere whose name leads here now is of the same origin for its browser, but not for us.
async fn only_under_our_name(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let origin = [stage.origins.own().scheme().as_bytes(), b"://", host].concat();
    if stage.origins.allow(&origin) { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

/// What changes something is for the page, as at the edge.
async fn only_our_page(State(stage): State<Arc<Stage>>, request: Request, next: Next) -> Response {
    let asked = csrf::Asked::of(request.method(), request.headers(), false);
    let admitted = decide(&asked, &stage.origins) == csrf::Verdict::Admitted;
    if admitted { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

/// `GET /dev/state/{after}`: what there is to show, and what went over the wire after this entry.
async fn state(State(stage): State<Arc<Stage>>, Path(after): Path<u64>) -> Response {
    let timeline = stage.timeline.lock().unwrap_or_else(PoisonError::into_inner);
    let told = json!({
        "began": stage.began.millis(),
        "now": stage.clock.now().millis(),
        "skipped": stage.clock.skipped().as_secs(),
        "may_skip": stage.may_skip,
        "stopped_for": stage.outage.left().as_secs_f64(),
        "wire": timeline.after(after).collect::<Vec<_>>(),
    });
    answer(StatusCode::OK, &told)
}

/// `POST /dev/skip/{seconds}`: sets the server's clock forward.
async fn skip(State(stage): State<Arc<Stage>>, Path(seconds): Path<u64>) -> Response {
    if !stage.may_skip {
        return answer(StatusCode::CONFLICT, &json!({ "detail": "PostgreSQL has a clock of its own, which stays" }));
    }
    match stage.clock.skip(seconds.min(LEAP)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "detail": error.to_string() })),
    }
}

/// `POST /dev/lose/{times}`: the browser's next refreshes are answered, and the answers are lost.
async fn lose(State(stage): State<Arc<Stage>>, Path(times): Path<u32>) -> StatusCode {
    stage.losses.store(times, Ordering::Relaxed);
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
        Err(status) => {
            let unknown = status.code() == Code::NotFound;
            let code = if unknown { StatusCode::NOT_FOUND } else { StatusCode::BAD_GATEWAY };
            answer(code, &json!({ "detail": status.message() }))
        }
    }
}

/// `reuse detected`, as people read it.
fn kind(kind: DecisionKind) -> String {
    kind.as_str_name().trim_start_matches("DECISION_KIND_").replace('_', " ").to_lowercase()
}
