//! `AuthService`: each method decodes, calls its use case and encodes.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::pb::auth as pb;
use crate::pb::auth::auth_service_server::AuthService;
use crate::rpc::call::Call;
use crate::rpc::caller::InProcess;
use crate::rpc::in_process::Judged;
use crate::rpc::watch::{self, Watch};
use crate::rpc::{decode, encode};
use crate::service::Service;
use crate::service::page::Query;

pub(super) struct Auth(pub(super) Arc<Service>);

#[tonic::async_trait]
impl AuthService for Auth {
    async fn issue_tokens(
        &self,
        request: Request<pb::IssueTokensRequest>,
    ) -> Result<Response<pb::IssueTokensResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
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
        let call = Call::of(&self.0, &request)?;
        let here = request.extensions().get::<InProcess>().is_some();
        let mut judged = None;
        let mut answer = call
            .answer(async {
                let refresh = decode::refresh(request.into_inner())?;
                let granted = self.0.refresh(&call.caller, &refresh).await?;
                judged = here.then_some(Judged(granted.verdict));
                let (tokens, session) = encode::granted(granted);
                Ok(pb::RefreshTokensResponse { tokens: Some(tokens), session: Some(session) })
            })
            .await?;
        judged.map(|judged| answer.extensions_mut().insert(judged));
        Ok(answer)
    }

    async fn revoke_session(
        &self,
        request: Request<pb::RevokeSessionRequest>,
    ) -> Result<Response<pb::RevokeSessionResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
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
        let call = Call::of(&self.0, &request)?;
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

    async fn erase_subject(
        &self,
        request: Request<pb::EraseSubjectRequest>,
    ) -> Result<Response<pb::EraseSubjectResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
        call.answer(async {
            let subject = decode::erase_subject(request.into_inner())?;
            let erased = self.0.erase_subject(&call.caller, &subject, call.now).await?;
            let [erased_count, ended_count] =
                [erased.sessions, erased.ended].map(|count| i32::try_from(count).unwrap_or(i32::MAX));
            Ok(pb::EraseSubjectResponse { erased_count, ended_count })
        })
        .await
    }

    async fn introspect_token(
        &self,
        request: Request<pb::IntrospectTokenRequest>,
    ) -> Result<Response<pb::IntrospectTokenResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
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
        let call = Call::of(&self.0, &request)?;
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
        let call = Call::of(&self.0, &request)?;
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
        let call = Call::of(&self.0, &request)?;
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
        let call = Call::of(&self.0, &request)?;
        call.answer(async {
            let (id, update) = decode::update(request.into_inner())?;
            let session = self.0.update(&call.caller, id, &update, call.now).await?;
            Ok(pb::UpdateSessionResponse { session: Some(encode::session(session, call.now)) })
        })
        .await
    }

    async fn get_jwks(&self, request: Request<pb::GetJwksRequest>) -> Result<Response<pb::GetJwksResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
        call.answer(async { Ok(encode::jwks(&self.0.keyring.ring(), self.0.access_tokens.issuer())) }).await
    }

    type WatchRevocationsStream = Watch;

    async fn watch_revocations(
        &self,
        request: Request<pb::WatchRevocationsRequest>,
    ) -> Result<Response<Self::WatchRevocationsStream>, Status> {
        let call = Call::of(&self.0, &request)?;
        call.answer(async {
            let cursor = decode::cursor(&request.into_inner().cursor)?;
            self.0.skew.check()?;
            let watcher = self.0.feed.watch(cursor, self.0.keyring.policy().longest_token)?;
            Ok(watch::stream(Arc::clone(&self.0), Arc::clone(&call.caller), watcher))
        })
        .await
    }
}
