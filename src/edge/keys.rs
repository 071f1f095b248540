//! The issuer's public keys, as the service answers them. When they are asked for, and how long they are kept, is the
//! business of the verifier's cache.

use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;
use symbolon_verifier::KeySet;

use crate::edge::issuer::Issuer;
use crate::pb::auth as pb;

/// The least time between a fetch and one that an unknown key sets off, so that forged key ids do not become calls.
pub(super) const REST: Duration = Duration::from_secs(5);

/// What the issuer publishes.
pub(super) struct Published {
    /// As in `iss`, byte for byte.
    pub(super) issuer: String,
    /// A JWK Set.
    pub(super) jwks: Bytes,
    /// How long it may be kept.
    pub(super) max_age: Duration,
    pub(super) keys: KeySet,
}

/// What the service publishes now and for how long; `None` if it does not answer, or with nothing that verifies.
pub(super) async fn published(issuer: &Issuer) -> Option<(Published, Duration)> {
    read(issuer.jwks().await.ok()?)
}

fn read(answer: pb::GetJwksResponse) -> Option<(Published, Duration)> {
    let jwk = |key: &pb::Jwk| {
        let mut jwk = json!({
            "kty": key.kty, "crv": key.crv, "x": key.x, "kid": key.kid, "use": key.r#use, "alg": key.alg
        });
        if !key.y.is_empty() {
            jwk["y"] = json!(key.y);
        }
        jwk
    };
    let jwks = json!({ "keys": answer.keys.iter().map(jwk).collect::<Vec<_>>() }).to_string();
    let keys = KeySet::from_json(jwks.as_bytes()).inspect_err(|error| {
        tracing::warn!(%error, "the keys of the token service are not believed");
    });
    let max_age = answer.max_age.and_then(|age| Duration::try_from(age).ok()).unwrap_or(REST);
    let published = Published { issuer: answer.issuer, jwks: Bytes::from(jwks), max_age, keys: keys.ok()? };
    // Whoever asks here keeps the answer for as long again: both together stay below the time a key is published ahead.
    (!published.issuer.is_empty()).then_some((published, max_age / 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;
    use crate::keys::SigningKey;

    /// R-KEY-04: a verifier behind the edge keeps what the edge kept already.
    #[test]
    fn a_key_set_is_kept_for_half_as_long_as_it_may_be_kept_by_others() {
        let key = SigningKey::generate(&SystemEntropy).public().jwk();
        let jwk = pb::Jwk {
            kty: key.kty.to_owned(),
            crv: key.crv.to_owned(),
            x: key.x,
            kid: key.kid,
            r#use: key.usage.to_owned(),
            alg: key.alg.to_owned(),
            ..Default::default()
        };
        let answer = pb::GetJwksResponse {
            issuer: "https://a".to_owned(),
            keys: vec![jwk],
            max_age: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
        };
        let (published, kept) = read(answer).unwrap();
        assert_eq!((published.max_age, kept), (Duration::from_secs(300), Duration::from_secs(150)));
    }
}
