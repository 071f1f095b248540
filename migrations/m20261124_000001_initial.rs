//! The first schema: sessions, request ids, signing keys, the check values of master keys, and whose database it is.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        for statement in statements(manager.get_database_backend()) {
            connection.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    /// One DDL statement a transaction, as distributed engines want it; each can be run again after a crash between.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

pub(crate) fn statements(backend: DbBackend) -> Vec<String> {
    let tables = [sessions(), issue_requests(), signing_keys(), master_keys(), issuer()];
    let indexes = [
        sessions_by_subject(),
        sessions_by_expiry(),
        sessions_by_revocation(),
        issue_requests_by_age(),
        one_signing_key("one_active_signing_key", "active"),
        one_signing_key("one_pending_signing_key", "pending"),
    ];
    let tables = tables.iter().map(|table| backend.build(table).to_string());
    tables.chain(indexes.iter().map(|index| backend.build(index).to_string())).collect()
}

/// Times are milliseconds since 1970, durations seconds; lists are words with spaces between.
fn sessions() -> TableCreateStatement {
    use Sessions as S;
    let big = |column| ColumnDef::new(column).big_integer().not_null().take();
    let text = |column| ColumnDef::new(column).text().not_null().take();
    Table::create()
        .if_not_exists()
        .table(S::Table)
        .col(ColumnDef::new(S::Id).uuid().not_null().primary_key())
        .col(text(S::Subject))
        .col(text(S::ClientId))
        .col(text(S::Caller))
        .col(text(S::Audience))
        .col(text(S::Scope))
        .col(text(S::Claims))
        .col(ColumnDef::new(S::Acr).text())
        .col(text(S::Amr))
        .col(big(S::AuthTime))
        .col(big(S::AccessTokenTtl))
        .col(big(S::IdleTtl))
        .col(ColumnDef::new(S::BrowserSession).boolean().not_null())
        .col(big(S::Generation))
        .col(big(S::RotatedAt))
        .col(big(S::RecoveredGeneration))
        .col(big(S::RecoveredAt))
        .col(big(S::RecoveryStreak))
        .col(big(S::BurstGeneration))
        .col(big(S::BurstAt))
        .col(big(S::CreatedAt))
        .col(big(S::IdleExpiresAt))
        .col(big(S::ExpiresAt))
        .col(ColumnDef::new(S::RevokedAt).big_integer())
        .col(ColumnDef::new(S::RevokeReason).text())
        .col(ColumnDef::new(S::RevokedBy).text())
        .col(ColumnDef::new(S::UserAgent).text())
        .col(ColumnDef::new(S::IpAddress).text())
        .col(ColumnDef::new(S::Label).text())
        .col(text(S::Decisions))
        .take()
}

/// For lists and "sign out everywhere". Ended sessions too, since they are listed until they are swept; rotation
/// touches no indexed column.
fn sessions_by_subject() -> IndexCreateStatement {
    Index::create()
        .if_not_exists()
        .name("sessions_by_subject")
        .table(Sessions::Table)
        .col(Sessions::Subject)
        .col(Sessions::Id)
        .take()
}

/// For sweeping.
fn sessions_by_expiry() -> IndexCreateStatement {
    Index::create().if_not_exists().name("sessions_by_expiry").table(Sessions::Table).col(Sessions::ExpiresAt).take()
}

/// For the revocation feed.
fn sessions_by_revocation() -> IndexCreateStatement {
    Index::create()
        .if_not_exists()
        .name("sessions_by_revocation")
        .table(Sessions::Table)
        .col(Sessions::RevokedAt)
        .cond_where(Expr::col(Sessions::RevokedAt).is_not_null())
        .take()
}

fn issue_requests() -> TableCreateStatement {
    use IssueRequests as I;
    Table::create()
        .if_not_exists()
        .table(I::Table)
        .col(ColumnDef::new(I::Caller).text().not_null())
        .col(ColumnDef::new(I::Subject).text().not_null())
        .col(ColumnDef::new(I::RequestId).uuid().not_null())
        .col(ColumnDef::new(I::SessionId).uuid().not_null())
        .col(ColumnDef::new(I::Digest).binary().not_null())
        .col(ColumnDef::new(I::CreatedAt).big_integer().not_null())
        .primary_key(Index::create().col(I::Caller).col(I::Subject).col(I::RequestId))
        .take()
}

