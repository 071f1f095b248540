//! What a gateway hands to upstreams about a user: five headers, all of them every time, so that none of a client's own
//! gets past a gateway that copies them.

use axum::http::{HeaderName, HeaderValue};
use symbolon_verifier::Claims;

const NAMES: [HeaderName; 5] = [
    HeaderName::from_static("x-symbolon-subject"),
    HeaderName::from_static("x-symbolon-session"),
    HeaderName::from_static("x-symbolon-client"),
    HeaderName::from_static("x-symbolon-scope"),
    HeaderName::from_static("x-symbolon-acr"),
];

/// The headers of this user. `None` if a claim cannot stand in one: it is not handed on in part.
pub(super) fn of(claims: &Claims) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let acr = claims.acr.as_deref().unwrap_or_default();
    let scope = claims.scope.as_deref().unwrap_or_default();
    let said = [&claims.sub, &claims.sid, &claims.client_id, scope, acr];
    // A space at an end is taken away on the way, and another user's name may be what is left.
    let fits = |value: &str| value.trim() == value;
    let header =
        |(name, value): (HeaderName, &str)| Some((name, HeaderValue::from_str(value).ok().filter(|_| fits(value))?));
    NAMES.into_iter().zip(said).map(|(name, value)| header((name, value))).collect()
}

/// The headers of nobody.
pub(super) fn of_nobody() -> Vec<(HeaderName, HeaderValue)> {
    NAMES.into_iter().map(|name| (name, HeaderValue::from_static(""))).collect()
}
