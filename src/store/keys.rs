//! The deeds done to signing keys. Each is done only to a ring that still is as whoever decided it saw it.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, Func, OnConflict, SimpleExpr, UpdateStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait, TransactionTrait};

use super::connection::whole;
use super::entity::signing_key::{ActiveModel, Column, Entity, Model};
use super::sqlite::immediate;
use super::{Error, Store};
use crate::keys::ring::{KeyState, Member};
use crate::keys::seal::Sealed;
use crate::keys::signing_key::{Algorithm, PublicKey};
use crate::time::Timestamp;

/// A signing key as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    pub member: Member,
    /// The private half; none once it signs no more.
    pub sealed: Option<Sealed>,
}

impl Store {
    /// The signing keys, oldest first; those that are gone only if asked for.
    pub async fn signing_keys(&self, with_gone: bool) -> Result<Vec<StoredKey>, Error> {
        self.each_signing_key(with_gone).await?.into_iter().collect()
    }

    /// The same, each by itself: one that cannot be read says so and hides no other.
    pub async fn each_signing_key(&self, with_gone: bool) -> Result<Vec<Result<StoredKey, Error>>, Error> {
        let mut query = Entity::find().order_by_asc(Column::CreatedAt).order_by_asc(Column::KeyId);
        if !with_gone {
            query = query.filter(Column::State.ne(KeyState::Gone.name()));
        }
        let rows = self.readers.run(|connection| {
            let query = query.clone();
            async move { query.all(connection.as_ref()).await }
        });
        Ok(rows.await?.into_iter().map(stored_key).collect())
    }

    /// Publishes a key that is to sign next, if there is none yet. However many replicas try at once, one succeeds.
    pub async fn publish_key(&self, public: &PublicKey, sealed: &Sealed, now: Timestamp) -> Result<bool, Error> {
        let row = ActiveModel {
            key_id: Set(public.key_id().to_owned()),
            algorithm: Set(Algorithm::EdDsa.name().to_owned()),
            state: Set(KeyState::Pending.name().to_owned()),
            public_key: Set(public.verifying_key().as_bytes().to_vec()),
            master_key_id: Set(sealed.master_key_id.into()),
            sealed_seed: Set(Some(sealed.bytes.clone())),
            created_at: Set(now.millis()),
            ..Default::default()
        };
        let insert = Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
        let done = self.writer.execute_doubting(&insert.into_query()).await?;
        // Whoever else published one published another.
        self.did(done, public.key_id(), Column::CreatedAt.eq(now.millis())).await
    }

    /// Remembers that somebody asked for the pending key to sign as soon as it may.
    pub async fn ask_for_key(&self, key_id: &str, now: Timestamp) -> Result<bool, Error> {
        let asked = of(key_id, KeyState::Pending)
            .value(Column::AskedAt, now.millis())
            .and_where(Column::AskedAt.is_null())
            .take();
        let done = self.writer.execute_doubting(&asked).await?;
        self.did(done, key_id, Column::AskedAt.eq(now.millis())).await
    }

    /// The pending key signs from now on, and the one that signed until now does not, whose private half is forgotten.
    pub async fn activate_key(&self, key_id: &str, retired: Option<&str>, now: Timestamp) -> Result<bool, Error> {
        let retire = retired.map(|retired| {
            of(retired, KeyState::Active)
                .value(Column::State, KeyState::Retiring.name())
                .value(Column::RetiredAt, now.millis())
                .value(Column::SealedSeed, Option::<Vec<u8>>::None)
                .take()
        });
        let done = self.all_or_nothing(retire.into_iter().chain([activate(key_id, now)]).collect()).await?;
        self.did(done, key_id, Column::ActivatedAt.eq(now.millis())).await
    }

    /// A key that no longer signs leaves the JWKS.
    pub async fn bury_key(&self, key_id: &str, now: Timestamp) -> Result<bool, Error> {
        let bury = of(key_id, KeyState::Retiring)
            .value(Column::State, KeyState::Gone.name())
            .value(Column::EndedAt, now.millis())
            .take();
        let done = self.writer.execute_doubting(&bury).await?;
        self.did(done, key_id, Column::EndedAt.eq(now.millis())).await
    }

