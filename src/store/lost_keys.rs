//! What is done to signing keys whose private halves nobody can open any more, since their master key is lost.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::UpdateStatement;

use super::entity::signing_key::{Column, Entity};
use super::{Error, Store};
use crate::keys::ring::{KeyState, Member};
use crate::time::Timestamp;

impl Store {
    /// Gives up a key that is to sign or does, and its private half. What it has signed is verified as long as it lives: it
    /// is lost, not stolen. `false`: it has changed meanwhile, or signs no more.
    pub async fn give_up_key(&self, key: &Member, now: Timestamp) -> Result<bool, Error> {
        let (state, since) = match key.state {
            KeyState::Active => (KeyState::Retiring, Column::RetiredAt),
            KeyState::Pending => (KeyState::Gone, Column::EndedAt),
            KeyState::Retiring | KeyState::Gone | KeyState::Compromised => return Ok(false),
        };
        let give_up = UpdateStatement::new()
            .table(Entity)
            .value(Column::State, state.name())
            .value(since, now.millis())
            .value(Column::SealedSeed, Option::<Vec<u8>>::None)
            .and_where(Column::KeyId.eq(key.public.key_id()))
            .and_where(Column::State.eq(key.state.name()))
            .take();
        Ok(self.writer.execute(&give_up).await? == 1)
    }
}
