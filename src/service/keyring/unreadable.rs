//! Rows of signing keys that cannot be read: told once, and left out, so that they hide no other key.

use crate::store::{self, StoredKey};

/// Those that could be read, and a sentence for each of the others.
pub(super) fn apart(keys: Vec<Result<StoredKey, store::Error>>) -> (Vec<StoredKey>, Vec<String>) {
    let (readable, unreadable): (Vec<_>, Vec<_>) = keys.into_iter().partition(Result::is_ok);
    let sentence = |key: Result<_, store::Error>| key.err().map(|error| error.to_string());
    (readable.into_iter().flatten().collect(), unreadable.into_iter().filter_map(sentence).collect())
}

/// Tells of keys that cannot be read when that changes, not four times a second.
pub(super) fn tell(unreadable: &[String], told: &[String]) {
    metrics::gauge!("symbolon_signing_keys_unreadable").set(u32::try_from(unreadable.len()).unwrap_or(u32::MAX));
    for sentence in unreadable.iter().filter(|sentence| !told.contains(sentence)) {
        tracing::error!("a signing key is left out, and none is rotated until its row is mended: {sentence}");
    }
    if unreadable.is_empty() && !told.is_empty() {
        tracing::info!("every signing key can be read again");
    }
}
