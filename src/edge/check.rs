//! `GET /auth/check`: forward authentication for gateways. 401 and 403 speak of the user only; what cannot be decided is
//! 503. Every answer sets every identity header, so that none of a client's own gets past a gateway that copies them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use symbolon_verifier::Claims;

use crate::edge::Edge;
use crate::edge::problem::{Code, Problem};

/// What the gateway says this route needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    /// One of these. None: one that a sign-in here asks for.
    audience: Vec<String>,
    /// All of these.
    scope: BTreeSet<String>,
    /// One of these.
    acr: Vec<String>,
}

pub(super) async fn check(State(edge): State<Arc<Edge>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let judged = judge(&edge, query.as_deref().unwrap_or_default(), &headers).await;
    let claims = judged.as_ref().ok();
    let said: [(HeaderName, &str); 5] = [
        (HeaderName::from_static("x-symbolon-subject"), claims.map_or("", |claims| &claims.sub)),
        (HeaderName::from_static("x-symbolon-session"), claims.map_or("", |claims| &claims.sid)),
        (HeaderName::from_static("x-symbolon-client"), claims.map_or("", |claims| &claims.client_id)),
        (HeaderName::from_static("x-symbolon-scope"), claims.and_then(|claims| claims.scope.as_deref()).unwrap_or("")),
        (HeaderName::from_static("x-symbolon-acr"), claims.and_then(|claims| claims.acr.as_deref()).unwrap_or("")),
    ];
    // Ours are printable ASCII; a claim that could not stand in a header is not handed on in part.
    let said = said.map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)));
    let mut response = match &judged {
        Ok(_) if said.iter().all(Option::is_some) => StatusCode::OK.into_response(),
        Ok(_) => Problem::from(Code::AccessTokenInvalid).into_response(),
        Err(problem) => problem.clone().into_response(),
    };
    let whole = response.status() == StatusCode::OK;
    for (name, value) in said.into_iter().flatten() {
        response.headers_mut().insert(name, if whole { value } else { HeaderValue::from_static("") });
    }
    response
}

async fn judge(edge: &Edge, query: &str, headers: &HeaderMap) -> Result<Claims, Problem> {
    let wanted = Wanted::read(query).ok_or_else(|| {
        Problem::bad_request(
            StatusCode::BAD_REQUEST,
            "the query may hold audience, scope and acr, each with a value, and nothing else",
        )
    })?;
    let claims = edge.bearer(headers).await?;
    let for_it = if wanted.audience.is_empty() {
        edge.is_for_us(&claims)
    } else {
        claims.aud.iter().any(|audience| wanted.audience.contains(audience))
    };
    if for_it && wanted.is_met_by(&claims) { Ok(claims) } else { Err(Code::AccessTokenInsufficient.into()) }
}

impl Wanted {
    /// `None` for a name that is not known, or one without a value: a misspelt one, or a gateway's variable that is not
    /// set, would let everybody pass.
    fn read(query: &str) -> Option<Self> {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.trim().is_empty() {
                return None;
            }
            let words = value.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
            match name.as_ref() {
                "audience" => wanted.audience.extend(words),
                "scope" => wanted.scope.extend(words),
                "acr" => wanted.acr.extend(words),
                _ => return None,
            }
        }
        Some(wanted)
    }

    fn is_met_by(&self, claims: &Claims) -> bool {
        let held: BTreeSet<_> = claims.scope.iter().flat_map(|scope| scope.split(' ')).collect();
        let scope = self.scope.iter().all(|scope| held.contains(scope.as_str()));
        let acr = self.acr.is_empty() || claims.acr.as_ref().is_some_and(|acr| self.acr.contains(acr));
        scope && acr
    }
}
