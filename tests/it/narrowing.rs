//! Asking for less at a refresh, and asking not to rotate: both within what was granted at sign-in.

use std::collections::BTreeSet;

use serde_json::json;
use symbolon::pb::auth::{IssueTokensRequest, RefreshTokensRequest, Rotation, TokenPair};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Server, Settings, claimed, reason, redeem, sign_in};

const CLIENTS: &str = r#"
[clients.web]
audience = ["api", "files", "mail"]
scope = ["read", "write"]

[clients.bff]
audience = ["api"]
rotation_when_due = true
leeway = "5s"
"#;

fn of(client_id: &str) -> IssueTokensRequest {
    IssueTokensRequest { client_id: client_id.to_owned(), ..sign_in("alice") }
}

fn narrowed(refresh_token: &str, audience: &[&str], scope: &[&str]) -> RefreshTokensRequest {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    RefreshTokensRequest { audience: owned(audience), scope: owned(scope), ..redeem(refresh_token) }
}

fn when_due(refresh_token: &str) -> RefreshTokensRequest {
    RefreshTokensRequest { rotation: Rotation::WhenDue.into(), ..redeem(refresh_token) }
}

/// Which field a caller was refused.
fn denied(refused: &Status) -> String {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::PermissionDenied, "GRANT_NOT_PERMITTED"));
    let info = refused.get_error_details().error_info().unwrap().clone();
    assert_eq!(info.metadata["caller"], "local");
    info.metadata["field"].clone()
}

/// R-RT-08
#[tokio::test]
async fn narrowing_concerns_one_access_token_and_the_session_keeps_its_own() {
    let server = Server::with(Settings::default().clients(CLIENTS)).await;
    let first = server.issue_tokens(of("web")).await.unwrap().tokens.unwrap().refresh_token;
    let answer = server.refresh_tokens(narrowed(&first, &["files"], &["read"])).await.unwrap();
    let (tokens, session) = (answer.tokens.unwrap(), answer.session.unwrap());
    let narrow = claimed(&tokens.access_token);
    assert_eq!((&narrow["aud"], &narrow["scope"]), (&json!("files"), &json!("read")));
    assert_eq!((session.audience.len(), session.scope.len()), (3, 2));

    // The same generation, narrowed otherwise or not at all: another access token, the same refresh token.
    let otherwise = server.refresh_tokens(narrowed(&first, &["mail", "api"], &[])).await.unwrap().tokens.unwrap();
    let wide = server.pair(&first).await;
    assert_eq!((&otherwise.refresh_token, &wide.refresh_token), (&tokens.refresh_token, &tokens.refresh_token));
    assert_eq!(claimed(&otherwise.access_token)["aud"], json!(["mail", "api"]));
    let jti = [&tokens, &otherwise, &wide].map(|pair| claimed(&pair.access_token)["jti"].to_string());
    assert_eq!(BTreeSet::from(jti).len(), 3);

    let next = claimed(&server.pair(&tokens.refresh_token).await.access_token);
    assert_eq!((&next["aud"], &next["scope"]), (&json!(["api", "files", "mail"]), &json!("read write")));
}

/// R-RT-08
#[tokio::test]
async fn widening_is_refused_by_name_and_leaves_everything_as_it_was() {
    let server = Server::with(Settings::default().clients(CLIENTS)).await;
    let database = server.watch().await;
    let spent = server.issue_tokens(of("web")).await.unwrap().tokens.unwrap().refresh_token;
    let current = server.rotate(&spent).await;
    let before = database.version().await;
    for token in [&spent, &current] {
        let widened = [
            (narrowed(token, &["api", "admin"], &[]), "audience"),
            (narrowed(token, &[], &["read", "delete"]), "scope"),
            (narrowed(token, &["API"], &[]), "audience"),
            (narrowed(token, &[], &["rea"]), "scope"),
        ];
        for (request, field) in widened {
            assert_eq!(denied(&server.refresh_tokens(request).await.unwrap_err()), field);
        }
    }
    assert_eq!(database.version().await, before);
    assert_ne!(server.rotate(&current).await, current);
}

