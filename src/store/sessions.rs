//! The deeds done to one session.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use uuid::Uuid;

use super::entity::{issue_request, session};
use super::{Error, Store, row};
use crate::session::{Chain, Claims, Decision, Device, Revocation, Session, SessionId, decision};
use crate::time::Timestamp;

/// What makes a retried `IssueTokens` harmless.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    pub request_id: Uuid,
    /// SHA-256 of the request without its id and device.
    pub digest: [u8; 32],
}

/// What became of an `IssueTokens`.
#[derive(Debug)]
pub enum Issued {
    /// The session is stored.
    Created,
    /// The request id was used before, for this session; nothing was written.
    Before { session_id: SessionId, same_request: bool, at: Timestamp },
}

impl Store {
    /// The session of this id, ended ones too until they are swept.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, Error> {
        session::Entity::find_by_id(id.uuid()).one(&self.readers).await?.map(row::session).transpose()
    }

    /// Stores a new session, unless its request was stored before.
    pub async fn create(&self, session: &Session, request: Option<&IssueRequest>) -> Result<Issued, Error> {
        let Some(request) = request else {
            session::Entity::insert(row::insert(session)).exec_without_returning(&self.writer).await?;
            return Ok(Issued::Created);
        };
        let transaction = self.writer.begin_with_options(immediate()).await?;
        let key = issue_request::ActiveModel {
            caller: Set(session.caller.clone()),
            subject: Set(session.subject.clone()),
            request_id: Set(request.request_id),
            session_id: Set(session.id.uuid()),
            digest: Set(request.digest.to_vec()),
            created_at: Set(session.created_at.millis()),
        };
        let inserted = issue_request::Entity::insert(key)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(&transaction)
            .await?;
        if inserted == 1 {
            session::Entity::insert(row::insert(session)).exec_without_returning(&transaction).await?;
            transaction.commit().await?;
            return Ok(Issued::Created);
        }
        let id = (session.caller.clone(), session.subject.clone(), request.request_id);
        let before = issue_request::Entity::find_by_id(id).one(&transaction).await?;
        transaction.rollback().await?;
        let before = before.ok_or_else(|| Error::Impossible {
            table: "issue_requests",
            column: "request_id",
            id: request.request_id.to_string(),
        })?;
        Ok(Issued::Before {
            session_id: SessionId::from(before.session_id),
            same_request: before.digest == request.digest,
            at: Timestamp::from_millis(before.created_at),
        })
    }

    /// Moves a live session's chain on, if it still stands where `seen` stood. A plain rotation is not remembered, so
    /// it has no decision. `false`: somebody was faster.
    pub async fn advance(
        &self,
        seen: &Session,
        chain: &Chain,
        device: &Device,
        decision: Option<Decision>,
    ) -> Result<bool, Error> {
        let mut update = session::ActiveModel::default();
        row::set_chain(&mut update, chain);
        if *device != seen.device {
            row::set_device(&mut update, device);
        }
        self.change(seen, update, decision).await
    }

    /// Ends a session because of what was presented, if it still stands where `seen` stood.
    pub async fn condemn(&self, seen: &Session, revocation: &Revocation, decision: Decision) -> Result<bool, Error> {
        let mut update = session::ActiveModel::default();
        row::set_revocation(&mut update, revocation);
        self.change(seen, update, Some(decision)).await
    }

    /// Replaces what a caller may change after sign-in, if the session is live and stands where `seen` stood.
    pub async fn update(
        &self,
        seen: &Session,
        claims: Option<&Claims>,
        label: Option<&Option<String>>,
        decision: Decision,
    ) -> Result<bool, Error> {
        let mut update = session::ActiveModel::default();
        if let Some(claims) = claims {
            update.claims = Set(row::claims_text(claims));
        }
        if let Some(label) = label {
            update.label = Set(label.clone());
        }
        self.change(seen, update, Some(decision)).await
    }

    /// Ends a live session whatever its chain does meanwhile. `false`: it was over already.
    pub async fn end(&self, id: SessionId, revocation: &Revocation) -> Result<bool, Error> {
        let mut update = session::ActiveModel::default();
        row::set_revocation(&mut update, revocation);
        let done = session::Entity::update_many()
            .set(update)
            .filter(session::Column::Id.eq(id.uuid()))
            .filter(live(revocation.at))
            .exec(&self.writer)
            .await?;
        Ok(done.rows_affected == 1)
    }

    /// The compare-and-swap behind every verdict that writes. A decision goes behind those that `seen` had, so those
    /// are part of the comparison.
    async fn change(
        &self,
        seen: &Session,
        mut update: session::ActiveModel,
        decision: Option<Decision>,
    ) -> Result<bool, Error> {
        use session::Column as C;
        let mut stands = Condition::all()
            .add(C::Id.eq(seen.id.uuid()))
            .add(C::Generation.eq(seen.chain.generation))
            .add(C::RecoveredGeneration.eq(seen.chain.recovered_generation))
            .add(C::RecoveryStreak.eq(seen.chain.recovery_streak))
            .add(C::RevokedAt.is_null());
        if let Some(decision) = decision {
            stands = stands.add(C::Decisions.eq(row::decisions_text(&seen.decisions)));
            update.decisions = Set(row::decisions_text(&decision::remember(&seen.decisions, decision)));
        }
        let done = session::Entity::update_many().set(update).filter(stands).exec(&self.writer).await?;
        Ok(done.rows_affected == 1)
    }
}

/// A session that is neither revoked nor expired: [`Session::state`], as SQL.
pub(super) fn live(now: Timestamp) -> Condition {
    use session::Column as C;
    let last = now.after(crate::session::LAST_MOMENT).millis();
    Condition::all()
        .add(C::RevokedAt.is_null())
        .add(C::IdleExpiresAt.gte(last))
        .add(C::ExpiresAt.gte(last))
}

/// A transaction that writes takes SQLite's write lock when it begins: one that reads first would fail under
/// contention instead of waiting.
pub(super) fn immediate() -> TransactionOptions {
    TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() }
}
