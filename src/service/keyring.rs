//! Loading the ring: whose database this is, whether the held master keys are the ones it was used with, and the keys
//! that sign and verify. Makes the first signing key.

use thiserror::Error;
use uuid::Builder;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::keys::ring::KeyState;
use crate::keys::seal::Closed;
use crate::keys::{MasterKeys, Ring, SigningKey};
use crate::store::{self, Store, StoredKey};

/// Why the keys cannot be used: a sentence for whoever starts the process, with what to do.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error(
        "this database belongs to the issuer {stored}, not {configured}: set SYMBOLON_ISSUER={stored}, or use another database"
    )]
    OtherIssuer { stored: String, configured: String },
    #[error(
        "master key {0} is not the key that was used under this id before: give the right key, or give the new one another id"
    )]
    OtherMasterKey(u8),
    #[error(
        "the active signing key {key_id} cannot be opened: it is {closed}. Add that master key to SYMBOLON_MASTER_KEYS"
    )]
    ActiveKeyClosed { key_id: String, closed: Closed },
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Loads the ring of this issuer, and makes its first signing key if there is none.
pub async fn load(
    store: &Store,
    master_keys: &MasterKeys,
    issuer: &str,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Ring, LoadError> {
    let epoch = Builder::from_random_bytes(entropy.bytes()).into_uuid();
    let identity = store.identify(issuer, epoch).await?;
    if identity.issuer != issuer {
        return Err(LoadError::OtherIssuer { stored: identity.issuer, configured: issuer.to_owned() });
    }
    for key in master_keys.iter() {
        if !store.recognise_master_key(key.id(), key.check_value()).await? {
            return Err(LoadError::OtherMasterKey(key.id()));
        }
    }
    let mut keys = store.signing_keys().await?;
    if !keys.iter().any(is_active) {
        let fresh = SigningKey::generate(entropy);
        let sealed = fresh.seal(master_keys, issuer, entropy);
        let offered = StoredKey { public: fresh.public().clone(), state: KeyState::Active, sealed };
        store.offer_active_key(&offered, clock.now()).await?;
        // Another replica may have been faster: its key is the one that signs.
        keys = store.signing_keys().await?;
    }
    let active = keys.iter().find(|key| is_active(key)).ok_or_else(|| store::Error::Impossible {
        table: "signing_keys",
        column: "state",
        id: "the active key".to_owned(),
    })?;
    let signer = SigningKey::open(master_keys, issuer, &active.public, &active.sealed)
        .map_err(|closed| LoadError::ActiveKeyClosed { key_id: active.public.key_id().to_owned(), closed })?;
    Ok(Ring::new(signer, keys.into_iter().map(|key| (key.public, key.state))))
}

fn is_active(key: &StoredKey) -> bool {
    key.state == KeyState::Active
}