fn issue_requests_by_age() -> IndexCreateStatement {
    Index::create()
        .if_not_exists()
        .name("issue_requests_by_age")
        .table(IssueRequests::Table)
        .col(IssueRequests::CreatedAt)
        .take()
}

fn signing_keys() -> TableCreateStatement {
    use SigningKeys as K;
    Table::create()
        .if_not_exists()
        .table(K::Table)
        .col(ColumnDef::new(K::KeyId).text().not_null().primary_key())
        .col(ColumnDef::new(K::Algorithm).text().not_null())
        .col(ColumnDef::new(K::State).text().not_null())
        .col(ColumnDef::new(K::PublicKey).binary().not_null())
        .col(ColumnDef::new(K::MasterKeyId).integer().not_null())
        .col(ColumnDef::new(K::SealedSeed).binary())
        .col(ColumnDef::new(K::CreatedAt).big_integer().not_null())
        .col(ColumnDef::new(K::AskedAt).big_integer())
        .col(ColumnDef::new(K::ActivatedAt).big_integer())
        .col(ColumnDef::new(K::RetiredAt).big_integer())
        .col(ColumnDef::new(K::EndedAt).big_integer())
        .take()
}

/// However many replicas start or rotate at once, one key of an algorithm signs, and one waits to.
fn one_signing_key(name: &str, state: &str) -> IndexCreateStatement {
    Index::create()
        .if_not_exists()
        .name(name)
        .table(SigningKeys::Table)
        .col(SigningKeys::Algorithm)
        .unique()
        .cond_where(Expr::col(SigningKeys::State).eq(state))
        .take()
}

fn master_keys() -> TableCreateStatement {
    Table::create()
        .if_not_exists()
        .table(MasterKeys::Table)
        .col(ColumnDef::new(MasterKeys::Id).integer().not_null().primary_key())
        .col(ColumnDef::new(MasterKeys::CheckValue).binary().not_null())
        .take()
}

fn issuer() -> TableCreateStatement {
    Table::create()
        .if_not_exists()
        .table(Issuer::Table)
        .col(ColumnDef::new(Issuer::Id).integer().not_null().primary_key())
        .col(ColumnDef::new(Issuer::Issuer).text().not_null())
        .col(ColumnDef::new(Issuer::Epoch).uuid().not_null())
        .col(ColumnDef::new(Issuer::LongestAccessTokenTtl).big_integer().not_null())
        .take()
}

#[derive(DeriveIden)]
enum Sessions {
    Table,
    Id,
    Subject,
    ClientId,
    Caller,
    Audience,
    Scope,
    Claims,
    Acr,
    Amr,
    AuthTime,
    AccessTokenTtl,
    IdleTtl,
    BrowserSession,
    Generation,
    RotatedAt,
    RecoveredGeneration,
    RecoveredAt,
    RecoveryStreak,
    BurstGeneration,
    BurstAt,
    CreatedAt,
    IdleExpiresAt,
    ExpiresAt,
    RevokedAt,
    RevokeReason,
    RevokedBy,
    UserAgent,
    IpAddress,
    Label,
    Decisions,
}

#[derive(DeriveIden)]
enum IssueRequests {
    Table,
    Caller,
    Subject,
    RequestId,
    SessionId,
    Digest,
    CreatedAt,
}

#[derive(DeriveIden)]
enum SigningKeys {
    Table,
    KeyId,
    Algorithm,
    State,
    PublicKey,
    MasterKeyId,
    SealedSeed,
    CreatedAt,
    AskedAt,
    ActivatedAt,
    RetiredAt,
    EndedAt,
}

#[derive(DeriveIden)]
enum MasterKeys {
    Table,
    Id,
    CheckValue,
}

#[derive(DeriveIden)]
enum Issuer {
    Table,
    Id,
    #[expect(clippy::enum_variant_names, reason = "the column's name")]
    Issuer,
    Epoch,
    LongestAccessTokenTtl,
}
