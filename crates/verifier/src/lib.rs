//! Verifies Symbolon's access tokens: what a token says ([`Claims`]), and whether to believe it ([`verify`]). The issuer
//! mints from the same [`Claims`], so what it signs is by construction what is accepted here.
//!
//! A service wants a `Verifier` (feature `service`): it keeps the issuer's keys and revocations, and stands in front of axum
//! and tonic as a tower layer. Without features nothing in this crate reads a clock, opens a connection or awaits: the time,
//! the keys and what is expected are arguments, and revocation is the caller's question, asked once the signature holds.
//!
//! ```
//! use std::collections::HashMap;
//! use symbolon_verifier::{Audience, Expected, KeySource, Rejection, VerifyingKey, verify};
//!
//! struct Published(HashMap<String, VerifyingKey>);
//!
//! impl KeySource for Published {
//!     fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
//!         self.0.get(kid).copied()
//!     }
//! }
//!
//! // `x` of the issuer's JWK, decoded: RFC 8037, appendix A.2.
//! let x = [
//!     0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
//!     0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
//! ];
//! let keys = Published(HashMap::from([("2026-01".to_owned(), VerifyingKey::from_bytes(&x)?)]));
//! let audiences = ["https://api.example".to_owned()];
//! let expected = Expected {
//!     issuer: "https://id.example",
//!     audience: Audience::OneOf(&audiences),
//!     now: 1_800_000_060,
//!     exp_leeway: 30,
//!     iat_leeway: 30,
//! };
//!
//! let token = concat!(
//!     "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjIwMjYtMDEifQ.",
//!     "eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJhbGljZSIsImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUiLCJleHAi",
//!     "OjE4MDAwMDA5MDAsImlhdCI6MTgwMDAwMDAwMCwianRpIjoiWmsxbTBwUTkiLCJjbGllbnRfaWQiOiJ3ZWIiLCJzaWQiOiIwMTkw",
//!     "YjZkMiJ9",
//!     ".VLu7vb2OZf3vMi2-z7-XNHcT1QuHQOeFbrIgieO5GR3Ner1DHv1-hO7chQjWq1MjvT04fGgxN7iEJyiqjMqmCw",
//! );
//! let claims = verify(token, &keys, &expected)?;
//! assert_eq!(claims.sub, "alice");
//!
//! let later = Expected { now: 1_800_001_000, ..expected };
//! let rejection = verify(token, &keys, &later).unwrap_err();
//! assert_eq!(rejection.label(), "expired");
//! assert_eq!(rejection.to_string(), "the access token is not valid");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

mod bearer;
#[cfg(feature = "service")]
mod builder;
#[cfg(feature = "cache")]
mod cache;
mod claims;
mod expected;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "service")]
mod feed;
#[cfg(feature = "service")]
mod grpc;
#[cfg(feature = "service")]
mod guard;
mod header;
#[cfg(feature = "https")]
mod https;
#[cfg(feature = "service")]
mod issuer;
mod jwk;
#[cfg(feature = "service")]
mod jwks;
mod jws;
#[cfg(feature = "service")]
mod layer;
mod members;
#[cfg(feature = "service")]
mod metrics;
#[cfg(feature = "service")]
mod refusal;
mod rejection;
mod reserved;
#[cfg(feature = "service")]
mod revocations;
mod signature;
#[cfg(any(feature = "testing", all(test, feature = "service")))]
pub mod testing;
#[cfg(feature = "service")]
mod verifier;
mod verify;

#[cfg(test)]
mod forge;

pub use bearer::bearer;
#[cfg(feature = "service")]
pub use builder::{Builder, StartError};
#[cfg(feature = "cache")]
pub use cache::{COOL_DOWN, Cache};
pub use claims::Claims;
pub use expected::{Audience, Expected};
#[cfg(feature = "service")]
pub use grpc::Channel;
#[cfg(feature = "service")]
pub use guard::{Guard, Guarded};
pub use header::{ALGORITHM, MAX_KID_CHARS, TOKEN_TYPE};
#[cfg(feature = "service")]
pub use issuer::Issuer;
pub use jwk::{Jwk, KeySet, KeySetError, MAX_JWKS_BYTES, MAX_JWKS_KEYS};
pub use jws::MAX_TOKEN_BYTES;
#[cfg(feature = "service")]
pub use layer::{Verified, VerifierLayer};
#[cfg(feature = "service")]
pub use refusal::{Body, Refusal};
pub use rejection::Rejection;
pub use reserved::{RESERVED_CLAIMS, is_reserved};
#[cfg(feature = "service")]
pub use revocations::{Revocations, WhenStale};
#[cfg(feature = "service")]
pub use verifier::Verifier;
pub use verify::{KeySource, verify};

/// The key type a [`KeySource`] hands out, so that a caller needs no `ed25519-dalek` of the same version.
pub use ed25519_dalek::VerifyingKey;

/// The examples of README.md.
#[cfg(all(doctest, feature = "axum", feature = "https"))]
#[doc = include_str!("../README.md")]
struct Readme;
