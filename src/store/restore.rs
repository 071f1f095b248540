//! The deeds done to a database that came back from a backup: no server may start on it, every session is ended, and it gets
//! another epoch. And whether somebody is at work on it.

use std::sync::Arc;

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ColumnTrait, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, EntityTrait, Order, PaginatorTrait,
    QueryFilter, QueryTrait, Statement,
};
use uuid::Uuid;

use super::entity::{issuer, session};
use super::{Error, OpenError, Store, Url, ended, postgres, row};
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
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let count: i64 = row.ok_or_else(|| DbErr::RecordNotFound("pg_stat_activity".to_owned()))?.try_get_by_index(0)?;
    Ok(count.unsigned_abs())
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

    /// Ends the sessions that were not ended, behind one in the order of ids; at most this many. Expired ones, too, unless
    /// they have reached their absolute end: what was lost may have kept them from being idle. Answers the last one; `None`:
    /// there are no more.
    pub async fn end_every(
        &self,
        behind: Option<SessionId>,
        revocation: &Revocation,
        most: u64,
    ) -> Result<Option<SessionId>, Error> {
        use session::Column as C;
        let next = Query::select()
            .column(C::Id)
            .from(session::Entity)
            .and_where(C::RevokedAt.is_null())
            .and_where(C::ExpiresAt.gt(revocation.at.millis()))
            .and_where_option(behind.map(|behind| C::Id.gt(behind.uuid())))
            .order_by(C::Id, Order::Asc)
            .limit(most)
            .take();
        let mut update = session::ActiveModel::default();
        row::set_revocation(&mut update, revocation);
        let update = session::Entity::update_many().set(update).filter(C::Id.in_subquery(next));
        let (rows, _) = self.writer.returning_doubting::<_, ended::Row>(&ended::returning(update.into_query())).await?;
        let ended = rows.into_iter().map(ended::Row::read).collect::<Result<Vec<_>, _>>()?;
        Ok(ended.into_iter().map(|ended| ended.id.uuid()).max().map(SessionId::from))
    }

    /// How many sessions were ended by this very revocation.
    pub async fn count_ended(&self, revocation: &Revocation) -> Result<u64, Error> {
        use session::Column as C;
        let query = session::Entity::find()
            .filter(C::RevokedAt.eq(revocation.at.millis()))
            .filter(C::RevokedBy.eq(&revocation.by));
        let count = self.readers.run(|connection: Arc<DatabaseConnection>| {
            let query = query.clone();
            async move { query.count(connection.as_ref()).await }
        });
        count.await
    }
}
