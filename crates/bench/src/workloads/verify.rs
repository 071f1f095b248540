//! Verification in this process, with the pieces a service that verifies is made of: the server is asked once for its keys
//! and then not at all.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use symbolon::pb::auth::{GetJwksRequest, Jwk as Published};
use symbolon_verifier::{Audience, Expected, Jwk, KeySet, Rejection, verify};

use super::{Round, shares};
use crate::Failure;
use crate::doors::{Refusal, grpc};
use crate::drive::{Notes, Work};
use crate::plan::Plan;

pub(super) struct Worker {
    issuer: Arc<Issuer>,
    tokens: Round<String>,
}

struct Issuer {
    name: String,
    keys: KeySet,
}

pub(super) async fn workers(
    plan: &Plan,
    mut client: grpc::Client,
    tokens: Vec<String>,
) -> Result<Vec<Worker>, Failure> {
    let answer = client.get_jwks(GetJwksRequest {}).await?.into_inner();
    let keys: Vec<_> = answer.keys.into_iter().map(jwk).collect();
    let issuer = Arc::new(Issuer { name: answer.issuer, keys: KeySet::new(&keys)? });
    let worker = |(_, tokens)| Worker { issuer: Arc::clone(&issuer), tokens: Round::new(tokens) };
    Ok(shares(plan, tokens).map(worker).collect())
}

fn jwk(key: Published) -> Jwk {
    let Published { kty, crv, x, kid, alg, r#use, y: _ } = key;
    Jwk { kty, crv: Some(crv), x: Some(x), kid: Some(kid), alg: Some(alg), r#use: Some(r#use) }
}

impl Work for Worker {
    async fn once(&mut self, _: &Notes) -> Result<(), Refusal> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let expected = Expected {
            issuer: &self.issuer.name,
            audience: Audience::Any,
            now: i64::try_from(now).unwrap_or(i64::MAX),
            exp_leeway: 30,
            iat_leeway: 30,
        };
        let verified = verify(self.tokens.next(), &self.issuer.keys, &expected);
        verified.map(drop).map_err(|rejection: Rejection| Refusal::Refused(rejection.label().into()))
    }
}
