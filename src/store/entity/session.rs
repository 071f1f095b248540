//! A session: one row from sign-in to the sweep. Times are milliseconds since 1970, durations seconds; lists are words
//! with spaces between.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub subject: String,
    pub client_id: String,
    pub caller: String,
    pub audience: String,
    pub scope: String,
    pub claims: String,
    pub acr: Option<String>,
    pub amr: String,
    pub auth_time: i64,
    pub access_token_ttl: i64,
    pub idle_ttl: i64,
    pub browser_session: bool,
    pub generation: i64,
    pub rotated_at: i64,
    pub recovered_generation: i64,
    pub recovered_at: i64,
    pub recovery_streak: i64,
    pub burst_generation: i64,
    pub burst_at: i64,
    pub created_at: i64,
    pub idle_expires_at: i64,
    pub expires_at: i64,
    pub revoked_at: Option<i64>,
    pub revoke_reason: Option<String>,
    pub revoked_by: Option<String>,
    pub user_agent: Option<String>,
    pub ip_address: Option<String>,
    pub label: Option<String>,
    pub decisions: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::store) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
