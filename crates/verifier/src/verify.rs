//! The verification of an access token, start to end, in an order that spends nothing on a forgery: size, characters,
//! structure, header, key, signature, and only then the claims. It owns the order; each step is its own module, and whether
//! the session has been revoked since is the caller's next question.

use crate::header::Header;
use crate::jws::Jws;
use crate::{Claims, Expected, Rejection, VerifyingKey, members, signature};

/// The issuer's published keys (RFC 7517), by `kid`.
pub trait KeySource {
    /// The key named `kid`, if its tokens are to be believed now: `None` for one that is unknown, retired or compromised.
    /// `kid` is whatever the token says, at most [`MAX_KID_CHARS`](crate::MAX_KID_CHARS) characters of any kind. Answers
    /// from memory: nothing has been verified yet, so nobody may be asked on this token's behalf.
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey>;
}

/// Verifies an access token of the RFC 9068 profile and returns what it says.
///
/// `token` is the compact serialization (RFC 7515, section 7.1) alone, as it stands behind `Bearer `. Any string may be
/// given: whatever is not a valid token is a [`Rejection`], never a panic. The checks follow RFC 8725 and RFC 9068,
/// section 4, and are made in the order of [`Rejection`]'s variants.
///
/// # Errors
/// The first check that fails. The bearer is told [`Rejection`]'s one sentence and no more.
pub fn verify(token: &str, keys: &(impl KeySource + ?Sized), expected: &Expected<'_>) -> Result<Claims, Rejection> {
    let jws = Jws::parse(token)?;
    let header = Header::parse(&jws.header)?;
    let key = keys.verifying_key(&header.kid).ok_or(Rejection::UnknownKey)?;
    if !signature::holds(&key, jws.signing_input.as_bytes(), &jws.signature) {
        return Err(Rejection::Signature);
    }
    let claims = read_claims(&jws.payload)?;
    expected.compare(&claims)?;
    Ok(claims)
}

fn read_claims(payload: &[u8]) -> Result<Claims, Rejection> {
    members::are_unique(payload).map_err(|_| Rejection::Claims)?;
    serde_json::from_slice(payload).map_err(|_| Rejection::Claims)
}

#[cfg(test)]
mod tests;
