//! The deeds done to one session.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{InsertStatement, OnConflict};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryTrait, TransactionTrait};
use uuid::Uuid;

use super::connection::whole;
use super::entity::{issue_request, session};
use super::sqlite::immediate;
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
        let row = self
            .readers
            .run(|connection| async move { session::Entity::find_by_id(id.uuid()).one(connection.as_ref()).await });
        row.await?.map(row::session).transpose()
    }

    /// Stores a new session, unless its request was stored before.
    pub async fn create(&self, session: &Session, request: Option<&IssueRequest>) -> Result<Issued, Error> {
        // Ids are drawn: a conflict is this very insert, done before its answer was lost.
        let insert = session::Entity::insert(row::insert(session))
            .on_conflict(OnConflict::column(session::Column::Id).do_nothing().to_owned())
            .into_query();
        match request {
            None => self.writer.execute(&insert).await.map(|_| Issued::Created),
            Some(request) => self.create_once(session, &insert, request).await,
        }
    }

    async fn create_once(
        &self,
        session: &Session,
        insert: &InsertStatement,
        request: &IssueRequest,
    ) -> Result<Issued, Error> {
        let key = issue_request::ActiveModel {
            caller: Set(session.caller.clone()),
            subject: Set(session.subject.clone()),
            request_id: Set(request.request_id),
            session_id: Set(session.id.uuid()),
            digest: Set(request.digest.to_vec()),
            created_at: Set(session.created_at.millis()),
        };
        let key =
            issue_request::Entity::insert(key).on_conflict(OnConflict::new().do_nothing().to_owned()).into_query();
        let id = (session.caller.clone(), session.subject.clone(), request.request_id);
        let before = self.writer.run(|connection| {
            let (key, insert, id) = (key.clone(), insert.clone(), id.clone());
            let store = async move {
                let transaction = connection.begin_with_options(immediate()).await?;
                if transaction.execute(&key).await?.rows_affected() == 1 {
                    transaction.execute(&insert).await?;
                    transaction.commit().await?;
                    return Ok(None);
                }
                let before = issue_request::Entity::find_by_id(id).one(&transaction).await?;
                transaction.rollback().await?;
                before.map(Some).ok_or(DbErr::RecordNotFound("issue_requests".to_owned()))
            };
            whole(store)
        });
        Ok(before.await?.map_or(Issued::Created, |before| Issued::Before {
            session_id: SessionId::from(before.session_id),
            same_request: before.digest == request.digest,
            at: Timestamp::from_millis(before.created_at),
        }))
    }

    /// Moves a live session's chain on, if it still stands where `seen` stood. A plain rotation is not remembered, so
    /// it has no decision. `false`: somebody was faster. [`Error::InDoubt`]: somebody was, perhaps this very deed, whose
    /// answer was lost.
    pub async fn advance(
        &self,
        seen: &Session,
        chain: &Chain,
        device: &Device,
        decision: Option<Decision>,
    ) -> Result<bool, Error> {
        let mut update = session::ActiveModel::default();
        row::set_chain(&mut update, chain);
        row::set_changes(&mut update, &seen.device, device);
        match self.change(seen, update, decision).await? {
            (0, true) => Err(Error::InDoubt),
            (changed, _) => Ok(changed == 1),
        }
    }

    /// Ends a session because of what was presented, if it still stands where `seen` stood.
    pub async fn condemn(&self, seen: &Session, revocation: &Revocation, decision: Decision) -> Result<bool, Error> {
        let mut update = session::ActiveModel::default();
        row::set_revocation(&mut update, revocation);
        match self.change(seen, update, Some(decision)).await? {
            (0, true) => self.was_ended_by(seen.id, revocation).await,
            (ended, _) => Ok(ended == 1),
        }
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
        Ok(self.change(seen, update, Some(decision)).await?.0 == 1)
    }

    /// Ends a live session whatever its chain does meanwhile. `false`: it was over already.
    pub async fn end(&self, id: SessionId, revocation: &Revocation) -> Result<bool, Error> {
        let mut update = session::ActiveModel::default();
        row::set_revocation(&mut update, revocation);
        let end = session::Entity::update_many()
            .set(update)
            .filter(session::Column::Id.eq(id.uuid()))
            .filter(live(revocation.at));
        match self.writer.execute_doubting(&end.into_query()).await? {
            (0, true) => self.was_ended_by(id, revocation).await,
            (ended, _) => Ok(ended == 1),
        }
    }

    /// Whether the session was ended by this very deed, whose answer was lost.
    async fn was_ended_by(&self, id: SessionId, revocation: &Revocation) -> Result<bool, Error> {
        let session = self.session(id).await?;
        Ok(session.is_some_and(|session| session.revocation.as_ref() == Some(revocation)))
    }

    /// The compare-and-swap behind every verdict that writes. A decision goes behind those that `seen` had; they are
    /// history, and no part of the comparison: how a version writes them must never keep another from ending a session.
    /// Answers how many rows it changed, and whether an earlier try may have done so.
    async fn change(
        &self,
        seen: &Session,
        mut update: session::ActiveModel,
        decision: Option<Decision>,
    ) -> Result<(u64, bool), Error> {
        use session::Column as C;
        let stands = Condition::all()
            .add(C::Id.eq(seen.id.uuid()))
            .add(C::Generation.eq(seen.chain.generation))
            .add(C::RecoveredGeneration.eq(seen.chain.recovered_generation))
            .add(C::RecoveryStreak.eq(seen.chain.recovery_streak))
            .add(C::RevokedAt.is_null());
        if let Some(decision) = decision {
            update.decisions = Set(row::decisions_text(&decision::remember(&seen.decisions, decision)));
        }
        let change = session::Entity::update_many().set(update).filter(stands);
        self.writer.execute_doubting(&change.into_query()).await
    }
}

/// A session that is neither revoked nor expired: [`Session::state`], as SQL.
pub(super) fn live(now: Timestamp) -> Condition {
    use session::Column as C;
    let last = now.after(crate::session::LAST_MOMENT).millis();
    Condition::all().add(C::RevokedAt.is_null()).add(C::IdleExpiresAt.gte(last)).add(C::ExpiresAt.gte(last))
}
