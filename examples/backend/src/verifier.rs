//! The method the edge calls at `POST /auth/login`: are these credentials right, and whose are they? It is told the JSON
//! that the page sent: here `username`, `password` and, for a second factor, `code`.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use subtle::ConstantTimeEq;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response, Status};

use crate::guesses::Guesses;
use crate::password;
use crate::pb::credential_verifier_service_server::CredentialVerifierService;
use crate::pb::verify_credentials_response::Verdict;
use crate::pb::{DenialReason, Denied, Verified, VerifyCredentialsRequest, VerifyCredentialsResponse};
use crate::users::{User, Users};

pub(crate) struct Verifier {
    users: Arc<Users>,
    guesses: Guesses,
    token: Option<String>,
    /// What the password of an unknown user is compared with, so that it takes as long as a wrong one.
    nobodys_hash: String,
}

#[tonic::async_trait]
impl CredentialVerifierService for Verifier {
    async fn verify_credentials(
        &self,
        request: Request<VerifyCredentialsRequest>,
    ) -> Result<Response<VerifyCredentialsResponse>, Status> {
        if !self.is_edge(request.metadata()) {
            return Err(Status::unauthenticated("bring the edge's bearer token"));
        }
        let credentials = request.into_inner().credentials.unwrap_or_default();
        // An error means that nothing was decided: the browser is told to try again, and nothing is counted.
        let verdict = self.verdict(&credentials).await.map_err(|_| Status::internal("the users could not be read"))?;
        Ok(Response::new(VerifyCredentialsResponse { verdict: Some(verdict) }))
    }
}

impl Verifier {
    pub(crate) async fn new(
        users: Arc<Users>,
        guesses: Guesses,
        token: Option<String>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let nobodys_hash = password::hash("nobody's".to_owned()).await?;
        Ok(Self { users, guesses, token, nobodys_hash })
    }

    fn is_edge(&self, metadata: &MetadataMap) -> bool {
        let Some(token) = &self.token else { return true };
        let brought = metadata.get("authorization").map(MetadataValue::as_bytes).unwrap_or_default();
        format!("Bearer {token}").as_bytes().ct_eq(brought).into()
    }

    async fn verdict(&self, credentials: &Struct) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        let username = text(credentials, "username").trim().to_lowercase();
        if let Err(left) = self.guesses.take(&username) {
            return Ok(locked(left));
        }
        let verdict = self.judge(&username, credentials).await;
        if verdict.is_err() {
            self.guesses.give_back(&username);
        }
        verdict
    }

    async fn judge(&self, username: &str, credentials: &Struct) -> Result<Verdict, Box<dyn Error + Send + Sync>> {
        let user = self.users.named(username).await?;
        let hash = user.as_ref().map_or(&self.nobodys_hash, |user| &user.password_hash);
        let right = password::matches(text(credentials, "password").to_owned(), hash.clone()).await?;
        let Some(user) = user.filter(|_| right) else { return Ok(denied(DenialReason::Unspecified)) };

        // From here on it is somebody who knows the password.
        if user.disabled {
            self.guesses.give_back(username);
            return Ok(denied(DenialReason::Disabled));
        }
        let mut amr = vec!["pwd".to_owned()];
        if let Some(secret) = &user.totp_secret {
            let code = text(credentials, "code");
            if code.is_empty() {
                self.guesses.give_back(username);
                return Ok(more_required());
            }
            // A wrong code stays counted: whoever has the password must not try them all.
            if !self.takes_code(&user, secret, code).await? {
                return Ok(more_required());
            }
            amr.push("otp".to_owned());
        }
        self.guesses.forget(username);
        Ok(Verdict::Verified(Verified { subject: format!("user-{}", user.id), amr, ..Verified::default() }))
    }

    /// Whether the code is right now, and has not been used.
    async fn takes_code(&self, user: &User, secret: &[u8], code: &str) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let totp = totp_rs::Builder::new().with_secret(secret).build()?;
        let Some(step) = totp.check(code, now) else { return Ok(false) };
        Ok(self.users.use_up(user.id, i64::try_from(step)?).await?)
    }
}

fn denied(reason: DenialReason) -> Verdict {
    Verdict::Denied(Denied { reason: reason.into(), ..Denied::default() })
}

fn locked(left: Duration) -> Verdict {
    let retry_after = prost_types::Duration::try_from(left).ok();
    Verdict::Denied(Denied { reason: DenialReason::Locked.into(), retry_after, ..Denied::default() })
}

/// The page is handed the details as they are, asks for a code, and calls login again with all three.
fn more_required() -> Verdict {
    let totp = Value { kind: Some(Kind::StringValue("totp".to_owned())) };
    let details = Some(Struct { fields: [("factor".to_owned(), totp)].into() });
    Verdict::Denied(Denied { reason: DenialReason::MoreRequired.into(), details, ..Denied::default() })
}

/// A member of the credentials that is text; empty if there is none.
fn text<'a>(credentials: &'a Struct, name: &str) -> &'a str {
    match credentials.fields.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text,
        _ => "",
    }
}
