//! The deeds done to the sessions of a subject.

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::entity::session;
use super::sessions::live;
use super::{Error, Store, ended, row};
use crate::session::{Ended, Revocation, Session, SessionId};
use crate::time::Timestamp;

/// Which of a subject's sessions.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    pub subject: &'a str,
    /// Only sessions of these clients; `None` for every one.
    pub clients: Option<&'a [&'a str]>,
    /// Only sessions of this client, if it is one of them.
    pub client_id: Option<&'a str>,
}

impl Selection<'_> {
    pub(super) fn condition(&self) -> Condition {
        use session::Column::{ClientId, Subject};
        Condition::all()
            .add(Subject.eq(self.subject))
            .add_option(self.clients.map(|clients| ClientId.is_in(clients.iter().copied())))
            .add_option(self.client_id.map(|client| ClientId.eq(client)))
    }
}

impl Store {
    /// Newest first, at most `limit`, beginning after the session `after`. With `live_at` only those that are live then.
    pub async fn list(
        &self,
        selection: Selection<'_>,
        live_at: Option<Timestamp>,
        after: Option<SessionId>,
        limit: u64,
    ) -> Result<Vec<Session>, Error> {
        // Ids of one subject have one placement, so they sort by the time of sign-in.
        let mut query = session::Entity::find().filter(selection.condition());
        if let Some(now) = live_at {
            query = query.filter(live(now));
        }
        if let Some(after) = after {
            query = query.filter(session::Column::Id.lt(after.uuid()));
        }
        let query = query.order_by_desc(session::Column::Id).limit(limit);
        let rows = self.readers.run(|connection| {
            let query = query.clone();
            async move { query.all(connection.as_ref()).await }
        });
        rows.await?.into_iter().map(row::session).collect()
    }

    /// Ends the live sessions that were issued by `issued_until`, `except` one. Answers them.
    pub async fn end_all(
        &self,
        selection: Selection<'_>,
        except: Option<SessionId>,
        issued_until: Timestamp,
        revocation: &Revocation,
    ) -> Result<Vec<Ended>, Error> {
        let mut update = session::ActiveModel::default();
        row::set_revocation(&mut update, revocation);
        let mut query = session::Entity::update_many()
            .set(update)
            .filter(selection.condition())
            .filter(live(revocation.at))
            .filter(session::Column::CreatedAt.lte(issued_until.millis()));
        if let Some(except) = except {
            query = query.filter(session::Column::Id.ne(except.uuid()));
        }
        let (rows, doubt) = self.writer.returning_doubting(&ended::returning(query.into_query())).await?;
        if doubt {
            self.ended_by(selection, revocation).await
        } else {
            rows.into_iter().map(ended::Row::read).collect()
        }
    }

    /// The sessions that were ended by this very deed, some perhaps by a try whose answer was lost.
    async fn ended_by(&self, selection: Selection<'_>, revocation: &Revocation) -> Result<Vec<Ended>, Error> {
        use session::Column as C;
        let query = session::Entity::find()
            .filter(selection.condition())
            .filter(C::RevokedAt.eq(revocation.at.millis()))
            .filter(C::RevokedBy.eq(&revocation.by))
            .filter(C::RevokeReason.eq(revocation.reason.name()));
        let query = ended::columns(query);
        let rows = self.readers.run(|connection| {
            let query = query.clone();
            async move { query.into_model::<ended::Row>().all(connection.as_ref()).await }
        });
        rows.await?.into_iter().map(ended::Row::read).collect()
    }
}
