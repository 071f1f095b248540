//! The compact serialization of a JWS (RFC 7515, section 7.1): three parts of base64url and two dots, one spelling for one
//! token. It owns size, alphabet and decoding, and does not look into what it decodes.

use crate::Rejection;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The most bytes a token may have: twice what the issuer mints at most, and nothing beyond is even looked at.
pub const MAX_TOKEN_BYTES: usize = 8192;

/// Which bytes a token may have: base64url and the dot.
const ALPHABET: [bool; 256] = {
    let mut alphabet = [false; 256];
    let mut byte = 0;
    while byte < 128u8 {
        alphabet[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        byte += 1;
    }
    alphabet
};

/// A token taken apart, nothing of it believed yet.
pub(crate) struct Jws<'a> {
    /// Header and payload as they came, dot between them: what the signature is over.
    pub(crate) signing_input: &'a str,
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Jws<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::TooLarge);
        }
        // Every one is looked at, whatever the others were: a table and no branch, several times as fast as stopping.
        if !token.bytes().fold(true, |all, byte| all & ALPHABET[usize::from(byte)]) {
            return Err(Rejection::Charset);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Rejection::Structure)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Rejection::Structure)?;
        Ok(Self { signing_input, header: decode(header)?, payload: decode(payload)?, signature: decode(signature)? })
    }
}

/// Decodes one part. A fourth or fifth part is refused here too: its dot is not base64url.
fn decode(part: &str) -> Result<Vec<u8>, Rejection> {
    if part.is_empty() {
        return Err(Rejection::Structure);
    }
    // This engine refuses padding and non-zero trailing bits.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Structure)
}
