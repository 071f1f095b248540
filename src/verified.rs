//! Access tokens whose signature was found to hold: checking it is most of what judging a token costs, and whoever asks
//! about one asks again with every request its bearer makes. Remembered is what never changes: which key signed these bytes,
//! and what they say. Whether that key, the time and the session still stand is asked every time.

use std::cell::Cell;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use symbolon_verifier::{Claims, Expected, KeySource, Rejection, VerifyingKey, verify};

/// How many bytes the remembered tokens may have together. What is kept of one is about three times as much, and of claims
/// of many small values up to twelve times: some 50 MB at the worst.
const CAPACITY: u64 = 4 << 20;

/// How long a token is, about.
const USUAL: u64 = 512;

/// Found by the SHA-256 of the token: no token is kept.
pub struct Verified(Cache<[u8; 32], Found, Length>);

/// What a token turned out to be.
#[derive(Clone)]
struct Found {
    key: VerifyingKey,
    key_id: Arc<str>,
    length: usize,
    claims: Arc<Claims>,
}

#[derive(Clone)]
struct Length;

impl Weighter<[u8; 32], Found> for Length {
    fn weight(&self, _: &[u8; 32], found: &Found) -> u64 {
        found.length as u64
    }
}

impl Default for Verified {
    fn default() -> Self {
        let usual = usize::try_from(CAPACITY / USUAL).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(usual, CAPACITY, Length))
    }
}

impl Verified {
    /// What [`verify`] answers, without looking at the signature of a token that it held for before.
    pub(crate) fn verify(
        &self,
        token: &str,
        keys: &impl KeySource,
        expected: &Expected<'_>,
    ) -> Result<Arc<Claims>, Rejection> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(found) = self.0.get(&digest)
            && keys.verifying_key(&found.key_id) == Some(found.key)
        {
            let compared = expected.compare(&found.claims);
            if compared == Err(Rejection::Expired) {
                self.0.remove(&digest);
            }
            return compared.map(|()| found.claims);
        }
        let asked = Asked { keys, answered: Cell::default() };
        let claims = Arc::new(verify(token, &asked, expected)?);
        if let Some((key_id, key)) = asked.answered.take() {
            let found = Found { key, key_id, length: token.len(), claims: Arc::clone(&claims) };
            self.0.insert(digest, found);
        }
        Ok(claims)
    }

    /// Forgets what ended before this second.
    pub(crate) fn forget(&self, now: i64) {
        self.0.retain(|_, found| found.claims.exp > now);
    }
}

/// Keys, and which of them was asked for.
struct Asked<'a, K> {
    keys: &'a K,
    answered: Cell<Option<(Arc<str>, VerifyingKey)>>,
}

impl<K: KeySource> KeySource for Asked<'_, K> {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        let key = self.keys.verifying_key(kid)?;
        self.answered.set(Some((kid.into(), key)));
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use symbolon_verifier::testing::TestIssuer;
    use symbolon_verifier::{Audience, KeySet};

    use super::*;

    #[test]
    fn what_has_expired_is_not_remembered() {
        let issuer = TestIssuer::new("https://id.example");
        let claims = issuer.claims("https://api.example", "alice");
        let (token, keys) = (issuer.sign(&claims), KeySet::from_json(issuer.jwks().as_bytes()).unwrap());
        let expected =
            |now| Expected { issuer: "https://id.example", audience: Audience::Any, now, exp_leeway: 0, iat_leeway: 5 };
        let verified = Verified::default();
        let at = |now| verified.verify(&token, &keys, &expected(now)).map(drop);
        for forgets in [false, true] {
            assert_eq!((at(claims.exp - 1), verified.0.len()), (Ok(()), 1));
            if forgets {
                verified.forget(claims.exp - 1);
                assert_eq!(verified.0.len(), 1);
                verified.forget(claims.exp);
            } else {
                assert_eq!(at(claims.exp), Err(Rejection::Expired));
            }
            assert_eq!(verified.0.len(), 0);
        }
    }
}
