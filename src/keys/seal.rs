//! Sealing: how a private key lies in the database. XChaCha20-Poly1305 under a key derived from a master key, bound to
//! its purpose, issuer and key id, so that no row's ciphertext opens in another row.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::keys::master::{MasterKey, MasterKeys};

const NONCE_LENGTH: usize = 24;

/// A sealed secret, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The master key that opens it.
    pub master_key_id: u8,
    /// Nonce (24 bytes) ‖ ciphertext ‖ tag.
    pub bytes: Vec<u8>,
}

/// What a sealed secret is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    pub purpose: &'a str,
    pub issuer: &'a str,
    pub key_id: &'a str,
}

/// Why a sealed secret stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Closed {
    #[error("sealed under master key {0}, which this process does not hold")]
    MasterKeyUnknown(u8),
    #[error("not sealed under master key {0} for this issuer and key")]
    Mismatch(u8),
    #[error("not there: no key signs, or its private half was forgotten when it stopped signing")]
    Forgotten,
}

/// Seals `secret` under the first master key.
pub fn seal(keys: &MasterKeys, binding: Binding<'_>, secret: &[u8], entropy: &dyn Entropy) -> Sealed {
    let key = keys.first();
    let nonce = entropy.bytes::<NONCE_LENGTH>();
    let aad = binding.bytes();
    let sealed = cipher(key, binding)
        .encrypt(&XNonce::from(nonce), Payload { msg: secret, aad: &aad })
        .expect("cannot fail: the secret is far below the cipher's limit");
    Sealed { master_key_id: key.id(), bytes: [nonce.as_slice(), &sealed].concat() }
}

/// Opens what [`seal`] closed under the same binding.
pub fn open(keys: &MasterKeys, binding: Binding<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Closed> {
    let id = sealed.master_key_id;
    let key = keys.get(id).ok_or(Closed::MasterKeyUnknown(id))?;
    let (nonce, ciphertext) = sealed.bytes.split_first_chunk::<NONCE_LENGTH>().ok_or(Closed::Mismatch(id))?;
    cipher(key, binding)
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &binding.bytes() })
        .map(Zeroizing::new)
        .map_err(|_| Closed::Mismatch(id))
}

fn cipher(key: &MasterKey, binding: Binding<'_>) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&(*key.derive("seal/v1", binding.issuer)).into())
}

impl Binding<'_> {
    /// The three parts, each behind its length, so that no two bindings read the same.
    fn bytes(&self) -> Vec<u8> {
        [self.purpose, self.issuer, self.key_id]
            .iter()
            .flat_map(|part| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    const BINDING: Binding<'static> = Binding { purpose: "signing-key/v1", issuer: "https://a", key_id: "one" };

    fn keys(text: &str) -> MasterKeys {
        MasterKeys::parse(text).unwrap()
    }

    fn one() -> MasterKeys {
        keys("1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    }

    #[test]
    fn what_was_sealed_is_opened_and_looks_like_nothing() {
        let sealed = seal(&one(), BINDING, b"the secret of the key", &SystemEntropy);
        assert_eq!(open(&one(), BINDING, &sealed).unwrap().as_slice(), b"the secret of the key");
        assert!(!sealed.bytes.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn a_ciphertext_opens_only_where_it_was_sealed() {
        let sealed = seal(&one(), BINDING, b"secret", &SystemEntropy);
        for other in [
            Binding { key_id: "two", ..BINDING },
            Binding { issuer: "https://b", ..BINDING },
            Binding { purpose: "other/v1", ..BINDING },
            Binding { issuer: "https://ao", key_id: "ne", ..BINDING },
        ] {
            assert_eq!(open(&one(), other, &sealed).err(), Some(Closed::Mismatch(1)), "{other:?}");
        }
    }

    #[test]
    fn one_flipped_bit_keeps_it_closed() {
        let sealed = seal(&one(), BINDING, b"secret", &SystemEntropy);
        for at in 0..sealed.bytes.len() {
            let mut mangled = sealed.clone();
            mangled.bytes[at] ^= 1;
            assert!(open(&one(), BINDING, &mangled).is_err());
        }
        assert!(open(&one(), BINDING, &Sealed { master_key_id: 1, bytes: vec![] }).is_err());
    }

    #[test]
    fn another_or_a_missing_master_key_is_named_by_its_id() {
        let sealed = seal(&one(), BINDING, b"secret", &SystemEntropy);
        let other = keys("1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
        let elsewhere = keys("2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
        assert_eq!(open(&other, BINDING, &sealed).err(), Some(Closed::Mismatch(1)));
        assert_eq!(open(&elsewhere, BINDING, &sealed).err(), Some(Closed::MasterKeyUnknown(1)));
    }
}
