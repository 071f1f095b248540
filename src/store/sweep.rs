//! Sweeping: deleting what nobody can ask for any more, a little at a time and without a lock that a refresh waits for.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryTrait};

use super::entity::{issue_request, session};
use super::{Error, Store};
use crate::time::Timestamp;

/// How long a `request_id` is remembered: far longer than it is good for.
const REQUESTS: Duration = Duration::from_secs(86_400);

impl Store {
    /// Deletes sessions that have reached their absolute end, and request ids older than a day; at most this many of
    /// each. Answers how many of both. Revoked sessions stay until then: they are evidence.
    pub async fn sweep(&self, now: Timestamp, most: u64) -> Result<u64, Error> {
        use issue_request::Column::{Caller, CreatedAt, RequestId, Subject};

        let ended = Query::select()
            .column(session::Column::Id)
            .from(session::Entity)
            .and_where(session::Column::ExpiresAt.lt(now.millis()))
            .limit(most)
            .take();
        let sessions = session::Entity::delete_many().filter(session::Column::Id.in_subquery(ended));

        let key = [Caller, Subject, RequestId];
        let forgotten = Query::select()
            .columns(key)
            .from(issue_request::Entity)
            .and_where(CreatedAt.lt(now.before(REQUESTS).millis()))
            .limit(most)
            .take();
        let requests =
            issue_request::Entity::delete_many().filter(Expr::tuple(key.map(Expr::col)).in_subquery(forgotten));
        let swept = self.writer.execute(&sessions.into_query()).await?;
        Ok(swept + self.writer.execute(&requests.into_query()).await?)
    }
}
