//! `EraseSubject` through the front door: watchers hear of it, refresh tokens are dead, and whoever may not is refused.

use symbolon::pb::auth as pb;
use tonic::Code;

use crate::support::{Server, Settings, entry, reason, redeem, sign_in};

fn of(subject: &str) -> pb::EraseSubjectRequest {
    pb::EraseSubjectRequest { subject: subject.to_owned() }
}

#[tokio::test]
async fn an_erased_subject_is_nobodys_and_its_access_tokens_are_refused_as_long_as_they_live() {
    let server = Server::start().await;
    let mut client = server.client();
    let device = pb::Device { user_agent: "Firefox".to_owned(), ..pb::Device::default() };
    let request = pb::IssueTokensRequest { device: Some(device), ..sign_in("alice") };
    let live = client.issue_tokens(request).await.unwrap().into_inner();
    let over = server.issue("alice").await.session.unwrap().session_id;
    assert!(server.revoke(&over).await);
    let bob = server.issue("bob").await.tokens.unwrap().refresh_token;
    let mut watching = server.watching("").await;
    watching.caught_up().await;

    let erased = client.erase_subject(of("alice")).await.unwrap().into_inner();
    assert_eq!((erased.erased_count, erased.ended_count), (2, 1));
    let tokens = live.tokens.unwrap();
    let token = tokens.access_token.clone();
    let judged = client.introspect_token(pb::IntrospectTokenRequest { token }).await.unwrap().into_inner();
    assert!(!judged.active, "it is not known before the call returns");
    let again = client.erase_subject(of("alice")).await.unwrap().into_inner();
    assert_eq!((again.erased_count, again.ended_count), (0, 0), "a retry is harmless");

    let session_id = live.session.unwrap().session_id;
    watching.soon(&[session_id.as_str()]).await;
    let refused = client.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap_err();
    assert_eq!(reason(&refused), "SESSION_REVOKED");
    let left = client.get_session(pb::GetSessionRequest { session_id }).await.unwrap().into_inner().session.unwrap();
    assert_eq!((left.subject.as_str(), left.device), ("", None));
    server.rotate(&bob).await;
    // And signs in anew, if whoever knows the credentials lets it.
    let fresh = server.issue("alice").await.tokens.unwrap().refresh_token;
    server.rotate(&fresh).await;
}

#[tokio::test]
async fn erasing_needs_a_permission_of_its_own_and_reaches_no_other_clients() {
    let clients = "[clients.web]\naudience = [\"api\"]\n[clients.ios]\naudience = [\"api\"]\n";
    let issuer = entry("issuer", "permissions = [\"issue\", \"revoke\", \"list\"]\nclients = [\"web\", \"ios\"]");
    let eraser = entry("eraser", "permissions = [\"erase\"]\nclients = [\"web\"]");
    let settings = Settings::default().serving().clients(clients).callers(&format!("{issuer}{eraser}"));
    let server = Server::with(settings).await;
    let mut sessions = Vec::new();
    for client_id in ["web", "ios"] {
        let request = pb::IssueTokensRequest { client_id: client_id.to_owned(), ..sign_in("alice") };
        sessions.push(server.as_caller("issuer").issue_tokens(request).await.unwrap());
    }
    let refused = server.as_caller("issuer").erase_subject(of("alice")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "CALLER_NOT_PERMITTED"));
    let answer = server.as_caller("eraser").erase_subject(of("alice")).await.unwrap().into_inner();
    assert_eq!((answer.erased_count, answer.ended_count), (1, 1));
    let listed = pb::ListSessionsRequest { subject: "alice".to_owned(), ..Default::default() };
    let listed = server.as_caller("issuer").list_sessions(listed).await.unwrap().into_inner().sessions;
    assert_eq!(listed.iter().map(|session| session.client_id.as_str()).collect::<Vec<_>>(), ["ios"]);
}
