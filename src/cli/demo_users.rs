//! The two users `symbolon dev` has built in, so that it can be tried without a backend. It speaks the same gRPC as a real
//! verifier does.

use prost_types::Struct;
use prost_types::value::Kind;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tonic::{Request, Response, Status};

use crate::edge::Channel;
use crate::edge::issuer::channel as wrap;
use crate::pb::identity::credential_verifier_service_server::{
    CredentialVerifierService, CredentialVerifierServiceServer,
};
use crate::pb::identity::verify_credentials_response::Verdict;
use crate::pb::identity::{Denied, Verified, VerifyCredentialsRequest, VerifyCredentialsResponse};

/// Names and passwords.
const USERS: [(&str, &str); 2] = [("alice", "alice"), ("bob", "bob")];

struct DemoUsers;

/// The users, as the edge calls them.
pub(super) fn channel() -> Channel {
    wrap(CredentialVerifierServiceServer::new(DemoUsers))
}

#[tonic::async_trait]
impl CredentialVerifierService for DemoUsers {
    async fn verify_credentials(
        &self,
        request: Request<VerifyCredentialsRequest>,
    ) -> Result<Response<VerifyCredentialsResponse>, Status> {
        let credentials = request.into_inner().credentials.unwrap_or_default();
        let (username, password) = (text(&credentials, "username"), text(&credentials, "password"));
        let verdict = if known(username, password) {
            let amr = vec!["pwd".to_owned()];
            Verdict::Verified(Verified { subject: username.to_owned(), amr, ..Verified::default() })
        } else {
            Verdict::Denied(Denied::default())
        };
        Ok(Response::new(VerifyCredentialsResponse { verdict: Some(verdict) }))
    }
}

/// Takes the same time for an unknown user as for a wrong password: every pair is compared whole.
fn known(username: &str, password: &str) -> bool {
    let same = |one: &str, other: &str| Sha256::digest(one).ct_eq(&Sha256::digest(other));
    let one = |found: Choice, (name, secret): (&str, &str)| found | (same(username, name) & same(password, secret));
    USERS.into_iter().fold(Choice::from(0), one).into()
}

fn text<'a>(credentials: &'a Struct, name: &str) -> &'a str {
    match credentials.fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text,
        Some(
            Kind::NullValue(_) | Kind::NumberValue(_) | Kind::BoolValue(_) | Kind::StructValue(_) | Kind::ListValue(_),
        )
        | None => "",
    }
}
