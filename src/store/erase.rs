//! Erasing a subject: whatever tells of a person leaves the rows of its sessions. The rows stay as long as an access token of
//! them may live, since the feed tells of them; then they are swept.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::entity::{issue_request, session};
use super::{Error, Selection, Store};
use crate::session::{Revocation, ended};
use crate::time::Timestamp;

/// Whose the sessions of an erased subject are. No subject is spelled so.
const NOBODY: &str = "";

impl Store {
    /// Erases what tells of a person in these sessions, as far as they were issued by `issued_until`; at most this many.
    /// Those that are not over are ended by it: an ended session is written to by nobody else, so nothing comes back. Answers
    /// how many.
    pub async fn erase(
        &self,
        selection: Selection<'_>,
        issued_until: Timestamp,
        revocation: &Revocation,
        most: u64,
    ) -> Result<u64, Error> {
        use session::Column as C;
        let (at, margin) = (revocation.at.millis(), i64::try_from(ended::MARGIN.as_millis()).unwrap_or(i64::MAX));
        let some = Query::select()
            .column(C::Id)
            .from(session::Entity)
            .cond_where(selection.condition())
            .and_where(C::CreatedAt.lte(issued_until.millis()))
            .limit(most)
            .take();
        let unless_set = |column: C, value: Expr| Func::coalesce([Expr::col(column), value]);
        let nothing = || Expr::value(Option::<String>::None);
        // When its last access token is dead, even if it was ended only now.
        let dead = Expr::col(C::AccessTokenTtl).mul(1000).add(at.saturating_add(margin));
        let erase = session::Entity::update_many()
            .col_expr(C::RevokedAt, unless_set(C::RevokedAt, Expr::value(at)).into())
            .col_expr(C::RevokeReason, unless_set(C::RevokeReason, Expr::value(revocation.reason.name())).into())
            .col_expr(C::RevokedBy, unless_set(C::RevokedBy, Expr::value(&revocation.by)).into())
            .col_expr(C::ExpiresAt, dead)
            .col_expr(C::Subject, Expr::value(NOBODY))
            .col_expr(C::Claims, Expr::value("{}"))
            .col_expr(C::Decisions, Expr::value("[]"))
            .col_expr(C::Acr, nothing())
            .col_expr(C::Amr, Expr::value(""))
            .col_expr(C::UserAgent, nothing())
            .col_expr(C::IpAddress, nothing())
            .col_expr(C::Label, nothing())
            .filter(C::Id.in_subquery(some));
        self.writer.execute(&erase.into_query()).await
    }

    /// Forgets the request ids of a subject whose sessions are not there, or not its own any more. Caller by caller, since
    /// that is how their key begins: it is never a search through all there are.
    pub async fn erase_requests(&self, subject: &str) -> Result<u64, Error> {
        let (mut forgotten, mut last) = (0, None);
        while let Some(caller) = self.caller_behind(last).await? {
            forgotten += self.erase_requests_by(&caller, subject).await?;
            last = Some(caller);
        }
        Ok(forgotten)
    }

    /// The next who has made requests, in the order of the key; also one who is not declared any more.
    async fn caller_behind(&self, last: Option<String>) -> Result<Option<String>, Error> {
        use issue_request::Column::Caller;
        let mut next = issue_request::Entity::find().select_only().column(Caller).order_by_asc(Caller).limit(1);
        if let Some(last) = last {
            next = next.filter(Caller.gt(last));
        }
        let next = self.readers.run(|connection| {
            let next = next.clone();
            async move { next.into_tuple::<String>().one(connection.as_ref()).await }
        });
        next.await
    }

    async fn erase_requests_by(&self, caller: &str, subject: &str) -> Result<u64, Error> {
        use issue_request::Column::{Caller, SessionId, Subject};
        let its_own = Query::select()
            .column(session::Column::Id)
            .from(session::Entity)
            .and_where(session::Column::Subject.eq(subject))
            .take();
        let forget = issue_request::Entity::delete_many()
            .filter(Caller.eq(caller))
            .filter(Subject.eq(subject))
            .filter(SessionId.not_in_subquery(its_own));
        self.writer.execute(&forget.into_query()).await
    }
}
