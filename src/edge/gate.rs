//! What every request that changes something passes first: it comes from a page of ours, and its body is small, JSON and
//! there in time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::edge::Edge;
use crate::edge::csrf::{Asked, Header, Verdict, decide};
use crate::edge::problem::{Code, Problem};

/// The most bytes of a body: a form's worth.
const BODY: usize = 8 * 1024;

/// How long it may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn gate(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    let asked = Asked::of(&parts.method, &parts.headers, has_body);
    let verdict = decide(&asked, &edge.origins);
    if let Some(problem) = refusal(verdict, &asked, &edge) {
        return problem.into_response();
    }
    if verdict == Verdict::Method {
        // The router says which methods there are.
        return next.run(Request::from_parts(parts, body)).await;
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    next.run(Request::from_parts(parts, body)).await
}

/// What is said to whoever may not; nobody is told of a method here.
fn refusal(verdict: Verdict, asked: &Asked<'_>, edge: &Edge) -> Option<Problem> {
    let origin = match asked.origin {
        Header::Once(origin) => origin,
        Header::Absent | Header::Repeated => b"",
    };
    let problem = match verdict {
        Verdict::CrossSite if asked.site == Header::Once(b"none") => {
            Problem::from(Code::CrossSite).with_detail("a page has to ask, not a person's address bar")
        }
        Verdict::CrossSite => Problem::from(Code::CrossSite).with_detail(edge.origins.hint(origin)),
        Verdict::Origin if origin.is_empty() => Problem::from(Code::OriginNotAllowed)
            .with_detail("nothing says which page asked: there is neither Sec-Fetch-Site nor one Origin"),
        Verdict::Origin => Problem::from(Code::OriginNotAllowed).with_detail(
            "the origin of this page is not one that may use this edge: name it in SYMBOLON_EDGE_ALLOWED_ORIGINS",
        ),
        Verdict::Marker => Code::CsrfHeaderMissing.into(),
        Verdict::ContentType => {
            Problem::bad_request(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body has to be application/json")
        }
        Verdict::Admitted | Verdict::Method => return None,
    };
    Some(problem)
}

async fn read(body: Body) -> Result<Body, Problem> {
    if body.is_end_stream() {
        return Ok(Body::empty());
    }
    let too_large = || Problem::bad_request(StatusCode::PAYLOAD_TOO_LARGE, "a body may have 8 KiB");
    if body.size_hint().lower() > BODY as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(PATIENCE, to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => Ok(Body::from(bytes)),
        Ok(Err(error)) if is_too_large(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::bad_request(StatusCode::BAD_REQUEST, "the body is not whole")),
        Err(_) => Err(Problem::bad_request(StatusCode::BAD_REQUEST, "the body did not come in time")),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>)
}
