//! Master keys: the secrets outside the database from which everything secret is derived. The first one writes, all can
//! read, so a new one can be added as second everywhere before it is promoted, and nobody is signed out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::entropy::Entropy;

const LENGTH: usize = 32;

/// One master key. Has no `Debug`, `Display` or `Clone`, and is wiped when dropped.
pub struct MasterKey {
    id: u8,
    secret: Zeroizing<[u8; LENGTH]>,
}

/// The master keys a process holds, in order; at least one.
pub struct MasterKeys(Vec<MasterKey>);

/// Why a list of master keys cannot be read. Never says what stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("holds no key: expected a comma-separated list of id:base64")]
    Empty,
    #[error("entry {0} is not id:base64 with an id from 1 to 255 and the base64 of 32 bytes")]
    Entry(usize),
    #[error("key {0} is listed twice")]
    Twice(u8),
}

impl MasterKeys {
    /// Reads `id:base64,id:base64`, ids 1 to 255, each the base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (at, entry) in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let key = MasterKey::parse(entry).ok_or(Malformed::Entry(at + 1))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(Malformed::Twice(key.id));
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(Malformed::Empty) } else { Ok(Self(keys)) }
    }

    /// A fresh key with id 1, in the form [`Self::parse`] reads.
    pub fn generate(entropy: &dyn Entropy) -> Zeroizing<String> {
        let secret = Zeroizing::new(entropy.bytes::<LENGTH>());
        Zeroizing::new(format!("1:{}", *Zeroizing::new(STANDARD.encode(secret.as_slice()))))
    }

    /// The one that writes.
    #[must_use]
    pub fn first(&self) -> &MasterKey {
        &self.0[0]
    }

    #[must_use]
    pub fn get(&self, id: u8) -> Option<&MasterKey> {
        self.0.iter().find(|key| key.id == id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        self.0.iter()
    }
}

impl MasterKey {
    fn parse(entry: &str) -> Option<Self> {
        let (id, secret) = entry.split_once(':')?;
        let id = id.parse().ok().filter(|id| *id > 0)?;
        let bytes = Zeroizing::new(STANDARD.decode(secret).ok()?);
        let mut secret = Zeroizing::new([0; LENGTH]);
        if bytes.len() != LENGTH {
            return None;
        }
        secret.copy_from_slice(&bytes);
        Some(Self { id, secret })
    }

    /// 1 to 255; goes into every refresh token.
    #[must_use]
    pub fn id(&self) -> u8 {
        self.id
    }

    /// The key for one purpose of one issuer: HKDF-SHA-256 (RFC 5869) with `purpose ‖ issuer` as info.
    #[must_use]
    pub fn derive(&self, purpose: &str, issuer: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.secret.as_slice())
            .expand_multi_info(&[purpose.as_bytes(), issuer.as_bytes()], key.as_mut_slice())
            .expect("cannot fail: 32 bytes are far below HKDF's limit");
        key
    }

    /// What the database keeps to notice another key under the same id; says nothing about the key.
    #[must_use]
    pub fn check_value(&self) -> [u8; 8] {
        let mut value = [0; 8];
        value.copy_from_slice(&self.derive("check-value/v1", "")[..8]);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn key(id: &str, byte: u8) -> String {
        format!("{id}:{}", STANDARD.encode([byte; 32]))
    }

    #[test]
    fn a_generated_key_is_read_back() {
        let keys = MasterKeys::parse(&MasterKeys::generate(&SystemEntropy)).unwrap();
        assert_eq!(keys.first().id(), 1);
    }

    #[test]
    fn the_first_one_writes_and_all_can_read() {
        let keys = MasterKeys::parse(&format!("{}, {}\n", key("9", 1), key("2", 2))).unwrap();
        assert_eq!(keys.first().id(), 9);
        assert_eq!(keys.iter().map(MasterKey::id).collect::<Vec<_>>(), [9, 2]);
        assert!(keys.get(2).is_some() && keys.get(1).is_none());
    }

    #[test]
    fn a_malformed_list_is_refused_without_showing_it() {
        let error = |text: &str| MasterKeys::parse(text).err();
        assert_eq!(error(""), Some(Malformed::Empty));
        assert_eq!(error(&key("0", 1)), Some(Malformed::Entry(1)));
        assert_eq!(error(&key("256", 1)), Some(Malformed::Entry(1)));
        assert_eq!(error(&format!("{},hunter2", key("1", 1))), Some(Malformed::Entry(2)));
        assert_eq!(error(&format!("1:{}", STANDARD.encode([1; 31]))), Some(Malformed::Entry(1)));
        assert_eq!(error(&format!("{},{}", key("7", 1), key("7", 2))), Some(Malformed::Twice(7)));
    }

    #[test]
    fn purposes_issuers_and_keys_are_apart() {
        let keys = MasterKeys::parse(&format!("{},{}", key("1", 1), key("2", 2))).unwrap();
        let derived = [
            keys.first().derive("a/v1", "https://x"),
            keys.first().derive("b/v1", "https://x"),
            keys.first().derive("a/v1", "https://y"),
            keys.get(2).unwrap().derive("a/v1", "https://x"),
        ];
        for (at, one) in derived.iter().enumerate() {
            assert!(derived[..at].iter().all(|other| other != one));
        }
        assert_ne!(keys.first().check_value(), keys.get(2).unwrap().check_value());
    }
}