    /// Takes a key out of use, whatever it did; its private half is forgotten. `successor`, which is pending, signs from
    /// now on.
    pub async fn compromise_key(&self, key: &Member, successor: Option<&str>, now: Timestamp) -> Result<bool, Error> {
        let now_if_unset = |column: Column| Func::coalesce([Expr::col(column), Expr::value(now.millis())]);
        let mut compromise = of(key.public.key_id(), key.state);
        compromise
            .value(Column::State, KeyState::Compromised.name())
            .value(Column::RetiredAt, now_if_unset(Column::RetiredAt))
            .value(Column::EndedAt, now.millis())
            .value(Column::SealedSeed, Option::<Vec<u8>>::None);
        let activate = successor.map(|successor| activate(successor, now));
        let done = self.all_or_nothing([compromise].into_iter().chain(activate).collect()).await?;
        self.did(done, key.public.key_id(), Column::EndedAt.eq(now.millis())).await
    }

    /// Puts the same private half, sealed anew, in the place of the one that was read.
    pub async fn reseal_key(&self, key_id: &str, before: &Sealed, after: &Sealed) -> Result<bool, Error> {
        let reseal = UpdateStatement::new()
            .table(Entity)
            .value(Column::MasterKeyId, i32::from(after.master_key_id))
            .value(Column::SealedSeed, after.bytes.clone())
            .and_where(Column::KeyId.eq(key_id))
            .and_where(Column::SealedSeed.eq(before.bytes.clone()))
            .take();
        let done = self.writer.execute_doubting(&reseal).await?;
        self.did(done, key_id, Column::SealedSeed.eq(after.bytes.clone())).await
    }

    /// Whether a deed was done to a key, given how many rows it changed and whether an earlier try may have changed them
    /// whose answer was lost: then the key bears its mark.
    async fn did(&self, (rows, doubt): (u64, bool), key_id: &str, mark: SimpleExpr) -> Result<bool, Error> {
        if rows != 0 || !doubt {
            return Ok(rows != 0);
        }
        let marked = Entity::find_by_id(key_id).filter(mark);
        let found = self.writer.run(|connection| {
            let marked = marked.clone();
            async move { marked.one(connection.as_ref()).await }
        });
        Ok(found.await?.is_some())
    }

    /// Does these updates of one row each, in one transaction, unless one of them finds no row. Answers as
    /// [`Connection::execute_doubting`](super::connection::Connection::execute_doubting) does.
    async fn all_or_nothing(&self, updates: Vec<UpdateStatement>) -> Result<(u64, bool), Error> {
        let done = self.writer.run_doubting(|connection| {
            let updates = updates.clone();
            whole(async move {
                let transaction = connection.begin_with_options(immediate()).await?;
                for update in &updates {
                    if transaction.execute(update).await?.rows_affected() != 1 {
                        transaction.rollback().await?;
                        return Ok(0);
                    }
                }
                transaction.commit().await?;
                Ok(u64::try_from(updates.len()).unwrap_or(u64::MAX))
            })
        });
        done.await
    }
}

/// An update of this key while it is in this state.
fn of(key_id: &str, state: KeyState) -> UpdateStatement {
    let mut update = UpdateStatement::new();
    update.table(Entity).and_where(Column::KeyId.eq(key_id)).and_where(Column::State.eq(state.name()));
    update
}

fn activate(key_id: &str, now: Timestamp) -> UpdateStatement {
    let mut update = of(key_id, KeyState::Pending);
    update.value(Column::State, KeyState::Active.name()).value(Column::ActivatedAt, now.millis());
    update
}

fn stored_key(row: Model) -> Result<StoredKey, Error> {
    let id = row.key_id;
    let impossible = |column| Error::Impossible { table: "signing_keys", column, id: id.clone() };
    let public = PublicKey::from_bytes(&row.public_key).filter(|public| public.key_id() == id);
    Algorithm::from_name(&row.algorithm).ok_or_else(|| impossible("algorithm"))?;
    let master_key_id = u8::try_from(row.master_key_id).map_err(|_| impossible("master_key_id"))?;
    Ok(StoredKey {
        member: Member {
            public: public.ok_or_else(|| impossible("public_key"))?,
            state: KeyState::from_name(&row.state).ok_or_else(|| impossible("state"))?,
            created_at: Timestamp::from_millis(row.created_at),
            asked_at: row.asked_at.map(Timestamp::from_millis),
            activated_at: row.activated_at.map(Timestamp::from_millis),
            retired_at: row.retired_at.map(Timestamp::from_millis),
            ended_at: row.ended_at.map(Timestamp::from_millis),
        },
        sealed: row.sealed_seed.map(|bytes| Sealed { master_key_id, bytes }),
    })
}
