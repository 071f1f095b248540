//! Page tokens: where a list goes on. Opaque to callers, and bound to the query they came from.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::service::Error;
use crate::session::SessionId;

/// What a list was asked for: a page token is good for this and nothing else.
pub struct Query<'a> {
    pub subject: &'a str,
    pub client_id: Option<&'a str>,
    pub include_ended: bool,
}

impl Query<'_> {
    /// The token for the page behind `last`.
    #[must_use]
    pub fn page_after(&self, last: SessionId) -> String {
        URL_SAFE_NO_PAD.encode([last.as_bytes().as_slice(), &self.digest(last)].concat())
    }

    /// The session behind which the page begins.
    pub fn read(&self, page_token: &str) -> Result<SessionId, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(page_token).map_err(|_| Error::PageTokenInvalid)?;
        let (id, digest) = bytes.split_first_chunk::<16>().ok_or(Error::PageTokenInvalid)?;
        let last = SessionId::from(*id);
        if digest == self.digest(last) { Ok(last) } else { Err(Error::PageTokenInvalid) }
    }

    /// Over everything the token says, so that a mangled one is noticed. No secret: whoever forges a page token learns
    /// nothing he could not list.
    fn digest(&self, last: SessionId) -> [u8; 8] {
        let mut hash = Sha256::new();
        hash.update(last.as_bytes());
        for part in [self.subject, self.client_id.unwrap_or_default()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update([u8::from(self.include_ended)]);
        let mut digest = [0; 8];
        digest.copy_from_slice(&hash.finalize()[..8]);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_page_token_is_good_for_its_own_query_only() {
        let query = Query { subject: "alice", client_id: None, include_ended: false };
        let last = SessionId::new(0, Timestamp::from_seconds(1), [7; 8]);
        let token = query.page_after(last);
        assert_eq!(query.read(&token).ok(), Some(last));
        let others = [
            Query { subject: "bob", ..query },
            Query { client_id: Some("web"), ..query },
            Query { include_ended: true, ..query },
        ];
        assert!(others.iter().all(|other| other.read(&token).is_err()));
        let elsewhere = SessionId::new(0, Timestamp::from_seconds(2), [7; 8]);
        let mixed = format!("{}{}", &query.page_after(elsewhere)[..21], &token[21..]);
        for rubbish in ["x", "", &token[1..], &format!("{token}A"), "ÿ", &mixed] {
            assert!(query.read(rubbish).is_err(), "{rubbish}");
        }
    }
}
