//! Symbolon's gRPC API: connections, who asks, and what a status means to a load generator.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{IssueTokensRequest, IssueTokensResponse, RefreshTokensRequest, Session, TokenPair};
use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::Refusal;
use crate::Failure;
use crate::plan::Target;

pub(crate) type Client = AuthServiceClient<InterceptedService<Channel, Bearer>>;

/// Puts the caller's secret, if there is one, on every call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

/// How long a server may take to answer the door.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many connections, each of its own.
pub(crate) async fn connect(target: &Target, connections: usize) -> Result<Vec<Client>, Failure> {
    let endpoint = endpoint(target)?;
    let bearer = Bearer(target.token_file.as_deref().map(bearer).transpose()?);
    let mut clients = Vec::new();
    for _ in 0..connections {
        let unreachable = |cause| format!("{} is not reached: {}", target.grpc, root(&cause));
        let channel = endpoint.connect().await.map_err(unreachable)?;
        clients.push(AuthServiceClient::with_interceptor(channel, bearer.clone()));
    }
    Ok(clients)
}

fn endpoint(target: &Target) -> Result<Endpoint, Failure> {
    let url = &target.grpc;
    let fault = |why: &dyn std::fmt::Display| Failure::from(format!("--server {url}: {why}"));
    let endpoint = Endpoint::from_shared(url.clone()).map_err(|error| fault(&root(&error)))?.connect_timeout(PATIENCE);
    if endpoint.uri().scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let mut tls = match &target.ca {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let (Some(certificate), Some(key)) = (&target.certificate, &target.key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    endpoint.tls_config(tls).map_err(|error| fault(&root(&error)))
}

fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, Failure> {
    let text = String::from_utf8(read(path)?)?;
    let mut header = MetadataValue::try_from(format!("Bearer {}", text.lines().next().unwrap_or_default().trim()))
        .map_err(|_| format!("{}: the secret has characters that no header may have", path.display()))?;
    header.set_sensitive(true);
    Ok(header)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn root(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// A session and its first tokens.
pub(crate) async fn session(client: &mut Client, subject: &str) -> Result<(Session, TokenPair), Refusal> {
    let request = IssueTokensRequest { subject: subject.to_owned(), ..Default::default() };
    let IssueTokensResponse { session, tokens } = client.issue_tokens(request).await?.into_inner();
    session.zip(tokens).ok_or(Refusal::Failed("an answer without tokens".into()))
}

pub(super) async fn issue(client: &mut Client, subject: &str) -> Result<String, Refusal> {
    Ok(session(client, subject).await?.1.refresh_token)
}

pub(super) async fn refresh(client: &mut Client, token: &str) -> Result<String, Refusal> {
    let request = RefreshTokensRequest { refresh_token: token.to_owned(), ..Default::default() };
    let tokens = client.refresh_tokens(request).await?.into_inner().tokens;
    Ok(tokens.ok_or(Refusal::Failed("an answer without tokens".into()))?.refresh_token)
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let reason = status.get_details_error_info().map(|info| info.reason);
        let code = reason.unwrap_or_else(|| format!("{:?}", status.code())).into();
        let refused = matches!(
            status.code(),
            Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument | Code::NotFound | Code::Aborted
        );
        if refused { Self::Refused(code) } else { Self::Failed(code) }
    }
}
