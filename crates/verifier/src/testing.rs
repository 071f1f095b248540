//! Tokens for the tests of a service that verifies: an issuer without a server, whose tokens say what a test wants. It is
//! no issuer for anything else: nothing here rotates, revokes or keeps a secret well.

use crate::builder::Builder;
use crate::{Claims, Issuer, Verifier};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Map, json};
use std::hash::{BuildHasher, RandomState};

/// How long its tokens live.
const LIFE: i64 = 900;

/// An issuer with a key of its own, drawn anew each time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use symbolon_verifier::testing::TestIssuer;
///
/// let issuer = TestIssuer::new("https://id.example");
/// let verifier = issuer.verifier("https://api.example");
///
/// let mut claims = issuer.claims("https://api.example", "alice");
/// claims.scope = Some("orders:read".to_owned());
/// let token = issuer.sign(&claims);
/// assert_eq!(verifier.verify(&token).await?.sub, "alice");
///
/// let elsewhere = issuer.sign(&issuer.claims("https://other.example", "alice"));
/// assert!(verifier.verify(&elsewhere).await.is_err());
/// # Ok(()) }
/// ```
pub struct TestIssuer {
    name: String,
    key: SigningKey,
    kid: String,
}

impl TestIssuer {
    /// An issuer of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let mut seed = [0; 32];
        for eight in seed.chunks_mut(8) {
            eight.copy_from_slice(&RandomState::new().hash_one(()).to_le_bytes());
        }
        let key = SigningKey::from_bytes(&seed);
        // A test needs a name that is not another's, not a thumbprint.
        let kid = URL_SAFE_NO_PAD.encode(&key.verifying_key().as_bytes()[..12]);
        Self { name: name.into(), key, kid }
    }

    /// Honest claims: issued now, for 15 minutes, the subject having authenticated a moment ago. Change what a test is
    /// about.
    #[must_use]
    pub fn claims(&self, audience: impl Into<String>, subject: impl Into<String>) -> Claims {
        let now = crate::builder::system_clock();
        Claims {
            iss: self.name.clone(),
            sub: subject.into(),
            aud: vec![audience.into()],
            exp: now + LIFE,
            iat: now,
            jti: URL_SAFE_NO_PAD.encode(RandomState::new().hash_one(()).to_le_bytes()),
            client_id: "test".to_owned(),
            sid: format!("test-{:x}", RandomState::new().hash_one(())),
            scope: None,
            auth_time: Some(now),
            acr: None,
            amr: Vec::new(),
            act: None,
            cnf: None,
            extra: Map::new(),
        }
    }

    /// The token that says `claims`.
    ///
    /// # Panics
    /// On claims that no valid token carries; see [`Claims`].
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let header = json!({ "alg": crate::ALGORITHM, "typ": crate::TOKEN_TYPE, "kid": self.kid });
        let payload = serde_json::to_string(claims).expect("claims that a valid token can carry");
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(input.as_bytes()).to_bytes();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Its JWK Set.
    #[must_use]
    pub fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "use": "sig", "alg": "EdDSA" });
        json!({ "keys": [jwk] }).to_string()
    }

    /// Begins a verifier that trusts it, to be told more.
    pub fn builder(&self, audience: impl Into<String>) -> Builder {
        Verifier::new(Issuer::new(self.name.clone()).keys(self.jwks()), audience)
    }

    /// A verifier of its tokens for this audience, without a runtime.
    ///
    /// # Panics
    /// If a name is empty.
    #[must_use]
    pub fn verifier(&self, audience: impl Into<String>) -> Verifier {
        self.builder(audience).build().expect("an issuer and an audience with names")
    }
}

impl std::fmt::Debug for TestIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestIssuer").field("name", &self.name).finish_non_exhaustive()
    }
}
