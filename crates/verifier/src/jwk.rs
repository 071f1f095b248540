//! An issuer's published keys: a JWK Set (RFC 7517, section 5) read with suspicion. It owns which keys of a set are good
//! for access tokens and which sets are not believed at all; it does not know where a set comes from.

use crate::{KeySource, MAX_KID_CHARS, VerifyingKey, members};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::collections::HashMap;

/// The most bytes a set may have: a key takes about 150.
pub const MAX_JWKS_BYTES: usize = 1024 * 1024;

/// The most keys a set may have. An issuer that changes its key every two seconds, as only tests do, publishes about 150.
pub const MAX_JWKS_KEYS: usize = 500;

/// The Ed25519 keys of a JWK Set, by `kid`.
#[derive(Clone, Debug)]
pub struct KeySet(HashMap<String, VerifyingKey>);

/// A key as it is published (RFC 7517, section 4; RFC 8037, section 2). What is not text where text belongs makes the set
/// malformed; members that are not named here are of no concern.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Jwk {
    /// The key type: `OKP`, or it is not ours.
    pub kty: String,
    /// The curve: `Ed25519`, or it is not ours.
    pub crv: Option<String>,
    /// The public key, base64url.
    pub x: Option<String>,
    /// Its name. A key without one is found by no token.
    pub kid: Option<String>,
    /// `EdDSA`, `Ed25519` (RFC 9864) or absent.
    pub alg: Option<String>,
    /// `sig` or absent.
    pub r#use: Option<String>,
}

/// Why a set is not believed. Whoever holds another keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// More than [`MAX_JWKS_BYTES`] bytes.
    #[error("the JWK Set has more than {MAX_JWKS_BYTES} bytes")]
    TooLarge,
    /// More than [`MAX_JWKS_KEYS`] keys.
    #[error("the JWK Set has more than {MAX_JWKS_KEYS} keys")]
    TooMany,
    /// Not JSON with an array `keys` of JWKs, or a member named twice.
    #[error("this is not a JWK Set")]
    Malformed,
    /// An Ed25519 key that is not 32 bytes of base64url, is no point of the curve, or one of small order.
    #[error("the JWK Set has an Ed25519 key that is none")]
    BadKey,
    /// Two Ed25519 keys under one `kid`.
    #[error("the JWK Set has two keys of one kid")]
    Duplicate,
    /// No key that verifies access tokens.
    #[error("the JWK Set has no key for EdDSA signatures")]
    Empty,
}

impl KeySet {
    /// Reads a JWK Set.
    ///
    /// # Errors
    /// See [`KeySetError`]: any doubt about one key is a doubt about the set.
    pub fn from_json(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Jwk>,
        }

        if json.len() > MAX_JWKS_BYTES {
            return Err(KeySetError::TooLarge);
        }
        members::are_unique(json).map_err(|_| KeySetError::Malformed)?;
        let Set { keys } = serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        Self::new(&keys)
    }

    /// Takes those of `jwks` that are for EdDSA signatures with Ed25519; keys of other types, algorithms and uses are
    /// skipped.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn new(jwks: &[Jwk]) -> Result<Self, KeySetError> {
        if jwks.len() > MAX_JWKS_KEYS {
            return Err(KeySetError::TooMany);
        }
        let mut keys = HashMap::new();
        for jwk in jwks.iter().filter(|jwk| jwk.is_ours()) {
            let key = jwk.key().ok_or(KeySetError::BadKey)?;
            let Some(kid) = jwk.kid.as_ref().filter(|kid| kid.chars().count() <= MAX_KID_CHARS) else { continue };
            if keys.insert(kid.clone(), key).is_some() {
                return Err(KeySetError::Duplicate);
            }
        }
        if keys.is_empty() { Err(KeySetError::Empty) } else { Ok(Self(keys)) }
    }
}

impl KeySource for KeySet {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        self.0.get(kid).copied()
    }
}

impl Jwk {
    fn is_ours(&self) -> bool {
        self.kty == "OKP"
            && self.crv.as_deref() == Some("Ed25519")
            && matches!(self.alg.as_deref(), None | Some("EdDSA" | "Ed25519"))
            && matches!(self.r#use.as_deref(), None | Some("sig"))
    }

    /// A key of small order verifies nothing under the strict rules; a set that has one is somebody's attempt.
    fn key(&self) -> Option<VerifyingKey> {
        let bytes = URL_SAFE_NO_PAD.decode(self.x.as_ref()?).ok()?;
        let key = VerifyingKey::from_bytes(&bytes.try_into().ok()?).ok()?;
        (!key.is_weak()).then_some(key)
    }
}

#[cfg(test)]
mod tests;
