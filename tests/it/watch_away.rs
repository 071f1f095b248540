//! A server whose database is away: what it knows it says, what it cannot store it refuses, and it goes on by itself.

use std::time::Duration;

use symbolon::pb::auth::{
    GetJwksRequest, IntrospectTokenRequest, RevokeSessionRequest, RevokeSessionResponse, revoke_session_request,
};
use symbolon::service::feed::Cursor;
use tokio::time::Instant;
use tonic::Status;

use crate::support::{Postgres, Process, Watching, assert_ask_again, ids, sign_in};

/// R-REV-02, R-OPS-02: keys, introspection and the feed are in memory; what must be stored is refused meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_a_server_judges_and_tells_from_memory_and_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start();
    let server = Process::replica(dir.path(), &postgres.database().await).await;
    let mut client = server.client().await;
    let mut issue = async |subject: &str| {
        let issued = client.issue_tokens(sign_in(subject)).await.unwrap().into_inner();
        (issued.tokens.unwrap(), issued.session.unwrap().session_id)
    };
    let (live, over) = (issue("alice").await, issue("bob").await);
    let revoke = async |id: &str| -> Result<RevokeSessionResponse, Status> {
        let target = Some(revoke_session_request::Target::SessionId(id.to_owned()));
        let request = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
        Ok(client.clone().revoke_session(request).await?.into_inner())
    };
    let is_active = async |token: &str| {
        let request = IntrospectTokenRequest { token: token.to_owned() };
        client.clone().introspect_token(request).await.unwrap().into_inner().active
    };
    assert!(revoke(&over.1).await.unwrap().revoked);
    let mut watching = server.watching("").await;
    watching.caught_up().await;

    postgres.kill();
    for _ in 0..2 {
        assert_ask_again(&revoke(&live.1).await.unwrap_err());
        assert!(is_active(&live.0.access_token).await && !is_active(&over.0.access_token).await);
        let jwks = client.clone().get_jwks(GetJwksRequest {}).await.unwrap().into_inner();
        assert!(!jwks.keys.is_empty());
        assert_eq!(ids(&server.watching("").await.caught_up().await), [over.1.as_str()].into());
    }
    let mut late = server.watching("").await;
    late.caught_up().await;

    postgres.restart();
    let begun = Instant::now();
    while let Err(status) = revoke(&live.1).await {
        assert_ask_again(&status);
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not serve again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!is_active(&live.0.access_token).await);
    watching.soon(&[&live.1]).await;
    late.soon(&[&live.1]).await;
    // The database is followed again, and those who watch are told so.
    let goes_on = async |watching: &mut Watching| {
        let before = Cursor::read(&watching.cursor).unwrap().complete_to;
        while Cursor::read(&watching.cursor).unwrap().complete_to <= before {
            watching.event().await.unwrap();
        }
    };
    tokio::join!(goes_on(&mut watching), goes_on(&mut late));
}
