//! Which sessions were ended: what whoever judges access tokens has to know.

use sea_orm::sea_query::{ExprTrait, IntoColumnRef, ReturningClause, UpdateStatement};
use sea_orm::{ColumnTrait, Condition, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use super::entity::session::{Column, Entity};
use super::{Error, Store, row};
use crate::session::{Ended, SessionId};
use crate::time::Timestamp;

/// Where a reader of ended sessions stands: they are ordered by the time of their end, then by id.
#[derive(Clone, Copy, Debug)]
pub struct Position(Timestamp, Uuid);

impl Position {
    /// Before everything that ended at this time or later.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(time, Uuid::nil())
    }

    /// Behind this one.
    #[must_use]
    pub fn behind(ended: &Ended) -> Self {
        Self(ended.revocation.at, ended.id.uuid())
    }
}

/// The columns that tell of an end.
#[derive(FromQueryResult)]
pub(super) struct Row {
    id: Uuid,
    revoked_at: Option<i64>,
    revoke_reason: Option<String>,
    revoked_by: Option<String>,
    access_token_ttl: i64,
}

const COLUMNS: [Column; 5] =
    [Column::Id, Column::RevokedAt, Column::RevokeReason, Column::RevokedBy, Column::AccessTokenTtl];

impl Store {
    /// The sessions that were ended, in order, from a position on; at most this many.
    pub async fn ended(&self, from: Position, most: u64) -> Result<Vec<Ended>, Error> {
        let Position(at, id) = from;
        let behind = Condition::any()
            .add(Column::RevokedAt.gt(at.millis()))
            .add(Column::RevokedAt.eq(at.millis()).and(Column::Id.gt(id)));
        let query = Entity::find()
            // Implied by what follows, and what an index can be asked.
            .filter(Column::RevokedAt.gte(at.millis()))
            .filter(behind)
            .order_by_asc(Column::RevokedAt)
            .order_by_asc(Column::Id)
            .limit(most);
        let query = columns(query);
        let rows = self.readers.run(|connection| {
            let query = query.clone();
            async move { query.into_model::<Row>().all(connection.as_ref()).await }
        });
        rows.await?.into_iter().map(Row::read).collect()
    }
}

/// Only what tells of an end.
pub(super) fn columns(query: Select<Entity>) -> Select<Entity> {
    query.select_only().columns(COLUMNS)
}

/// Has an update answer what it ended.
pub(super) fn returning(mut update: UpdateStatement) -> UpdateStatement {
    update.returning(ReturningClause::Columns(COLUMNS.map(IntoColumnRef::into_column_ref).to_vec()));
    update
}

impl Row {
    pub(super) fn read(self) -> Result<Ended, Error> {
        let id = self.id;
        let impossible = |column| Error::Impossible { table: "sessions", column, id: id.to_string() };
        let revocation = row::revocation(self.revoked_at, self.revoke_reason, self.revoked_by);
        Ok(Ended {
            id: SessionId::from(id),
            revocation: revocation.map_err(impossible)?.ok_or_else(|| impossible("revoked_at"))?,
            access_token_ttl: row::duration(self.access_token_ttl).ok_or_else(|| impossible("access_token_ttl"))?,
        })
    }
}
