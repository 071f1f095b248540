//! Copying everything from one database into another one, of whatever kind, so that its sessions live on there: the same
//! issuer and epoch, the same keys, sealed as they are.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, TransactionTrait,
};
use thiserror::Error;

use super::entity::{issue_request, issuer, master_key, session, signing_key};
use super::sqlite::immediate;
use super::{OpenError, Store, Url, postgres};

/// How many rows are read and written at once: a session has thirty values, and a statement has room for 32,766.
const PORTION: u64 = 500;

/// How much was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub sessions: u64,
    pub request_ids: u64,
    pub signing_keys: u64,
}

#[derive(Debug, Error)]
pub enum TransferError {
    #[error("{0} is not empty: copy into a database that `symbolon migrate up` has just made")]
    NotEmpty(String),
    #[error("{0} belongs to no issuer yet: no server has ever started on it")]
    Nobodys(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("nothing was copied: {0}{hint}", hint = postgres::hint(.0))]
    Failed(#[from] DbErr),
}

impl Store {
    /// Copies everything into a database with the same schema in which there is nothing yet: all of it, or nothing.
    pub async fn copy_into(&self, target: &Store) -> Result<Copied, TransferError> {
        self.check_schema().await?;
        target.check_schema().await?;
        // A connection without a server's deadlines: one transaction takes as long as it takes.
        let own = match &target.url {
            Url::Sqlite(_) => None,
            Url::Postgres(address) => Some(Database::connect(postgres::unhurried(address)).await?),
        };
        let writer = target.writer.current();
        let transaction = own.as_ref().unwrap_or(&writer).begin_with_options(immediate()).await?;
        if !is_empty(&transaction).await? {
            return Err(TransferError::NotEmpty(target.url.to_string()));
        }
        let source = &self.readers.current();
        let Some(issuer) = issuer::Entity::find_by_id(1).one(source.as_ref()).await? else {
            return Err(TransferError::Nobodys(self.url.to_string()));
        };
        // First: a server that starts there meanwhile wants to be the one who does this, and is refused.
        insert::<issuer::Entity>(&transaction, vec![issuer]).await?;
        let keys = master_key::Entity::find().all(source.as_ref()).await?;
        insert::<master_key::Entity>(&transaction, keys).await?;
        let keys = signing_key::Entity::find().all(source.as_ref()).await?;
        let mut copied = Copied { signing_keys: keys.len() as u64, ..Copied::default() };
        insert::<signing_key::Entity>(&transaction, keys).await?;
        copied.sessions = sessions(source, &transaction).await?;
        copied.request_ids = requests(source, &transaction).await?;
        transaction.commit().await?;
        if let Some(own) = own {
            own.close().await?;
        }
        Ok(copied)
    }
}

async fn is_empty(target: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let rows = issuer::Entity::find().count(target).await?
        + master_key::Entity::find().count(target).await?
        + signing_key::Entity::find().count(target).await?
        + session::Entity::find().count(target).await?
        + issue_request::Entity::find().count(target).await?;
    Ok(rows == 0)
}

async fn insert<E>(target: &DatabaseTransaction, rows: Vec<E::Model>) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    if rows.is_empty() {
        return Ok(());
    }
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    E::insert_many(rows).exec_without_returning(target).await.map(drop)
}

async fn sessions(source: &DatabaseConnection, target: &DatabaseTransaction) -> Result<u64, DbErr> {
    use session::{Column, Entity};
    let (mut copied, mut last) = (0, None);
    loop {
        let mut query = Entity::find().order_by_asc(Column::Id).limit(PORTION);
        if let Some(last) = last {
            query = query.filter(Column::Id.gt(last));
        }
        let rows = query.all(source).await?;
        let Some(row) = rows.last() else { return Ok(copied) };
        last = Some(row.id);
        copied += rows.len() as u64;
        insert::<Entity>(target, rows).await?;
    }
}

async fn requests(source: &DatabaseConnection, target: &DatabaseTransaction) -> Result<u64, DbErr> {
    use issue_request::{Column, Entity};
    let key = || Expr::tuple([Column::Caller, Column::Subject, Column::RequestId].map(Expr::col));
    let (mut copied, mut last) = (0, None);
    loop {
        let mut query = Entity::find()
            .order_by_asc(Column::Caller)
            .order_by_asc(Column::Subject)
            .order_by_asc(Column::RequestId)
            .limit(PORTION);
        if let Some((caller, subject, request_id)) = last.take() {
            let last: [Expr; 3] =
                [Expr::value::<String>(caller), Expr::value::<String>(subject), Expr::value(request_id)];
            query = query.filter(key().gt(Expr::tuple(last)));
        }
        let rows = query.all(source).await?;
        let Some(row) = rows.last() else { return Ok(copied) };
        last = Some((row.caller.clone(), row.subject.clone(), row.request_id));
        copied += rows.len() as u64;
        insert::<Entity>(target, rows).await?;
    }
}
