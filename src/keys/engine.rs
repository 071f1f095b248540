//! How Ed25519 (RFC 8032) is computed here: by s2n-bignum's assembler, which is formally verified, where the processor has what
//! it needs, and else by ed25519-dalek. A signature is the same bytes by either; that is tried with every key before the
//! assembler may sign with it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, Weak};

use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{SECRET_KEY_LENGTH, VerifyingKey};
use sha2::{Digest, Sha512};
use zeroize::{Zeroize, Zeroizing};

/// A private half, expanded once, so that nothing of it is left to compute at each signature. Wiped when dropped.
pub(crate) enum Engine {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    Assembler(Box<graviola::signing::eddsa::Ed25519SigningKey>),
    Portable(Box<Portable>),
}

pub(crate) struct Portable {
    secret: ExpandedSecretKey,
    public: VerifyingKey,
}

type Seed = Zeroizing<[u8; SECRET_KEY_LENGTH]>;

/// By the public half: jsonwebtoken hands a signer the bytes of a key, and those are all its own.
static READY: LazyLock<RwLock<HashMap<[u8; 32], Weak<Engine>>>> = LazyLock::new(RwLock::default);

impl Engine {
    /// The engine of this seed, which [`ready`] finds for as long as somebody holds it.
    pub(super) fn start(seed: &Seed, public: &VerifyingKey) -> Arc<Self> {
        if let Some(engine) = ready(public.as_bytes()) {
            return engine;
        }
        let engine = Arc::new(Self::of(seed, public));
        let mut ready = READY.write().unwrap_or_else(PoisonError::into_inner);
        ready.retain(|_, engine| engine.strong_count() > 0);
        // Somebody may have been faster.
        ready.get(public.as_bytes()).and_then(Weak::upgrade).unwrap_or_else(|| {
            ready.insert(*public.as_bytes(), Arc::downgrade(&engine));
            engine
        })
    }

    fn of(seed: &Seed, public: &VerifyingKey) -> Self {
        let mut digest = Sha512::digest(seed.as_slice());
        let mut expanded = Zeroizing::new([0; 64]);
        expanded.copy_from_slice(&digest);
        digest.as_mut_slice().zeroize();
        let secret = ExpandedSecretKey::from_bytes(&expanded);
        let portable = Self::Portable(Box::new(Portable { secret, public: *public }));
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        if has_what_it_takes()
            && let Ok(key) = graviola::signing::eddsa::Ed25519SigningKey::from_bytes(seed.as_slice())
        {
            let assembler = Self::Assembler(Box::new(key));
            if assembler.sign(public.as_bytes()) == portable.sign(public.as_bytes()) {
                return assembler;
            }
        }
        portable
    }

    /// The signature of a message (RFC 8032 section 5.1.6).
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            Self::Assembler(key) => key.sign(message),
            Self::Portable(key) => raw_sign::<Sha512>(&key.secret, message, &key.public).to_bytes(),
        }
    }
}

/// The engine of the key with this public half, if there is one.
pub(crate) fn ready(public: &[u8]) -> Option<Arc<Engine>> {
    READY.read().unwrap_or_else(PoisonError::into_inner).get(public)?.upgrade()
}

/// What graviola says it needs.
#[cfg(target_arch = "x86_64")]
fn has_what_it_takes() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("aes")
        && has!("ssse3")
        && has!("pclmulqdq")
        && has!("avx")
        && has!("avx2")
        && has!("adx")
        && has!("bmi1")
        && has!("bmi2")
}

#[cfg(target_arch = "aarch64")]
fn has_what_it_takes() -> bool {
    use std::arch::is_aarch64_feature_detected as has;
    has!("aes") && has!("sha2") && has!("pmull") && has!("neon")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ways_give_the_same_bytes(seed in any::<[u8; 32]>(), message in any::<Vec<u8>>()) {
            let seed = Zeroizing::new(seed);
            let key = ed25519_dalek::SigningKey::from_bytes(&seed);
            let engine = Engine::of(&seed, &key.verifying_key());
            prop_assert_eq!(engine.sign(&message), ed25519_dalek::Signer::sign(&key, &message).to_bytes());
        }
    }

    #[test]
    fn an_engine_is_found_while_it_is_held() {
        let seed = Zeroizing::new([3; 32]);
        let public = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
        let [one, two] = [(); 2].map(|()| Engine::start(&seed, &public));
        assert!(Arc::ptr_eq(&one, &two));
        drop(two);
        assert!(ready(public.as_bytes()).is_some());
        drop(one);
        assert!(ready(public.as_bytes()).is_none());
    }
}
