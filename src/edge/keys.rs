//! The issuer's public keys, kept in memory: fetched from the service, kept when it is away, and fetched anew when they
//! are old or a token names one that is not among them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use symbolon_verifier::{KeySource, VerifyingKey};
use tokio::sync::{Notify, watch};

use crate::edge::issuer::Issuer;
use crate::pb::auth as pb;

/// The least time between two fetches, so that forged key ids do not become calls.
const REST: Duration = Duration::from_secs(5);

/// How long a token with an unknown key waits for the fetch it set off.
const PATIENCE: Duration = Duration::from_secs(1);

/// How soon it is tried again while there is nothing yet.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// What the issuer publishes.
pub(super) struct Published {
    /// As in `iss`, byte for byte.
    pub(super) issuer: String,
    /// A JWK Set.
    pub(super) jwks: Bytes,
    /// How long it may be kept.
    pub(super) max_age: Duration,
    keys: HashMap<String, VerifyingKey>,
}

impl KeySource for Published {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        self.keys.get(kid).copied()
    }
}

/// The keys as last published.
pub(super) struct Keys {
    current: watch::Sender<Option<Arc<Published>>>,
    wanted: Notify,
    /// Whether the last fetch is long enough ago for another.
    rested: AtomicBool,
}

impl Default for Keys {
    fn default() -> Self {
        Self { current: watch::Sender::new(None), wanted: Notify::new(), rested: AtomicBool::new(false) }
    }
}

impl Keys {
    /// What is known; `None` before the first answer.
    pub(super) fn current(&self) -> Option<Arc<Published>> {
        self.current.borrow().clone()
    }

    /// Waits for the first answer.
    pub(super) async fn first(&self) {
        // Cannot end without one: the sender is ours.
        let _ = self.current.subscribe().wait_for(Option::is_some).await;
    }

    /// What is known after another look, for a token whose key is unknown: at once if the last look was just now.
    /// `None` if the service did not answer.
    pub(super) async fn newer(&self) -> Option<Arc<Published>> {
        let mut seen = self.current.subscribe();
        if !self.rested.load(Ordering::Acquire) {
            return self.current();
        }
        self.wanted.notify_one();
        tokio::time::timeout(PATIENCE, seen.changed()).await.ok()?.ok()?;
        self.current()
    }

    /// Keeps them fresh, for ever.
    pub(super) async fn follow(&self, issuer: &Issuer) {
        loop {
            let fetched = issuer.jwks().await.ok().and_then(read);
            let pause = match (&fetched, self.current()) {
                (Some(published), _) => published.max_age,
                // Stale keys are better than none: whoever signed with them still signs.
                (None, Some(_)) => REST * 2,
                (None, None) => {
                    tokio::time::sleep(FIRST_WAIT).await;
                    continue;
                }
            };
            if let Some(published) = fetched {
                self.current.send_replace(Some(Arc::new(published)));
            }
            tokio::time::sleep(REST).await;
            self.rested.store(true, Ordering::Release);
            let _ = tokio::time::timeout(pause.saturating_sub(REST), self.wanted.notified()).await;
            self.rested.store(false, Ordering::Release);
        }
    }
}

/// `None` if there is nothing in it that verifies.
fn read(answer: pb::GetJwksResponse) -> Option<Published> {
    let keys: HashMap<_, _> = answer.keys.iter().filter_map(|key| Some((key.kid.clone(), verifying(key)?))).collect();
    if keys.is_empty() || answer.issuer.is_empty() {
        tracing::warn!("the token service publishes no key that is known here");
        return None;
    }
    let jwk = |key: &pb::Jwk| {
        let mut jwk = json!({
            "kty": key.kty, "crv": key.crv, "x": key.x, "kid": key.kid, "use": key.r#use, "alg": key.alg
        });
        if !key.y.is_empty() {
            jwk["y"] = json!(key.y);
        }
        jwk
    };
    let jwks = json!({ "keys": answer.keys.iter().map(jwk).collect::<Vec<_>>() });
    let max_age = answer.max_age.and_then(|age| Duration::try_from(age).ok()).unwrap_or(REST);
    Some(Published { issuer: answer.issuer, jwks: Bytes::from(jwks.to_string()), max_age, keys })
}

fn verifying(key: &pb::Jwk) -> Option<VerifyingKey> {
    let bytes = URL_SAFE_NO_PAD.decode(&key.x).ok().filter(|_| key.kty == "OKP" && key.crv == "Ed25519")?;
    VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()
}
