//! tonic and sqlx: `IssueTokens` and `RefreshTokens` of Symbolon's contract as a team would write them by hand.

use std::env;

use prost_types::Timestamp;
use symbolon_peers::pb::auth_service_server::{AuthService, AuthServiceServer};
use symbolon_peers::pb::{
    IssueTokensRequest, IssueTokensResponse, RefreshTokensRequest, RefreshTokensResponse, Session, SessionState,
    TokenPair,
};
use symbolon_peers::store::{self, Store};
use symbolon_peers::tokens::{AccessTokens, RefreshToken};
use symbolon_peers::{ACCESS_TOKEN_TTL, Failed, SESSION_TTL, listen, now, until_terminated};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

struct Peer {
    store: Store,
    access_tokens: AccessTokens,
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let peer = Peer { store: Store::open(&env::var("DATABASE_URL")?).await?, access_tokens: AccessTokens::new() };
    let listener = listen().await?;
    let address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serve = Server::builder().add_service(AuthServiceServer::new(peer)).serve_with_incoming(incoming);
    until_terminated(address, serve).await
}

#[tonic::async_trait]
impl AuthService for Peer {
    async fn issue_tokens(
        &self,
        request: Request<IssueTokensRequest>,
    ) -> Result<Response<IssueTokensResponse>, Status> {
        let request = request.into_inner();
        if request.subject.is_empty() {
            return Err(Status::invalid_argument("subject is required"));
        }
        let client_id = if request.client_id.is_empty() { "web".to_owned() } else { request.client_id };
        let session = store::Session { subject: request.subject, client_id };
        let now = now();
        let token = self.store.start(&session, now).await.map_err(|error| unavailable(&error))?;
        let (tokens, session) = self.answer(session, &token, now);
        Ok(Response::new(IssueTokensResponse { tokens: Some(tokens), session: Some(session) }))
    }

    async fn refresh_tokens(
        &self,
        request: Request<RefreshTokensRequest>,
    ) -> Result<Response<RefreshTokensResponse>, Status> {
        let invalid = || Status::unauthenticated("the refresh token is not valid");
        let presented = RefreshToken::parse(&request.get_ref().refresh_token).ok_or_else(invalid)?;
        let now = now();
        let refreshed = self.store.refresh(&presented, now).await.map_err(|error| unavailable(&error))?;
        let (session, token) = refreshed.ok_or_else(invalid)?;
        let (tokens, session) = self.answer(session, &token, now);
        Ok(Response::new(RefreshTokensResponse { tokens: Some(tokens), session: Some(session) }))
    }
}

impl Peer {
    fn answer(&self, session: store::Session, token: &RefreshToken, now: i64) -> (TokenPair, Session) {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let tokens = TokenPair {
            access_token: self.access_tokens.mint(&session.subject, &session.client_id, Some(token.session), now),
            token_type: "Bearer".to_owned(),
            access_token_expire_time: at(now + ACCESS_TOKEN_TTL),
            refresh_token: token.to_string(),
            refresh_token_expire_time: at(now + SESSION_TTL),
            refresh_after: at(now + ACCESS_TOKEN_TTL * 6 / 10),
        };
        let session = Session {
            session_id: token.session.to_string(),
            subject: session.subject,
            client_id: session.client_id,
            idle_expire_time: tokens.refresh_token_expire_time,
            state: SessionState::Active.into(),
            ..Default::default()
        };
        (tokens, session)
    }
}

fn unavailable(error: &sqlx::Error) -> Status {
    Status::unavailable(format!("the database: {error}"))
}
