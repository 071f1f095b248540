//! The deeds done to signing keys.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, QueryOrder, QueryTrait};

use super::entity::signing_key;
use super::{Error, Store};
use crate::keys::ring::KeyState;
use crate::keys::seal::Sealed;
use crate::keys::signing_key::{Algorithm, PublicKey};
use crate::time::Timestamp;

/// A signing key as stored: its private half sealed.
#[derive(Clone, Debug)]
pub struct StoredKey {
    pub public: PublicKey,
    pub state: KeyState,
    pub sealed: Sealed,
}

impl Store {
    /// Every signing key, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<StoredKey>, Error> {
        let query = signing_key::Entity::find().order_by_asc(signing_key::Column::CreatedAt);
        let rows = self.readers.run(|connection| {
            let query = query.clone();
            async move { query.all(connection.as_ref()).await }
        });
        rows.await?.into_iter().map(stored_key).collect()
    }

    /// Makes this the active key if there is none. However many replicas try at once, one succeeds.
    pub async fn offer_active_key(&self, key: &StoredKey, now: Timestamp) -> Result<(), Error> {
        let row = signing_key::ActiveModel {
            key_id: Set(key.public.key_id().to_owned()),
            algorithm: Set(Algorithm::EdDsa.name().to_owned()),
            state: Set(key.state.name().to_owned()),
            public_key: Set(key.public.verifying_key().as_bytes().to_vec()),
            master_key_id: Set(key.sealed.master_key_id.into()),
            sealed_seed: Set(key.sealed.bytes.clone()),
            created_at: Set(now.millis()),
            activated_at: Set(Some(now.millis())),
        };
        let insert = signing_key::Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
        self.writer.execute(&insert.into_query()).await.map(drop)
    }
}

fn stored_key(row: signing_key::Model) -> Result<StoredKey, Error> {
    let id = row.key_id;
    let impossible = |column| Error::Impossible { table: "signing_keys", column, id: id.clone() };
    let public = PublicKey::from_bytes(&row.public_key).filter(|public| public.key_id() == id);
    Algorithm::from_name(&row.algorithm).ok_or_else(|| impossible("algorithm"))?;
    Ok(StoredKey {
        public: public.ok_or_else(|| impossible("public_key"))?,
        state: KeyState::from_name(&row.state).ok_or_else(|| impossible("state"))?,
        sealed: Sealed {
            master_key_id: u8::try_from(row.master_key_id).map_err(|_| impossible("master_key_id"))?,
            bytes: row.sealed_seed,
        },
    })
}
