//! How far a watcher has read, as a text it hands back: good at every replica of the same database.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::time::Timestamp;

/// Whatever ended before `complete_to` was told. Opaque to whoever keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Of the database: after a restore, what was told before is worth nothing.
    pub epoch: Uuid,
    pub complete_to: Timestamp,
}

impl Cursor {
    /// The text of a cursor; `None` if this is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (epoch, millis) = bytes.split_first_chunk::<16>()?;
        let millis = i64::from_be_bytes(millis.try_into().ok()?);
        Some(Self { epoch: Uuid::from_bytes(*epoch), complete_to: Timestamp::from_millis(millis) })
    }

    /// As text: 32 characters.
    #[must_use]
    pub fn write(&self) -> String {
        let bytes = [self.epoch.as_bytes().as_slice(), &self.complete_to.millis().to_be_bytes()].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        let cursor = Cursor { epoch: Uuid::from_u128(7), complete_to: Timestamp::from_millis(1_800_000_000_123) };
        let text = cursor.write();
        assert_eq!((Cursor::read(&text), text.len()), (Some(cursor), 32));
        for other in ["", "x", &text[1..], &format!("{text}A"), &format!("{text}="), "ü", &"A".repeat(4096)] {
            assert_eq!(Cursor::read(other), None, "{other:.40}");
        }
    }
}
