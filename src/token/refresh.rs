//! The refresh token: `sr1_` and the base64url of master key id ‖ session id ‖ generation ‖ tag. One token has one
//! spelling. It is derived, never stored: whoever holds the master key can write the successor of any token again, so a
//! retry gets the same bytes, and a forged token is refused before the database is asked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::keys::master::MasterKeys;
use crate::session::SessionId;

/// What secret scanners and people recognise it by.
pub const PREFIX: &str = "sr1_";

/// No refresh token, of this version or a later one, is longer.
pub const MAX_LENGTH: usize = 255;

const DOMAIN: &[u8] = b"symbolon refresh token v1\0";
const TAG_LENGTH: usize = 16;
const GENERATION_AT: usize = 1 + 16;
/// Master key id, session id, the longest varint of 32 bits, tag.
const MAX_BYTES: usize = GENERATION_AT + 5 + TAG_LENGTH;

/// What a refresh token says, once its tag was found right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub session_id: SessionId,
    /// At least 1.
    pub generation: u32,
}

/// Why a text is not taken for a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// Of another kind, case, length or spelling, with a wrong tag, or under a retired master key.
    #[error("not a refresh token of this issuer")]
    Invalid,
    /// Under a master key this process has not got (yet): the token may be good.
    #[error("minted under master key {0}, which this process does not hold")]
    MasterKeyUnknown(u8),
}

/// Writes and reads the refresh tokens of one issuer.
pub struct RefreshTokens {
    /// The first one writes.
    keys: Vec<(u8, Hmac<Sha256>)>,
    retired: Vec<u8>,
}

impl RefreshTokens {
    /// Derives the tag's keys. The issuer goes into them, so that a clone with the same master key under another name
    /// mints nothing for this one. Tokens under a `retired` master key id are over for good.
    #[must_use]
    pub fn new(master_keys: &MasterKeys, issuer: &str, retired: &[u8]) -> Self {
        let keys = master_keys.iter().map(|key| {
            let mac = Hmac::new_from_slice(key.derive("refresh-token/v1", issuer).as_slice());
            (key.id(), mac.expect("cannot fail: HMAC takes keys of any length"))
        });
        Self { keys: keys.collect(), retired: retired.to_vec() }
    }

    /// The refresh token of this generation.
    #[must_use]
    pub fn write(&self, token: RefreshToken) -> String {
        let (id, key) = &self.keys[0];
        let mut bytes = Vec::with_capacity(MAX_BYTES);
        bytes.push(*id);
        bytes.extend_from_slice(token.session_id.as_bytes());
        push_varint(&mut bytes, token.generation);
        let tag = tag(key, &bytes);
        bytes.extend_from_slice(&tag);

        let mut text = String::with_capacity(PREFIX.len() + MAX_BYTES.div_ceil(3) * 4);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
    }

    /// Reads a refresh token and checks its tag, in constant time.
    ///
    /// # Errors
    /// [`Refused`]; nothing about the session is known then.
    pub fn read(&self, text: &str) -> Result<RefreshToken, Refused> {
        let parts = Parts::parse(text).ok_or(Refused::Invalid)?;
        if self.retired.contains(&parts.master_key_id) {
            return Err(Refused::Invalid);
        }
        let key = self.keys.iter().find(|(id, _)| *id == parts.master_key_id);
        let (_, key) = key.ok_or(Refused::MasterKeyUnknown(parts.master_key_id))?;
        if bool::from(tag(key, parts.signed()).ct_eq(parts.tag())) { Ok(parts.token) } else { Err(Refused::Invalid) }
    }
}

/// A text with the form of a refresh token. Its tag was not checked: whatever it says may be a lie.
pub struct Parts {
    pub master_key_id: u8,
    pub token: RefreshToken,
    buffer: [u8; MAX_BYTES],
    length: usize,
}

impl Parts {
    /// Takes a refresh token apart; `None` if the text has not the one form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_LENGTH)?;
        let mut buffer = [0; MAX_BYTES];
        // The engine refuses padding and non-zero trailing bits: one token, one spelling.
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut buffer).ok()?;
        let (signed, _) = buffer[..length].split_last_chunk::<TAG_LENGTH>()?;
        let (&master_key_id, rest) = signed.split_first().filter(|(id, _)| **id > 0)?;
        let (session_id, varint) = rest.split_first_chunk::<16>()?;
        let generation = read_varint(varint).filter(|&generation| generation > 0)?;
        let token = RefreshToken { session_id: SessionId::from(*session_id), generation };
        Some(Self { master_key_id, token, buffer, length })
    }

    fn signed(&self) -> &[u8] {
        &self.buffer[..self.length - TAG_LENGTH]
    }

    fn tag(&self) -> &[u8] {
        &self.buffer[self.length - TAG_LENGTH..self.length]
    }
}

fn tag(key: &Hmac<Sha256>, signed: &[u8]) -> [u8; TAG_LENGTH] {
    let full = key.clone().chain_update(DOMAIN).chain_update(signed).finalize().into_bytes();
    let mut tag = [0; TAG_LENGTH];
    tag.copy_from_slice(&full[..TAG_LENGTH]);
    tag
}

/// LEB128: seven bits a byte, low ones first, the high bit says that more follow.
fn push_varint(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// The number whose only spelling `bytes` is.
fn read_varint(bytes: &[u8]) -> Option<u32> {
    let (&last, more) = bytes.split_last()?;
    let canonical = last < 0x80 && (last != 0 || more.is_empty()) && more.iter().all(|byte| *byte >= 0x80);
    if !canonical || bytes.len() > 5 {
        return None;
    }
    let value = bytes.iter().rev().fold(0_u64, |value, byte| value << 7 | u64::from(byte & 0x7F));
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests;
