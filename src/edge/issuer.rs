//! The token service as the edge calls it: over gRPC, in this process or at one of several addresses, trying again for a
//! while where that can help. What an answer means to a browser is the routes' business.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http;
use symbolon_verifier::{Revocations, WhenStale};
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};
use tracing::Instrument;

use crate::pb::auth as pb;
use crate::pb::auth::ErrorReason;
use crate::pb::auth::auth_service_client::AuthServiceClient;
use crate::trace;

/// Where gRPC calls go: a connection, or a service in this process.
pub use symbolon_verifier::Channel;

/// A channel of whatever takes gRPC calls.
pub fn channel<S>(service: S) -> Channel
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<StdError>,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|error: S::Error| Status::from_error(error.into())))
}

/// The domain of the reasons that count; whatever else is answered says nothing about a token.
const DOMAIN: &str = "symbolon.auth.v1";

/// What is called there.
const SERVICE: &str = "symbolon.auth.v1.AuthService";

/// How long it is tried again: a person waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a call may take with everything, above the service's own limit for one.
const DEADLINE: Duration = Duration::from_secs(7);

/// How long one address may take while there is another: a frozen machine must not use up the patience. Where the answer
/// was only slow, asking elsewhere gives the same one.
const TURN: Duration = Duration::from_millis(1500);

/// The waits between tries; the last one repeats.
const WAITS: [Duration; 4] =
    [Duration::from_millis(25), Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// How many turns an address that failed is passed over while others answer.
const PASSED_OVER: u32 = 64;

/// The most bytes of an answer: a page of a thousand sessions.
const ANSWER: usize = 4 * 1024 * 1024;

/// The token service.
pub struct Issuer {
    channels: Vec<Channel>,
    addresses: Vec<Address>,
    token: Option<AsciiMetadataValue>,
    turn: AtomicUsize,
}

struct Address {
    client: AuthServiceClient<Channel>,
    passed_over: AtomicU32,
}

/// Why a call was not answered as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The refresh token is dead: sign in again.
    Dead(Dead),
    /// An older token of a burst.
    Stale,
    RateLimited(Option<Duration>),
    SessionLimit,
    /// What was asked for is malformed or not allowed.
    Asked,
    /// No such thing.
    NotFound,
    /// Anything else: it says nothing about a token, a session or a person.
    Unavailable(Option<Duration>),
}

/// The closed list of answers that end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    Invalid,
    Reused,
    Expired,
    Revoked,
}

impl Issuer {
    /// At these addresses, of which there must be one; `token` is sent with every call.
    #[must_use]
    pub fn new(channels: Vec<Channel>, token: Option<AsciiMetadataValue>) -> Self {
        let address = |channel: &Channel| Address {
            client: AuthServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER),
            passed_over: AtomicU32::new(0),
        };
        Self { addresses: channels.iter().map(address).collect(), channels, token, turn: AtomicUsize::new(0) }
    }

    /// What it has revoked, once that is followed.
    pub(super) fn revocations(&self, when_stale: WhenStale) -> Revocations {
        Revocations::at(self.channels.clone(), self.token.as_ref(), when_stale)
    }

    pub async fn issue(&self, request: pb::IssueTokensRequest) -> Result<pb::IssueTokensResponse, Refusal> {
        self.ask("IssueTokens", request, |mut client, request| async move { client.issue_tokens(request).await }).await
    }

    pub async fn refresh(&self, request: pb::RefreshTokensRequest) -> Result<pb::RefreshTokensResponse, Refusal> {
        self.ask("RefreshTokens", request, |mut client, request| async move { client.refresh_tokens(request).await })
            .await
    }

    pub async fn revoke(&self, request: pb::RevokeSessionRequest) -> Result<pb::RevokeSessionResponse, Refusal> {
        self.ask("RevokeSession", request, |mut client, request| async move { client.revoke_session(request).await })
            .await
    }

    pub async fn revoke_subject(
        &self,
        request: pb::RevokeSubjectSessionsRequest,
    ) -> Result<pb::RevokeSubjectSessionsResponse, Refusal> {
        let call = |mut client: AuthServiceClient<Channel>, request| async move {
            client.revoke_subject_sessions(request).await
        };
        self.ask("RevokeSubjectSessions", request, call).await
    }

    pub async fn list(&self, request: pb::ListSessionsRequest) -> Result<pb::ListSessionsResponse, Refusal> {
        self.ask("ListSessions", request, |mut client, request| async move { client.list_sessions(request).await })
            .await
    }

    pub async fn jwks(&self) -> Result<pb::GetJwksResponse, Refusal> {
        let request = pb::GetJwksRequest {};
        self.ask("GetJwks", request, |mut client, request| async move { client.get_jwks(request).await }).await
    }

    /// Calls, and calls again where that can help: every method may be retried, `IssueTokens` because the edge gives it a
    /// `request_id`.
    async fn ask<M, A, F>(
        &self,
        method: &'static str,
        message: M,
        call: impl Fn(AuthServiceClient<Channel>, Request<M>) -> F,
    ) -> Result<A, Refusal>
    where
        M: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let tries = async {
            let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
            let mut waits = WAITS.iter().chain(std::iter::repeat(&WAITS[WAITS.len() - 1]));
            loop {
                let address = self.next_address();
                let span = tracing::info_span!(
                    target: trace::TARGET,
                    "ask",
                    "otel.name" = format!("{SERVICE}/{method}"),
                    "otel.kind" = "client",
                    "rpc.system.name" = "grpc",
                    "rpc.method" = format!("{SERVICE}/{method}"),
                );
                let mut request = self.request(message.clone());
                if let Some(traceparent) = trace::traceparent(&span).and_then(|text| text.try_into().ok()) {
                    request.metadata_mut().insert(trace::TRACEPARENT, traceparent);
                }
                let calling = call(address.client.clone(), request).instrument(span);
                let turn = if self.addresses.len() > 1 { TURN } else { DEADLINE };
                let status = match tokio::time::timeout(turn, calling).await {
                    Ok(Ok(answer)) => {
                        address.passed_over.store(0, Ordering::Relaxed);
                        return Ok(answer.into_inner());
                    }
                    Ok(Err(status)) => status,
                    Err(_) => Status::unavailable("no answer in time"),
                };
                if !may_help_to_ask_again(&status) {
                    return Err(status);
                }
                address.passed_over.store(PASSED_OVER, Ordering::Relaxed);
                let wait = *waits.next().unwrap_or(&PATIENCE);
                tokio::select! {
                    () = &mut patience => return Err(status),
                    () = tokio::time::sleep(wait) => {}
                }
            }
        };
        let outcome = tokio::time::timeout(DEADLINE, tries).await;
        outcome.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time"))).map_err(|status| {
            let refusal = judge(&status);
            if matches!(refusal, Refusal::Unavailable(_)) {
                tracing::warn!(method, code = ?status.code(), cause = status.message(), "the token service did not answer");
            }
            refusal
        })
    }

    /// The next one whose turn it is, unless it failed lately; if all did, the next one all the same.
    fn next_address(&self) -> &Address {
        let count = self.addresses.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..count).map(|step| &self.addresses[turn.wrapping_add(step) % count]);
        let spend = |address: &&Address| {
            let less = |left: u32| left.checked_sub(1);
            address.passed_over.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
        };
        in_turn.clone().find(spend).unwrap_or(&self.addresses[turn % count])
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }
}

