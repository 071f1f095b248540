//! Whether an Ed25519 signature holds (RFC 8032, section 5.1.7), under the strict reading: one message, one key, one valid
//! spelling. It knows bytes and keys, and nothing of tokens.

use ed25519_dalek::{Signature, VerifyingKey};

/// Whether `signature` is exactly 64 bytes and `key`'s signature of `message`. Small-order keys and `R`, and an `S` that is
/// not below the group order, are refused: RFC 8032 leaves verifiers room there, and a token must not have two spellings.
pub(crate) fn holds(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

#[cfg(test)]
mod tests;
