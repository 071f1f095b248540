//! A key pair that signs or verifies, its private half sealed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub(in crate::store) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub key_id: String,
    pub algorithm: String,
    pub state: String,
    pub public_key: Vec<u8>,
    pub master_key_id: i32,
    /// None once it signs no more.
    pub sealed_seed: Option<Vec<u8>>,
    pub created_at: i64,
    pub asked_at: Option<i64>,
    pub activated_at: Option<i64>,
    pub retired_at: Option<i64>,
    pub ended_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(in crate::store) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
