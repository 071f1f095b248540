//! The ring: all keys that sign or verify now. Says who signs, who verifies and what verifiers are told; when a key
//! moves on is not its business.

use ed25519_dalek::VerifyingKey;
use symbolon_verifier::KeySource;

use crate::keys::signing_key::{Algorithm, PublicKey, SigningKey};

/// Where a key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, does not sign yet.
    Pending,
    /// Signs.
    Active,
    /// No longer signs, still verifies.
    Retiring,
    /// Neither; kept as a record.
    Gone,
    /// Revoked: its tokens are refused.
    Compromised,
}

impl KeyState {
    const NAMES: [(Self, &str); 5] = [
        (Self::Pending, "pending"),
        (Self::Active, "active"),
        (Self::Retiring, "retiring"),
        (Self::Gone, "gone"),
        (Self::Compromised, "compromised"),
    ];

    /// The name in table, log and metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// The state of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(state, _)| *state)
    }

    /// Whether verifiers are told of it.
    #[must_use]
    pub fn is_published(self) -> bool {
        match self {
            Self::Pending | Self::Active | Self::Retiring => true,
            Self::Gone | Self::Compromised => false,
        }
    }
}

/// The keys that sign or verify now.
pub struct Ring {
    signer: SigningKey,
    published: Vec<PublicKey>,
}

/// A public key as verifiers read it (RFC 7517 section 4, RFC 8037 section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwk {
    pub kty: &'static str,
    pub kid: String,
    pub usage: &'static str,
    pub alg: &'static str,
    pub crv: &'static str,
    pub x: String,
}

impl Ring {
    /// A ring in which `signer` signs, and the published ones among `keys` verify beside it.
    #[must_use]
    pub fn new(signer: SigningKey, keys: impl IntoIterator<Item = (PublicKey, KeyState)>) -> Self {
        let others =
            keys.into_iter().filter(|(key, state)| state.is_published() && key != signer.public()).map(|(key, _)| key);
        let published = [signer.public().clone()].into_iter().chain(others).collect();
        Self { signer, published }
    }

    #[must_use]
    pub fn signer(&self) -> &SigningKey {
        &self.signer
    }

    /// The JWK Set: keys that verify now, and keys that will sign soon.
    pub fn jwks(&self) -> impl Iterator<Item = Jwk> {
        self.published.iter().map(|key| Jwk {
            kty: "OKP",
            kid: key.key_id().to_owned(),
            usage: "sig",
            alg: Algorithm::EdDsa.name(),
            crv: "Ed25519",
            x: key.x(),
        })
    }
}

impl KeySource for Ring {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        self.published.iter().find(|key| key.key_id() == kid).map(|key| *key.verifying_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn only_published_keys_verify_and_are_told_of() {
        let generate = || SigningKey::generate(&SystemEntropy).public().clone();
        let signer = SigningKey::generate(&SystemEntropy);
        let own = (signer.public().clone(), KeyState::Active);
        let others = [KeyState::Pending, KeyState::Retiring, KeyState::Gone, KeyState::Compromised];
        let others: Vec<_> = others.into_iter().map(|state| (generate(), state)).collect();
        let ring = Ring::new(signer, [own.clone()].into_iter().chain(others.clone()));

        let told: Vec<_> = ring.jwks().map(|jwk| jwk.kid).collect();
        assert_eq!(told, [own.0.key_id(), others[0].0.key_id(), others[1].0.key_id()]);
        assert!(told.iter().all(|kid| ring.verifying_key(kid).is_some()));
        assert!(others[2..].iter().all(|(key, _)| ring.verifying_key(key.key_id()).is_none()));
    }
}
