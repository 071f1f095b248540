//! A session's id: a UUIDv8 (RFC 9562 section 5.8) that carries its placement and its birth, so that ids of one cell
//! grow with time and an index on them stays cheap.

use std::fmt;

use uuid::{Builder, Uuid};

use crate::time::Timestamp;

/// Placement (16 bits) ‖ milliseconds since 1970 (44 bits) ‖ random (62 bits), in the 122 free bits of a UUIDv8.
///
/// Opaque to callers. Ids of one placement sort by the time of sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Uuid);

impl SessionId {
    /// A new id. `random` gives its 62 random bits.
    #[must_use]
    pub fn new(placement: u16, now: Timestamp, random: [u8; 8]) -> Self {
        // The cast keeps the low bits and 44 of them are used: enough until the year 2527.
        #[expect(clippy::cast_sign_loss, reason = "a Timestamp is never negative")]
        let millis = now.millis() as u64 & ((1 << 44) - 1);
        let high = u64::from(placement) << 48 | (millis >> 12) << 16 | millis & 0xFFF;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&random);
        // The builder overwrites the four version bits and the two variant bits.
        Self(Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Reads the canonical text form: lower case, with hyphens. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        let mut canonical = Uuid::encode_buffer();
        (id.hyphenated().encode_lower(&mut canonical) == text).then_some(Self(id))
    }

    /// The cell the session lives in; 0 until somebody runs several.
    #[must_use]
    pub fn placement(self) -> u16 {
        let bytes = self.0.as_bytes();
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    /// The 16 bytes of the id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id as the store keeps it.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for SessionId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<[u8; 16]> for SessionId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_v8_that_keeps_placement_and_sorts_by_time() {
        let at = |placement, millis, random| SessionId::new(placement, Timestamp::from_millis(millis), random);
        let id = at(7, 1_790_000_000_123, [0xFF; 8]);
        assert_eq!(id.uuid().get_version_num(), 8);
        assert_eq!(id.uuid().get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.placement(), 7);
        assert_eq!(id.as_bytes()[..2], [0, 7]);
        assert!(at(0, 1_000_000, [0xFF; 8]) < at(0, 1_000_001, [0; 8]));
        assert!(at(0, (1 << 44) - 2, [0xFF; 8]) < at(0, (1 << 44) - 1, [0; 8]));
    }

    #[test]
    fn one_id_has_one_spelling() {
        let id = SessionId::new(0, Timestamp::from_millis(1), [0xAB; 8]);
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_eq!(SessionId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(SessionId::parse(&id.to_string().replace('-', "")), None);
        assert_eq!(SessionId::parse(&format!("{{{id}}}")), None);
    }
}
