//! The two tokens: an access token signed with EdDSA by a key made at the start, and a refresh token that names its session
//! and carries a secret, of which only the hash is stored.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::{Signer, SigningKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::ACCESS_TOKEN_TTL;

#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::disallowed_methods, reason = "a peer has no dice to be seeded by tests")]
    getrandom::fill(&mut bytes).expect("cannot fail: the system has random numbers");
    bytes
}

#[must_use]
pub fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

pub struct AccessTokens {
    key: SigningKey,
    /// Encoded once, with the dot behind it.
    header: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    jti: Uuid,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    #[must_use]
    pub fn new() -> Self {
        let key = SigningKey::from_bytes(&random());
        let kid = BASE64.encode(&hash(key.verifying_key().as_bytes())[..8]);
        let header = format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}"}}"#);
        Self { key, header: BASE64.encode(header) + "." }
    }

    #[must_use]
    pub fn mint(&self, subject: &str, client_id: &str, session: Option<Uuid>, now: i64) -> String {
        let claims = Claims {
            iss: "https://auth.example",
            sub: subject,
            aud: "api",
            client_id,
            sid: session,
            jti: Builder::from_random_bytes(random()).into_uuid(),
            iat: now,
            exp: now + ACCESS_TOKEN_TTL,
        };
        let claims = serde_json::to_vec(&claims).expect("cannot fail: names and numbers");
        let mut token = self.header.clone();
        BASE64.encode_string(claims, &mut token);
        let signature = self.key.sign(token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature.to_bytes(), &mut token);
        token
    }
}

impl Default for AccessTokens {
    fn default() -> Self {
        Self::new()
    }
}

/// `session id . secret`: the row is found by its primary key, and no index changes with the secret.
pub struct RefreshToken {
    pub session: Uuid,
    secret: [u8; 32],
}

impl RefreshToken {
    #[must_use]
    pub fn new(session: Uuid) -> Self {
        Self { session, secret: random() }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (session, secret) = text.split_once('.')?;
        let secret = BASE64.decode(secret).ok()?.try_into().ok()?;
        Some(Self { session: session.parse().ok()?, secret })
    }

    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.secret)
    }
}

impl fmt::Display for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, BASE64.encode(self.secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_token_is_signed() {
        let tokens = AccessTokens::new();
        let token = tokens.mint("anna", "web", None, 1);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature: [u8; 64] = BASE64.decode(signature).unwrap().try_into().unwrap();
        tokens.key.verifying_key().verify_strict(signed.as_bytes(), &signature.into()).unwrap();
    }

    #[test]
    fn a_refresh_token_is_read_as_it_was_written() {
        let token = RefreshToken::new(Builder::from_random_bytes(random()).into_uuid());
        let read = RefreshToken::parse(&token.to_string()).unwrap();
        assert_eq!((read.session, read.secret), (token.session, token.secret));
        assert!(RefreshToken::parse("made up").is_none());
    }
}