/// R-RT-08: what is wrong with the token is told before what is wrong with the wish.
#[tokio::test]
async fn a_dead_token_is_told_to_be_dead_whatever_is_asked_with_it() {
    let server = Server::with(Settings::default().clients(CLIENTS)).await;
    let issued = server.issue_tokens(of("web")).await.unwrap();
    let first = issued.tokens.unwrap().refresh_token;
    let second = server.rotate(&first).await;
    let third = server.rotate(&second).await;
    let wide = |token: &str| narrowed(token, &["admin"], &["delete"]);
    assert_eq!(reason(&server.refresh_tokens(wide(&first)).await.unwrap_err()), "REFRESH_TOKEN_STALE");
    assert!(server.revoke(&issued.session.unwrap().session_id).await);
    assert_eq!(reason(&server.refresh_tokens(wide(&third)).await.unwrap_err()), "SESSION_REVOKED");
}

/// R-RT-08
#[tokio::test]
async fn a_token_of_a_client_that_is_not_declared_is_denied_without_effect() {
    let server = Server::with(Settings::default().clients(CLIENTS)).await;
    let issued = server.issue_tokens(of("bff")).await.unwrap();
    let first = issued.tokens.unwrap().refresh_token;
    let second = server.rotate(&first).await;
    let only_web = Settings::default().clients("[clients.web]\naudience = [\"api\"]\n");
    let server = server.restart(only_web).await;
    let database = server.watch().await;
    let before = database.version().await;
    server.pass(3600);
    // Not even what would be theft, or not due: the rule is not asked.
    for request in [redeem(&second), redeem(&first), when_due(&second), narrowed(&second, &["admin"], &[])] {
        assert_eq!(denied(&server.refresh_tokens(request).await.unwrap_err()), "client_id");
    }
    assert_eq!(database.version().await, before);
    let server = server.restart(Settings::default().clients(CLIENTS)).await;
    server.rotate(&second).await;
}

/// R-RT-16
#[tokio::test]
async fn until_it_is_due_ten_calls_get_the_same_bytes_and_nothing_is_written() {
    let server = Server::with(Settings::default().clients(CLIENTS)).await;
    let database = server.watch().await;
    let issued = server.issue_tokens(of("bff")).await.unwrap().tokens.unwrap();
    let mut current = issued;
    for round in 0..3 {
        let written = database.version().await;
        // 60 % of 15 minutes.
        for pass in [0, 539] {
            server.pass(pass);
            let calls = (0..10).map(|_| server.refresh_tokens(when_due(&current.refresh_token)));
            for answer in futures_util::future::join_all(calls).await {
                assert_eq!(answer.unwrap().tokens.unwrap(), current);
            }
        }
        assert_eq!(database.version().await, written, "round {round}");
        server.pass(1);
        let calls = (0..10).map(|_| server.refresh_tokens(when_due(&current.refresh_token)));
        let answers = futures_util::future::join_all(calls).await;
        let answers: Vec<TokenPair> = answers.into_iter().map(|answer| answer.unwrap().tokens.unwrap()).collect();
        assert!(answers.iter().all(|pair| *pair == answers[0] && pair.refresh_token != current.refresh_token));
        assert_ne!(database.version().await, written, "round {round}");
        current = answers[0].clone();
    }
}

/// R-RT-16
#[tokio::test]
async fn a_token_that_is_not_due_can_be_narrowed_and_is_still_not_rotated() {
    let server = Server::with(Settings::default().clients(CLIENTS)).await;
    let request = IssueTokensRequest { audience: vec!["api".to_owned(), "b".to_owned()], ..of("bff") };
    let issued = server.issue_tokens(request).await.unwrap().tokens.unwrap();
    let narrow = RefreshTokensRequest { audience: vec!["b".to_owned()], ..when_due(&issued.refresh_token) };
    let answer = server.refresh_tokens(narrow).await.unwrap().tokens.unwrap();
    assert_eq!(answer.refresh_token, issued.refresh_token);
    assert_eq!(claimed(&answer.access_token)["aud"], json!("b"));
}

/// R-RT-16
#[tokio::test]
async fn a_client_not_declared_so_may_not_ask_for_rotation_when_due() {
    let server = Server::with(Settings::default().clients(CLIENTS)).await;
    let database = server.watch().await;
    let spent = server.issue_tokens(of("web")).await.unwrap().tokens.unwrap().refresh_token;
    let current = server.rotate(&spent).await;
    let before = database.version().await;
    for passed in [0, 600] {
        server.pass(passed);
        for token in [&spent, &current] {
            assert_eq!(denied(&server.refresh_tokens(when_due(token)).await.unwrap_err()), "rotation");
        }
    }
    assert_eq!(database.version().await, before);
    server.rotate(&current).await;
}
