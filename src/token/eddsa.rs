//! How jsonwebtoken signs here: by the engine of a key that was expanded once. Its own backends parse the key anew at every
//! signature. Verification never comes this way: the provider is one a process, and a host that embeds our verifier would
//! silently choose for us.

use std::sync::{Arc, Once};

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Signer};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::keys::engine::{self, Engine};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: no_verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes this the process's provider; does nothing the second time.
pub(super) fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        assert!(PROVIDER.install_default().is_ok(), "another jsonwebtoken provider is installed in this process");
    });
}

struct Ed25519(Arc<Engine>);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "jsonwebtoken's signature")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    let engine = (*algorithm == Algorithm::EdDSA).then(|| engine::ready(key.as_bytes())).flatten();
    Ok(Box::new(Ed25519(engine.ok_or(ErrorKind::InvalidKeyFormat)?)))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "jsonwebtoken's signature")]
fn no_verifier(_: &Algorithm, _: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

impl Signer<Vec<u8>> for Ed25519 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(self.0.sign(message).to_vec())
    }
}

impl JwtSigner for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
