//! The ring: all keys that sign or verify now. Says who signs, who verifies and what verifiers are told; when a key
//! moves on is not its business.

use std::time::Duration;

use ed25519_dalek::VerifyingKey;
use symbolon_verifier::KeySource;

use crate::keys::seal::Closed;
use crate::keys::signing_key::{Jwk, PublicKey, SigningKey};
use crate::time::Timestamp;

/// Where a key stands in its life, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// A key of the ring as it is kept: its public half and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub public: PublicKey,
    pub state: KeyState,
    /// When it was made and published.
    pub created_at: Timestamp,
    /// When somebody asked for it to sign, if that was before its time.
    pub asked_at: Option<Timestamp>,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped signing.
    pub retired_at: Option<Timestamp>,
    /// When its tokens were refused from.
    pub ended_at: Option<Timestamp>,
}

impl Member {
    /// A key in this state of which nothing else is known.
    #[must_use]
    pub fn made(public: PublicKey, state: KeyState) -> Self {
        Self {
            public,
            state,
            created_at: Timestamp::EPOCH,
            asked_at: None,
            activated_at: None,
            retired_at: None,
            ended_at: None,
        }
    }
}

/// The keys that sign or verify now.
pub struct Ring {
    signer: Result<SigningKey, Closed>,
    members: Vec<Member>,
    jwks_max_age: Duration,
}

impl Ring {
    /// A ring in which `signer` signs, and the published ones among `members` verify.
    #[must_use]
    pub fn new(signer: Result<SigningKey, Closed>, members: Vec<Member>, jwks_max_age: Duration) -> Self {
        Self { signer, members, jwks_max_age }
    }

    /// A ring of one key, which signs.
    #[must_use]
    pub fn of_one(signer: SigningKey) -> Self {
        let only = Member::made(signer.public().clone(), KeyState::Active);
        Self::new(Ok(signer), vec![only], Duration::ZERO)
    }

    /// The key that signs.
    ///
    /// # Errors
    /// If none of the held master keys opens it.
    pub fn signer(&self) -> Result<&SigningKey, Closed> {
        self.signer.as_ref().map_err(|closed| *closed)
    }

    /// Every key that is not gone, oldest first.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The JWK Set: keys that verify now, and keys that will sign soon. The one that signs comes first.
    pub fn jwks(&self) -> impl Iterator<Item = Jwk> {
        let published = || self.members.iter().filter(|member| member.state.is_published());
        let signs = |member: &&Member| member.state == KeyState::Active;
        let others = published().filter(move |member| !signs(member));
        published().filter(signs).chain(others).map(|member| member.public.jwk())
    }

    /// How long verifiers may keep the JWK Set: so short that they know every key before it signs.
    #[must_use]
    pub fn jwks_max_age(&self) -> Duration {
        self.jwks_max_age
    }
}

impl KeySource for Ring {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        let published = self.members.iter().filter(|member| member.state.is_published());
        published.map(|member| &member.public).find(|key| key.key_id() == kid).map(|key| *key.verifying_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn only_published_keys_verify_and_are_told_of() {
        let member = |state| Member::made(SigningKey::generate(&SystemEntropy).public().clone(), state);
        let states = [KeyState::Pending, KeyState::Active, KeyState::Retiring, KeyState::Gone, KeyState::Compromised];
        let members: Vec<_> = states.into_iter().map(member).collect();
        let ring = Ring::new(Ok(SigningKey::generate(&SystemEntropy)), members.clone(), Duration::ZERO);

        let told: Vec<_> = ring.jwks().map(|jwk| jwk.kid).collect();
        let ids: Vec<_> = members.iter().map(|member| member.public.key_id()).collect();
        assert_eq!(told, [ids[1], ids[0], ids[2]]);
        assert!(told.iter().all(|kid| ring.verifying_key(kid).is_some()));
        assert!(ids[3..].iter().all(|kid| ring.verifying_key(kid).is_none()));
    }
}
