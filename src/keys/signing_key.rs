//! One signing key: an Ed25519 pair, its id and its public form. The private half leaves it only sealed.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use jsonwebtoken::EncodingKey;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::keys::engine::Engine;
use crate::keys::master::MasterKeys;
use crate::keys::seal::{self, Binding, Closed, Sealed};

const PURPOSE: &str = "signing-key/v1";

/// A signature algorithm; one key, one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519. Tokens and JWKs say `EdDSA` (RFC 8037): today's verifiers do not accept the newer name `Ed25519`.
    EdDsa,
}

impl Algorithm {
    /// The name in tokens, JWKs and the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        (name == Self::EdDsa.name()).then_some(Self::EdDsa)
    }
}

/// A key pair that can sign. Has no `Debug`, and is wiped when dropped.
pub struct SigningKey {
    public: PublicKey,
    seed: Zeroizing<[u8; 32]>,
    /// By which jsonwebtoken finds the engine: see [`crate::token::access`].
    encoding_key: EncodingKey,
    /// The same in all of its tokens, so it is made once.
    header_of_tokens: OnceLock<String>,
    /// Held, so that it is found.
    _engine: Arc<Engine>,
}

/// The public half and the id it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key_id: String,
    key: VerifyingKey,
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

impl SigningKey {
    /// The pair of this seed (RFC 8032 section 5.1.5).
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
        let engine = Engine::start(&seed, &key);
        let encoding_key = EncodingKey::from_ed_der(key.as_bytes());
        Self { public: PublicKey::new(key), seed, encoding_key, header_of_tokens: OnceLock::new(), _engine: engine }
    }

    /// A fresh pair.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::from_seed(Zeroizing::new(entropy.bytes()))
    }

    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The public half, which is all that jsonwebtoken needs to know.
    pub(crate) fn encoding_key(&self) -> &EncodingKey {
        &self.encoding_key
    }

    /// The header of its tokens, which `make` makes of its id the first time, and which is kept: there is one way to make it.
    pub(crate) fn header_of_tokens(&self, make: impl FnOnce(&str) -> String) -> &str {
        self.header_of_tokens.get_or_init(|| make(self.public.key_id()))
    }

    /// The private half as it may be stored.
    pub fn seal(&self, keys: &MasterKeys, issuer: &str, entropy: &dyn Entropy) -> Sealed {
        seal::seal(keys, self.public.binding(issuer), self.seed.as_slice(), entropy)
    }

    /// Opens a stored private half and holds it against the public key beside it.
    pub fn open(keys: &MasterKeys, issuer: &str, public: &PublicKey, sealed: &Sealed) -> Result<Self, Closed> {
        let bytes = seal::open(keys, public.binding(issuer), sealed)?;
        let mismatch = Closed::Mismatch(sealed.master_key_id);
        let mut seed = Zeroizing::new([0; 32]);
        if bytes.len() != seed.len() {
            return Err(mismatch);
        }
        seed.copy_from_slice(&bytes);
        let opened = Self::from_seed(seed);
        if opened.public == *public { Ok(opened) } else { Err(mismatch) }
    }
}

impl PublicKey {
    fn new(key: VerifyingKey) -> Self {
        // RFC 7638 section 3: SHA-256 over the required members (RFC 8037 section 2), sorted, without white space.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(key.as_bytes()));
        Self { key_id: URL_SAFE_NO_PAD.encode(Sha256::digest(members)), key }
    }

    /// From the 32 bytes of RFC 8032 section 5.1.2; `None` if they are no point of the curve.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        VerifyingKey::from_bytes(bytes.try_into().ok()?).ok().map(Self::new)
    }

    /// The `kid`: the RFC 7638 thumbprint.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }

    /// As verifiers read it.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP",
            kid: self.key_id.clone(),
            usage: "sig",
            alg: Algorithm::EdDsa.name(),
            crv: "Ed25519",
            x: URL_SAFE_NO_PAD.encode(self.key.as_bytes()),
        }
    }

    fn binding<'a>(&'a self, issuer: &'a str) -> Binding<'a> {
        Binding { purpose: PURPOSE, issuer, key_id: &self.key_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let public = PublicKey::from_bytes(&x).unwrap();
        assert_eq!(public.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(public.jwk().x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    }

    #[test]
    fn a_private_half_opens_only_beside_its_own_public_half() {
        let keys = MasterKeys::parse("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let (one, two) = (SigningKey::generate(&SystemEntropy), SigningKey::generate(&SystemEntropy));
        let sealed = one.seal(&keys, "https://a", &SystemEntropy);
        assert!(SigningKey::open(&keys, "https://a", one.public(), &sealed).is_ok());
        assert!(SigningKey::open(&keys, "https://a", two.public(), &sealed).is_err());
        assert!(SigningKey::open(&keys, "https://b", one.public(), &sealed).is_err());
    }
}
