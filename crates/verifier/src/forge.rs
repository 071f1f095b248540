//! Tokens for the tests, honest and forged: anything can be put into a header or payload here and still be signed properly,
//! so that what is refused is refused for what the row says and not for a broken signature.

use crate::{Audience, Claims, Expected, KeySource, Rejection, VerifyingKey, verify};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};

pub(crate) const NOW: i64 = 1_800_000_060;
pub(crate) const ISSUER: &str = "https://id.example";
pub(crate) const AUDIENCE: &str = "https://api.example";
pub(crate) const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"2026-01"}"#;
pub(crate) const PAYLOAD: &str = concat!(
    r#"{"iss":"https://id.example","sub":"alice","aud":"https://api.example","exp":1800000900,"iat":1800000000,"#,
    r#""jti":"Zk1m0pQ9","client_id":"web","sid":"0190b6d2"}"#
);

/// The key of RFC 8037, appendix A.1.
pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
        0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ])
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header and payload, whatever they are, under the honest key's signature.
pub(crate) fn token(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sign(&format!("{}.{}", base64url(header), base64url(payload)))
}

pub(crate) fn sign(signing_input: &str) -> String {
    let signature = signing_key().sign(signing_input.as_bytes());
    format!("{signing_input}.{}", base64url(signature.to_bytes()))
}

pub(crate) fn honest() -> String {
    token(HEADER, PAYLOAD)
}

#[cfg(feature = "service")]
pub(crate) fn jwks() -> String {
    let x = base64url(signing_key().verifying_key().as_bytes());
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"2026-01","x":"{x}"}}]}}"#)
}

/// Knows the honest key by its name and nothing else, except one of small order under the name `weak`.
pub(crate) struct Keys;

impl KeySource for Keys {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        match kid {
            "2026-01" => Some(signing_key().verifying_key()),
            "weak" => Some(weak_key()),
            _ => None,
        }
    }
}

/// The identity: with it, `R` the identity and `S` zero is a signature of every message to a lax verifier.
pub(crate) fn weak_key() -> VerifyingKey {
    let mut identity = [0; 32];
    identity[0] = 1;
    VerifyingKey::from_bytes(&identity).unwrap()
}

/// Verifies as `https://api.example` with no leeway for `exp` and five seconds for `iat`, at [`NOW`].
pub(crate) fn check(token: &str) -> Result<Claims, Rejection> {
    check_with(&Keys, token)
}

pub(crate) fn check_with(keys: &impl KeySource, token: &str) -> Result<Claims, Rejection> {
    let audiences = [AUDIENCE.to_owned()];
    let audience = Audience::OneOf(&audiences);
    verify(token, keys, &Expected { issuer: ISSUER, audience, now: NOW, exp_leeway: 0, iat_leeway: 5 })
}

/// Asserts that every token of a table is refused for the reason of its row.
#[track_caller]
pub(crate) fn refused(attacks: impl IntoIterator<Item = (impl AsRef<str>, String, Rejection)>) {
    for (name, token, reason) in attacks {
        assert_eq!(check(&token), Err(reason), "{}: {:.300}", name.as_ref(), token);
        #[cfg(feature = "service")]
        crate::layer::tests::refused(name.as_ref(), &token, reason);
    }
}