/// Whether it may be answered in a moment, or elsewhere. A status with a source was made here, of a connection that broke.
fn may_help_to_ask_again(status: &Status) -> bool {
    status.code() == Code::Unavailable || std::error::Error::source(status).is_some()
}

/// What a status says. A reason counts only with the status it belongs to.
fn judge(status: &Status) -> Refusal {
    let details = status.get_error_details();
    let retry = details.retry_info().and_then(|info| info.retry_delay);
    let reason = details
        .error_info()
        .filter(|info| info.domain == DOMAIN)
        .and_then(|info| ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)));
    let Some(reason) = reason else { return Refusal::Unavailable(retry) };
    let (code, refusal) = match reason {
        ErrorReason::RefreshTokenInvalid => (Code::Unauthenticated, Refusal::Dead(Dead::Invalid)),
        ErrorReason::RefreshTokenReused => (Code::Unauthenticated, Refusal::Dead(Dead::Reused)),
        ErrorReason::SessionExpired => (Code::Unauthenticated, Refusal::Dead(Dead::Expired)),
        ErrorReason::SessionRevoked => (Code::Unauthenticated, Refusal::Dead(Dead::Revoked)),
        ErrorReason::RefreshTokenStale => (Code::Aborted, Refusal::Stale),
        ErrorReason::SessionNotFound => (Code::NotFound, Refusal::NotFound),
        ErrorReason::SessionLimitReached => (Code::ResourceExhausted, Refusal::SessionLimit),
        ErrorReason::RateLimited => (Code::ResourceExhausted, Refusal::RateLimited(retry)),
        ErrorReason::GrantNotPermitted => (Code::PermissionDenied, Refusal::Asked),
        ErrorReason::FieldInvalid | ErrorReason::TokenTooLarge => (Code::InvalidArgument, Refusal::Asked),
        // The edge's own fault or the service's.
        ErrorReason::Unspecified
        | ErrorReason::CallerUnauthenticated
        | ErrorReason::CallerNotPermitted
        | ErrorReason::PageTokenInvalid
        | ErrorReason::RequestIdUsed
        | ErrorReason::MasterKeyUnknown
        | ErrorReason::StoreUnavailable
        | ErrorReason::SigningUnavailable
        | ErrorReason::ShuttingDown
        | ErrorReason::DeadlineExceeded
        | ErrorReason::CursorExpired
        | ErrorReason::WatcherTooSlow
        | ErrorReason::SigningKeyNotFound
        | ErrorReason::Internal => return Refusal::Unavailable(retry),
    };
    if status.code() == code { refusal } else { Refusal::Unavailable(retry) }
}

#[cfg(test)]
mod tests;
