//! Whose database this is: the issuer it belongs to and the master keys that were used on it.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryTrait};
use uuid::Uuid;

use super::entity::{issuer, master_key};
use super::{Error, Store, row};

/// Whose database this is.
#[derive(Clone, Debug)]
pub struct Identity {
    pub issuer: String,
    /// Drawn anew by a restore: cursors of another epoch are worth nothing.
    pub epoch: Uuid,
    /// The longest life an access token was ever granted here: how long keys verify, and revocations matter.
    pub longest_access_token_ttl: Duration,
}

impl Store {
    /// Makes the database this issuer's if it is nobody's yet, and says whose it is.
    pub async fn identify(&self, issuer: &str, epoch: Uuid) -> Result<Identity, Error> {
        let row = issuer::ActiveModel {
            id: Set(1),
            issuer: Set(issuer.to_owned()),
            epoch: Set(epoch),
            longest_access_token_ttl: Set(0),
        };
        let insert = issuer::Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
        self.writer.execute(&insert.into_query()).await?;
        self.identity().await
    }

    /// Whose the database is, once it is somebody's.
    pub async fn identity(&self) -> Result<Identity, Error> {
        let find =
            async |connection: Arc<DatabaseConnection>| issuer::Entity::find_by_id(1).one(connection.as_ref()).await;
        let impossible = |column| Error::Impossible { table: "issuer", column, id: "1".to_owned() };
        let row = self.readers.run(find).await?.ok_or_else(|| impossible("id"))?;
        let longest = u64::try_from(row.longest_access_token_ttl);
        Ok(Identity {
            issuer: row.issuer,
            epoch: row.epoch,
            longest_access_token_ttl: Duration::from_secs(longest.map_err(|_| impossible("longest_access_token_ttl"))?),
        })
    }

    /// Remembers that access tokens of this life are about to be granted.
    pub async fn remember_access_token_ttl(&self, ttl: Duration) -> Result<(), Error> {
        use issuer::Column::{Id, LongestAccessTokenTtl as Longest};
        let seconds = row::seconds(ttl);
        let longer = issuer::Entity::update_many()
            .col_expr(Longest, Expr::value(seconds))
            .filter(Id.eq(1))
            .filter(Longest.lt(seconds));
        self.writer.execute(&longer.into_query()).await.map(drop)
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
