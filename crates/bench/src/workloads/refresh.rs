//! Chains: every session's newest refresh token is redeemed, again and again. Whoever is refused signs in again.

use std::sync::Arc;

use super::{Round, Subjects, shares};
use crate::doors::{Door, Doors, Refusal};
use crate::drive::{Notes, Work};
use crate::plan::Plan;

pub(super) struct Worker {
    door: Door,
    tokens: Round<String>,
    subjects: Arc<Subjects>,
}

pub(super) fn workers(plan: &Plan, doors: &Doors, subjects: &Arc<Subjects>, tokens: Vec<String>) -> Vec<Worker> {
    let worker =
        |(at, tokens)| Worker { door: doors.door(at), tokens: Round::new(tokens), subjects: Arc::clone(subjects) };
    shares(plan, tokens).map(worker).collect()
}

impl Work for Worker {
    async fn once(&mut self, _: &Notes) -> Result<(), Refusal> {
        let token = self.tokens.next();
        match self.door.refresh(token).await {
            Ok(next) => {
                *token = next;
                Ok(())
            }
            Err(refusal) => {
                if matches!(refusal, Refusal::Refused(_)) {
                    *token = self.door.issue(&self.subjects.next()).await?;
                }
                Err(refusal)
            }
        }
    }
}
