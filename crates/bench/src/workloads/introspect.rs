//! Introspection: the server is asked about access tokens that are good.

use symbolon::pb::auth::IntrospectTokenRequest;

use super::{Round, shares};
use crate::doors::{Doors, Refusal, grpc};
use crate::drive::{Notes, Work};
use crate::plan::Plan;

pub(super) struct Worker {
    client: grpc::Client,
    tokens: Round<String>,
}

pub(super) fn workers(plan: &Plan, doors: &Doors, tokens: Vec<String>) -> Vec<Worker> {
    let worker = |(at, tokens)| Worker { client: doors.grpc(at), tokens: Round::new(tokens) };
    shares(plan, tokens).map(worker).collect()
}

impl Work for Worker {
    async fn once(&mut self, _: &Notes) -> Result<(), Refusal> {
        let request = IntrospectTokenRequest { token: self.tokens.next().clone() };
        let answer = self.client.introspect_token(request).await?.into_inner();
        if answer.active { Ok(()) } else { Err(Refusal::Refused("not active: the access tokens ran out".into())) }
    }
}
