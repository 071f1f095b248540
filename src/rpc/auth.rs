//! `AuthService`: each method decodes, calls its use case and encodes.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use crate::pb::auth as pb;
use crate::pb::auth::auth_service_server::AuthService;
use crate::rpc::gate::{Admitted, count};
use crate::rpc::status::Failure;
use crate::rpc::{decode, encode};
use crate::service::page::Query;
use crate::service::{Caller, Error, Service};
use crate::time::Timestamp;

/// The longest a call may take, whatever the client allows: below every proxy's patience. A call waits for nothing but
/// the database.
const CAP: Duration = Duration::from_secs(5);

pub(super) struct Auth(pub(super) Arc<Service>);

/// A call that was let in: who called, and when.
struct Call {
    method: &'static str,
    caller: Arc<Caller>,
    now: Timestamp,
}

impl Auth {
    /// What the gate knows of a request; whatever came round it is nobody's.
    fn admit<T>(&self, request: &Request<T>) -> Result<Call, Status> {
        let admitted = request.extensions().get().ok_or(Failure::CallerUnauthenticated)?;
        let Admitted { method, caller } = admitted;
        Ok(Call { method, caller: Arc::clone(caller), now: self.0.now() })
    }
}

impl Call {
    /// Runs the work of a call within its time, and turns a failure into a status.
    async fn answer<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<Response<T>, Status> {
        let outcome = tokio::time::timeout(CAP, work).await.unwrap_or_else(|_| Err(too_slow()));
        let reason = outcome.as_ref().err().map_or("OK", |failure| failure.row().name());
        count(self.method, reason);
        outcome.map(Response::new).map_err(|failure| {
            self.tell(&failure);
            failure.into()
        })
    }

    /// Causes go to the log; what a caller did wrong is told to the caller alone.
    fn tell(&self, failure: &Failure) {
        match failure {
            Failure::Service(Error::StoreUnavailable(cause) | Error::SigningUnavailable(cause)) => {
                tracing::warn!(method = self.method, reason = failure.row().name(), cause = %chain(cause.as_ref()));
            }
            Failure::Service(Error::Internal(cause)) => {
                tracing::error!(method = self.method, reason = failure.row().name(), cause = %chain(cause.as_ref()));
            }
            Failure::Service(_) | Failure::FieldsInvalid(_) | Failure::CallerUnauthenticated => {}
        }
    }
}

fn too_slow() -> Failure {
    Error::StoreUnavailable(format!("no answer within {CAP:?}").into()).into()
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tonic::async_trait]
impl AuthService for Auth {
    async fn issue_tokens(
        &self,
        request: Request<pb::IssueTokensRequest>,
    ) -> Result<Response<pb::IssueTokensResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let issue = decode::issue(request.into_inner(), call.now)?;
            let (tokens, session) = encode::granted(self.0.issue(&call.caller, issue, call.now).await?);
            Ok(pb::IssueTokensResponse { tokens: Some(tokens), session: Some(session) })
        })
        .await
    }

    async fn refresh_tokens(
        &self,
        request: Request<pb::RefreshTokensRequest>,
    ) -> Result<Response<pb::RefreshTokensResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let refresh = decode::refresh(request.into_inner())?;
            let (tokens, session) = encode::granted(self.0.refresh(&call.caller, &refresh).await?);
            Ok(pb::RefreshTokensResponse { tokens: Some(tokens), session: Some(session) })
        })
        .await
    }

    async fn revoke_session(
        &self,
        request: Request<pb::RevokeSessionRequest>,
    ) -> Result<Response<pb::RevokeSessionResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let (target, subject, reason) = decode::revoke(request.into_inner())?;
            let revoked = self.0.revoke(&call.caller, target, subject.as_deref(), reason, call.now).await?;
            Ok(pb::RevokeSessionResponse { revoked })
        })
        .await
    }

    async fn revoke_subject_sessions(
        &self,
        request: Request<pb::RevokeSubjectSessionsRequest>,
    ) -> Result<Response<pb::RevokeSubjectSessionsResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let revoke = decode::revoke_subject(request.into_inner())?;
            let client_id = revoke.client_id.as_deref();
            let count = self
                .0
                .revoke_subject(&call.caller, &revoke.subject, client_id, revoke.except, revoke.reason, call.now)
                .await?;
            Ok(pb::RevokeSubjectSessionsResponse { revoked_count: i32::try_from(count).unwrap_or(i32::MAX) })
        })
        .await
    }

    async fn introspect_token(
        &self,
        request: Request<pb::IntrospectTokenRequest>,
    ) -> Result<Response<pb::IntrospectTokenResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let active = self.0.introspect(&call.caller, &request.into_inner().token, call.now).await?;
            Ok(encode::introspected(active, self.0.access_tokens.issuer()))
        })
        .await
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let list = decode::list(request.into_inner())?;
            let query = Query {
                subject: &list.subject,
                client_id: list.client_id.as_deref(),
                include_ended: list.include_ended,
            };
            let page = self.0.list(&call.caller, &query, list.page_size, &list.page_token, call.now).await?;
            Ok(encode::page(page, call.now))
        })
        .await
    }

    async fn get_session(
        &self,
        request: Request<pb::GetSessionRequest>,
    ) -> Result<Response<pb::GetSessionResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let id = decode::required_session_id(&request.into_inner().session_id)?;
            let session = self.0.get(&call.caller, id).await?;
            Ok(pb::GetSessionResponse { session: Some(encode::session(session, call.now)) })
        })
        .await
    }

    async fn explain_session(
        &self,
        request: Request<pb::ExplainSessionRequest>,
    ) -> Result<Response<pb::ExplainSessionResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let id = decode::required_session_id(&request.into_inner().session_id)?;
            Ok(encode::explanation(self.0.explain(&call.caller, id, call.now).await?, call.now))
        })
        .await
    }

    async fn update_session(
        &self,
        request: Request<pb::UpdateSessionRequest>,
    ) -> Result<Response<pb::UpdateSessionResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async {
            let (id, update) = decode::update(request.into_inner())?;
            let session = self.0.update(&call.caller, id, &update, call.now).await?;
            Ok(pb::UpdateSessionResponse { session: Some(encode::session(session, call.now)) })
        })
        .await
    }

    async fn get_jwks(&self, request: Request<pb::GetJwksRequest>) -> Result<Response<pb::GetJwksResponse>, Status> {
        let call = self.admit(&request)?;
        call.answer(async { Ok(encode::jwks(&self.0.ring, self.0.access_tokens.issuer())) }).await
    }
}
