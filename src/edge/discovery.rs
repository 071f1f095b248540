//! What services need to verify tokens: the JWK Set (RFC 7517), the server's metadata (RFC 8414) and the part of `OpenID
//! Connect Discovery` that is true of it. From memory, and whatever the request says its host is.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::edge::Edge;
use crate::edge::keys::Published;
use crate::edge::problem::{Code, Problem};

pub(super) fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/oauth-authorization-server", get(server))
        .route("/.well-known/openid-configuration", get(openid))
}

async fn jwks(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Response {
    answer(&edge, &headers, "application/jwk-set+json", |published| published.jwks.clone())
}

async fn server(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Response {
    answer(&edge, &headers, "application/json", |published| {
        // There is no endpoint of OAuth here: "none" is the response type for that, and lists without an element are
        // left out (RFC 8414 section 3.2).
        let document = json!({
            "issuer": published.issuer,
            "jwks_uri": jwks_uri(&edge),
            "response_types_supported": ["none"],
        });
        Bytes::from(document.to_string())
    })
}

async fn openid(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Response {
    answer(&edge, &headers, "application/json", |published| {
        let document = json!({
            "issuer": published.issuer,
            "jwks_uri": jwks_uri(&edge),
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [symbolon_verifier::ALGORITHM],
        });
        Bytes::from(document.to_string())
    })
}

fn jwks_uri(edge: &Edge) -> String {
    format!("{}/.well-known/jwks.json", edge.origins.own().url())
}

fn answer(
    edge: &Edge,
    headers: &HeaderMap,
    media_type: &'static str,
    document: impl FnOnce(&Published) -> Bytes,
) -> Response {
    let Some(published) = edge.keys.current() else { return Problem::from(Code::IssuerUnavailable).into_response() };
    let body = document(&published);
    let digest: [u8; 32] = Sha256::digest(&body).into();
    let tag = digest[..16].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let tag = format!("\"{tag}\"");
    let lasts = format!("public, max-age={}", published.max_age.as_secs());
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| matches(value.as_bytes(), tag.as_bytes()));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let headers = response.headers_mut();
    let mut say = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    if !known {
        say(header::CONTENT_TYPE, media_type);
    }
    say(header::ETAG, &tag);
    say(header::CACHE_CONTROL, &lasts);
    say(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    say(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    response
}

/// The weak comparison of RFC 9110 section 13.1.2.
fn matches(condition: &[u8], tag: &[u8]) -> bool {
    let tags = condition.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tags.map(|one| one.strip_prefix(b"W/").unwrap_or(one)).any(|one| one == tag || one == b"*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_found_in_any_list() {
        for condition in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\",W/\"a\"", "*"] {
            assert!(matches(condition.as_bytes(), b"\"a\""), "{condition}");
        }
        for condition in ["", "a", "\"b\"", "\"a", "\"A\""] {
            assert!(!matches(condition.as_bytes(), b"\"a\""), "{condition}");
        }
    }
}
