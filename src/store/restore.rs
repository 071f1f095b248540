//! The deeds done to a database that came back from a backup: no server may start on it, every session is ended, and it gets
//! another epoch. And whether somebody is at work on it.

use std::sync::Arc;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Database, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use super::connection::value;
use super::entity::{issuer, session};
use super::{Error, OpenError, Store, Url, postgres, row};
use crate::session::{Revocation, SessionId};

/// The epoch of a database that is being restored: nobody's.
const NOBODYS: Uuid = Uuid::nil();

impl super::Identity {
    /// Whether a restore began here and did not end.
    #[must_use]
    pub fn is_being_restored(&self) -> bool {
        self.epoch == NOBODYS
    }
}

impl Url {
    /// How many connections servers have to this database, as far as it tells: of a file that is said by its lock.
    pub async fn connections_of_servers(&self) -> Result<u64, OpenError> {
        let Self::Postgres(address) = self else { return Ok(0) };
        let server = |what| OpenError::Server { place: self.to_string(), what };
        let connection = postgres::patiently(Database::connect(postgres::unhurried(address))).await.map_err(server)?;
        let counted = count_servers(&connection).await.map_err(OpenError::Schema);
        connection.close().await.map_err(OpenError::Schema)?;
        counted
    }
}

async fn count_servers(connection: &DatabaseConnection) -> Result<u64, DbErr> {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{}'",
        postgres::APPLICATION
    );
    value::<i64>(connection, &sql).await.map(i64::unsigned_abs)
}

impl Store {
    /// Begins a restore: from now on no server starts here, and one that runs stops.
    pub async fn begin_restore(&self) -> Result<(), Error> {
        self.set_epoch(NOBODYS).await
    }

    /// Ends a restore: what was known of the database before is worth nothing.
    pub async fn finish_restore(&self, epoch: Uuid) -> Result<(), Error> {
        self.set_epoch(epoch).await
    }

    async fn set_epoch(&self, epoch: Uuid) -> Result<(), Error> {
        let set = issuer::Entity::update_many()
            .col_expr(issuer::Column::Epoch, Expr::value(epoch))
            .filter(issuer::Column::Id.eq(1));
        self.writer.execute(&set.into_query()).await.map(drop)
    }

    /// Ends those of the next sessions in the order of ids that were not ended; looks at so many, whatever they are, so that it
    /// is as quick when all of them were ended before. Expired ones, too: what was lost may have kept them alive. Answers how
    /// many it ended, and the last it looked at; `None`: there are no more.
    pub async fn end_every(
        &self,
        behind: Option<SessionId>,
        revocation: &Revocation,
        portion: u64,
    ) -> Result<Option<(u64, SessionId)>, Error> {
        use session::Column as C;
        let behind = || behind.map(|behind| C::Id.gt(behind.uuid()));
        let next = session::Entity::find().select_only().column(C::Id).order_by_asc(C::Id).limit(portion);
        let next = behind().map_or_else(|| next.clone(), |behind| next.clone().filter(behind));
        let next = self.readers.run(|connection: Arc<DatabaseConnection>| {
            let next = next.clone();
            async move { next.into_tuple::<Uuid>().all(connection.as_ref()).await }
        });
        let Some(last) = next.await?.pop() else { return Ok(None) };
        let mut update = session::ActiveModel::default();
        row::set_revocation(&mut update, revocation);
        let update = session::Entity::update_many().set(update).filter(C::RevokedAt.is_null()).filter(C::Id.lte(last));
        let update = behind().map_or_else(|| update.clone(), |behind| update.clone().filter(behind));
        let ended = self.writer.execute(&update.into_query()).await?;
        Ok(Some((ended, SessionId::from(last))))
    }
}
