//! Symbolon as a verifier calls it: over gRPC, at one of several addresses that all serve the same issuer. It owns where
//! and with what credential; what an answer means is its callers' business.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tonic::body::Body;
use tonic::codegen::{Service, StdError};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Response, Status, Streaming};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

/// Generated from the contract, which the crate could not reach once it is published; a test of the server's holds the two
/// together.
pub(crate) mod pb {
    #![expect(unreachable_pub, reason = "generated")]
    include!("generated/symbolon.auth.v1.rs");
}

use pb::auth_service_client::AuthServiceClient;

/// How long one address may take to answer: somebody waits, and there may be another.
const DEADLINE: Duration = Duration::from_secs(2);

/// How many times an address that did not answer is asked last, if another is there.
const PASSED_OVER: u32 = 16;

/// Instead of a count: one call tries it, and the others do not wait with it.
const TRIED: u32 = u32::MAX;

/// How long it may take until a feed begins.
const FEED_DEADLINE: Duration = Duration::from_secs(10);

/// Where gRPC calls go: a connection, or whatever else takes them.
pub type Channel = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

pub(crate) fn channel<S>(service: S) -> Channel
where
    S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<StdError>,
    S::Future: Send + 'static,
{
    BoxCloneSyncService::new(service.map_err(|error: S::Error| Status::from_error(error.into())))
}

/// One address.
#[derive(Clone)]
pub(crate) struct Endpoint {
    client: AuthServiceClient<Channel>,
    credential: Option<AsciiMetadataValue>,
    /// How many times yet, or [`TRIED`].
    passed_over: Arc<AtomicU32>,
}

impl Endpoint {
    pub(crate) fn new(channel: Channel, credential: Option<AsciiMetadataValue>) -> Self {
        Self { client: AuthServiceClient::new(channel), credential, passed_over: Arc::default() }
    }

    fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(credential) = &self.credential {
            request.metadata_mut().insert("authorization", credential.clone());
        }
        request
    }

    /// Whether others are asked first by a call that begins with it, or does not.
    fn is_passed_over(&self, first: bool) -> bool {
        let before = self.passed_over.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| match left {
            0 => None,
            TRIED => Some(TRIED),
            1 => Some(if first { TRIED } else { 1 }),
            left => Some(left - 1),
        });
        before.is_ok_and(|left| left != 1 || !first)
    }

    pub(crate) async fn watch(&self, cursor: &str) -> Result<Streaming<pb::WatchRevocationsResponse>, Status> {
        let request = self.request(pb::WatchRevocationsRequest { cursor: cursor.to_owned() });
        let mut client = self.client.clone();
        in_time(FEED_DEADLINE, client.watch_revocations(request)).await
    }
}

/// All addresses of an issuer.
pub(crate) struct Endpoints {
    pub(crate) all: Vec<Endpoint>,
    turn: AtomicUsize,
}

impl Endpoints {
    pub(crate) fn new(all: Vec<Endpoint>) -> Self {
        Self { all, turn: AtomicUsize::new(0) }
    }

    /// What the first that answers publishes.
    pub(crate) async fn jwks(&self) -> Result<pb::GetJwksResponse, Status> {
        self.ask(pb::GetJwksRequest {}, async |mut client, request| client.get_jwks(request).await).await
    }

    /// Whether the token is good now, as the first that answers sees it.
    pub(crate) async fn is_active(&self, token: &str) -> Result<bool, Status> {
        let request = pb::IntrospectTokenRequest { token: token.to_owned() };
        let answer = self.ask(request, async |mut client, request| client.introspect_token(request).await).await?;
        Ok(answer.active)
    }

    async fn ask<M: Clone, A>(
        &self,
        message: M,
        call: impl AsyncFn(AuthServiceClient<Channel>, Request<M>) -> Result<Response<A>, Status>,
    ) -> Result<A, Status> {
        let mut outcome = Err(nowhere());
        for endpoint in self.in_turn() {
            let _trial = Trial(&endpoint.passed_over);
            outcome = in_time(DEADLINE, call(endpoint.client.clone(), endpoint.request(message.clone()))).await;
            let passed_over = if outcome.is_ok() { 0 } else { PASSED_OVER };
            endpoint.passed_over.store(passed_over, Ordering::Relaxed);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Each once, beginning with the next; those that failed lately come last, until one call tries whether they are back.
    fn in_turn(&self) -> impl Iterator<Item = &Endpoint> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let turns = (0..self.all.len()).map(|step| (step, &self.all[turn.wrapping_add(step) % self.all.len()]));
        let mut turns: Vec<_> = turns.map(|(step, it)| (it.is_passed_over(step == 0), it)).collect();
        turns.sort_by_key(|(last, _)| *last);
        turns.into_iter().map(|(_, it)| it)
    }
}

/// A call under way. Given up, it leaves no address tried for ever.
struct Trial<'a>(&'a AtomicU32);

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let _ = self.0.compare_exchange(TRIED, PASSED_OVER, Ordering::Relaxed, Ordering::Relaxed);
    }
}

fn nowhere() -> Status {
    Status::unavailable("there is no endpoint")
}

async fn in_time<A>(deadline: Duration, call: impl Future<Output = Result<Response<A>, Status>>) -> Result<A, Status> {
    let answer = tokio::time::timeout(deadline, call).await;
    answer.map_err(|_| Status::deadline_exceeded("no answer in time"))?.map(Response::into_inner)
}

impl fmt::Debug for pb::IntrospectTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntrospectTokenRequest { token: [redacted] }")
    }
}

#[cfg(test)]
pub(crate) mod fake;
