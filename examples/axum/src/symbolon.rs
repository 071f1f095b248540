//! Symbolon, as this backend needs it: a session for somebody who has just signed in, and the end of the one it replaces.

use std::time::{Duration, SystemTime};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::Settings;
use crate::pb::auth_service_client::AuthServiceClient;
use crate::pb::revoke_session_request::Target;
use crate::pb::{Authentication, Device, IssueTokensRequest, RevokeReason, RevokeSessionRequest};

/// How long a sign-in may wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the old session's end may hold the new one up.
const SUPERSEDING: Duration = Duration::from_secs(2);

pub(crate) struct Symbolon {
    client: AuthServiceClient<Channel>,
    /// `Bearer` and the caller's secret. `symbolon dev` asks for none.
    caller: Option<MetadataValue<Ascii>>,
    client_id: String,
}

/// A refresh token, and how many seconds it is good for.
pub(crate) struct Issued {
    pub(crate) refresh_token: String,
    pub(crate) seconds: u64,
}

impl Symbolon {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut endpoint = Endpoint::from_shared(settings.symbolon_url.clone())?.connect_timeout(PATIENCE);
        if settings.symbolon_url.starts_with("https:") {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
        }
        let caller = settings.caller_token.iter().map(|secret| format!("Bearer {secret}").parse());
        let caller = caller.map(|value| value.map(secret)).next().transpose()?;
        let client = AuthServiceClient::new(endpoint.connect_lazy());
        Ok(Self { client, caller, client_id: settings.client_id.clone() })
    }

    /// Begins a session.
    pub(crate) async fn issue(&self, subject: &str, device: Device) -> Result<Issued, Status> {
        let mut dice = [0; 16];
        getrandom::fill(&mut dice).map_err(|_| Status::internal("no entropy"))?;
        let authentication = Authentication { amr: vec!["pwd".to_owned()], ..Authentication::default() };
        let request = IssueTokensRequest {
            subject: subject.to_owned(),
            client_id: self.client_id.clone(),
            authentication: Some(authentication),
            device: Some(device),
            // So that a call whose answer was lost can be made again.
            request_id: uuid::Builder::from_random_bytes(dice).into_uuid().to_string(),
            ..IssueTokensRequest::default()
        };
        let answer = self.client.clone().issue_tokens(self.ask(request, PATIENCE)).await?.into_inner();
        let tokens = answer.tokens.ok_or_else(|| Status::internal("no tokens"))?;
        let expires = tokens.refresh_token_expire_time.and_then(|time| SystemTime::try_from(time).ok());
        let expires = expires.ok_or_else(|| Status::internal("no expire time"))?;
        let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
        Ok(Issued { refresh_token: tokens.refresh_token, seconds: left.as_secs() })
    }

    /// Ends the session that a new one took the place of.
    pub(crate) async fn supersede(&self, refresh_token: String) -> Result<(), Status> {
        let request = RevokeSessionRequest {
            target: Some(Target::RefreshToken(refresh_token)),
            reason: RevokeReason::Superseded.into(),
            ..RevokeSessionRequest::default()
        };
        self.client.clone().revoke_session(self.ask(request, SUPERSEDING)).await.map(drop)
    }

    fn ask<T>(&self, message: T, patience: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(patience);
        if let Some(caller) = &self.caller {
            request.metadata_mut().insert("authorization", caller.clone());
        }
        request
    }
}

/// Is not shown where a request is printed.
fn secret(mut value: MetadataValue<Ascii>) -> MetadataValue<Ascii> {
    value.set_sensitive(true);
    value
}
