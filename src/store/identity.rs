//! Whose database this is: the issuer it belongs to and the master keys that were used on it.

use std::sync::Arc;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseConnection, EntityTrait, QueryTrait};
use uuid::Uuid;

use super::entity::{issuer, master_key};
use super::{Error, Store};

/// Whose database this is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub issuer: String,
    /// Drawn anew by a restore: cursors of another epoch are worth nothing.
    pub epoch: Uuid,
}

impl Store {
    /// Makes the database this issuer's if it is nobody's yet, and says whose it is.
    pub async fn identify(&self, issuer: &str, epoch: Uuid) -> Result<Identity, Error> {
        let row = issuer::ActiveModel { id: Set(1), issuer: Set(issuer.to_owned()), epoch: Set(epoch) };
        let insert = issuer::Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
        self.writer.execute(&insert.into_query()).await?;
        let find =
            async |connection: Arc<DatabaseConnection>| issuer::Entity::find_by_id(1).one(connection.as_ref()).await;
        let row = self.writer.run(find).await?;
        let row = row.ok_or(Error::Impossible { table: "issuer", column: "id", id: "1".to_owned() })?;
        Ok(Identity { issuer: row.issuer, epoch: row.epoch })
    }

    /// Remembers a master key's check value if its id is new. `false`: another key was used under this id before.
    pub async fn recognise_master_key(&self, id: u8, check_value: [u8; 8]) -> Result<bool, Error> {
        let row = master_key::ActiveModel { id: Set(id.into()), check_value: Set(check_value.to_vec()) };
        let insert = master_key::Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
        self.writer.execute(&insert.into_query()).await?;
        let find = async |connection: Arc<DatabaseConnection>| {
            master_key::Entity::find_by_id(i32::from(id)).one(connection.as_ref()).await
        };
        let row = self.writer.run(find).await?;
        Ok(row.is_some_and(|row| row.check_value == check_value))
    }
}
