//! `request_id`: a retried sign-in makes no second session, and an id that was used for something else makes none.

use std::collections::BTreeSet;

use serde_json::json;
use symbolon::pb::auth as pb;
use tonic::{Code, Status};

use crate::support::{Server, bad_fields, claims, reason, seconds, sign_in};

const ID: &str = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";

fn with_id(subject: &str) -> pb::IssueTokensRequest {
    pb::IssueTokensRequest { request_id: ID.to_owned(), ..sign_in(subject) }
}

fn assert_used(refused: &Status) {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::AlreadyExists, "REQUEST_ID_USED"));
}

async fn sessions(server: &Server, subject: &str) -> usize {
    let request = pb::ListSessionsRequest { subject: subject.to_owned(), include_ended: true, ..Default::default() };
    server.list(request).await.unwrap().sessions.len()
}

/// R-RT-09
#[tokio::test]
async fn the_same_request_gets_the_same_session_and_tokens_for_ten_minutes() {
    let server = Server::start().await;
    let first = server.issue_tokens(with_id("alice")).await.unwrap();
    server.pass(599);
    let device = Some(pb::Device { user_agent: "another connection".to_owned(), ..Default::default() });
    for again in [with_id("alice"), pb::IssueTokensRequest { device, ..with_id("alice") }] {
        assert_eq!(server.issue_tokens(again).await.unwrap(), first);
    }
    server.pass(1);
    assert_used(&server.issue_tokens(with_id("alice")).await.unwrap_err());
    assert_eq!(sessions(&server, "alice").await, 1);
    server.rotate(&first.tokens.unwrap().refresh_token).await;
}

/// R-RT-09
#[tokio::test]
async fn the_same_id_with_another_body_is_refused_whatever_differs() {
    let server = Server::start().await;
    server.issue_tokens(with_id("alice")).await.unwrap();
    let one = || vec!["one".to_owned()];
    let others = [
        pb::IssueTokensRequest { client_id: "web".to_owned(), ..with_id("alice") },
        pb::IssueTokensRequest { audience: one(), ..with_id("alice") },
        pb::IssueTokensRequest { scope: one(), ..with_id("alice") },
        pb::IssueTokensRequest { claims: Some(claims(json!({"role": "admin"}))), ..with_id("alice") },
        pb::IssueTokensRequest {
            authentication: Some(pb::Authentication { acr: "aal3".to_owned(), ..Default::default() }),
            ..with_id("alice")
        },
        pb::IssueTokensRequest { access_token_ttl: seconds(60), ..with_id("alice") },
        pb::IssueTokensRequest { session_ttl: seconds(60), ..with_id("alice") },
        pb::IssueTokensRequest { idle_ttl: seconds(60), ..with_id("alice") },
        pb::IssueTokensRequest { browser_session: true, ..with_id("alice") },
    ];
    for other in others {
        assert_used(&server.issue_tokens(other).await.unwrap_err());
    }
    assert_eq!(sessions(&server, "alice").await, 1);
}

/// R-RT-09
#[tokio::test]
async fn the_order_of_claims_is_no_difference() {
    let server = Server::start().await;
    let with = |claims: serde_json::Value| pb::IssueTokensRequest {
        claims: Some(crate::support::claims(claims)),
        ..with_id("alice")
    };
    let first = server.issue_tokens(with(json!({"a": 1, "b": {"c": 2, "d": 3}}))).await.unwrap();
    assert_eq!(server.issue_tokens(with(json!({"b": {"d": 3, "c": 2}, "a": 1}))).await.unwrap(), first);
}

/// R-RT-09: also where the shortest text of a number is hard to read back.
#[tokio::test]
async fn a_claim_with_many_digits_comes_back_from_the_database_as_it_was_given() {
    let server = Server::start().await;
    let numbers =
        json!([-7.579_117_850_413_619_5e-121, 0.1, 2.638_344_616_030_823e-256, 9.007_199_254_740_99e-1, 5e-324]);
    let request = pb::IssueTokensRequest { claims: Some(claims(json!({"numbers": numbers}))), ..with_id("alice") };
    let first = server.issue_tokens(request.clone()).await.unwrap();
    assert_eq!(server.issue_tokens(request.clone()).await.unwrap(), first);
    let introspected = server.introspect(&first.tokens.unwrap().access_token).await;
    assert_eq!(introspected.claims, request.claims);
}

/// R-RT-09: tokens that were put to use are not handed out again.
#[tokio::test]
async fn after_a_refresh_or_a_revocation_the_id_is_used_and_makes_nothing() {
    let server = Server::start().await;
    let refreshed = server.issue_tokens(with_id("alice")).await.unwrap();
    server.rotate(&refreshed.tokens.unwrap().refresh_token).await;
    assert_used(&server.issue_tokens(with_id("alice")).await.unwrap_err());

    let revoked = server.issue_tokens(with_id("bob")).await.unwrap();
    assert!(server.revoke(&revoked.session.unwrap().session_id).await);
    assert_used(&server.issue_tokens(with_id("bob")).await.unwrap_err());

    let short = pb::IssueTokensRequest { session_ttl: seconds(60), ..with_id("carol") };
    server.issue_tokens(short.clone()).await.unwrap();
    server.pass(60);
    assert_used(&server.issue_tokens(short).await.unwrap_err());
    for subject in ["alice", "bob", "carol"] {
        assert_eq!(sessions(&server, subject).await, 1, "{subject}");
    }
}

/// R-RT-09
#[tokio::test]
async fn another_subject_and_no_id_at_all_are_other_sign_ins() {
    let server = Server::start().await;
    let mut seen = BTreeSet::new();
    for request in [with_id("alice"), with_id("bob"), sign_in("alice"), sign_in("alice")] {
        seen.insert(server.issue_tokens(request).await.unwrap().session.unwrap().session_id);
    }
    assert_eq!(seen.len(), 4);
}

/// R-RT-09
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_concurrent_ones_one_wins_and_the_others_get_its_answer() {
    let server = Server::start().await;
    for round in 0..20 {
        let subject = format!("user {round}");
        let calls = (0..20).map(|_| {
            let (mut client, request) = (server.client(), with_id(&subject));
            tokio::spawn(async move { client.issue_tokens(request).await.unwrap().into_inner() })
        });
        let answers: Vec<_> =
            futures_util::future::join_all(calls).await.into_iter().map(|answer| answer.unwrap()).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "round {round}");
        assert_eq!(sessions(&server, &subject).await, 1);
    }
}

/// R-RT-09: of concurrent ones with different bodies one makes a session and the others are told.
#[tokio::test]
async fn of_concurrent_ones_that_differ_one_wins_and_the_others_are_refused() {
    let server = Server::start().await;
    let calls = (0..20).map(|number| {
        let claims = Some(claims(json!({"number": number})));
        server.issue_tokens(pb::IssueTokensRequest { claims, ..with_id("alice") })
    });
    let answers = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 19));
    for refused in lost {
        assert_used(&refused.unwrap_err());
    }
    assert_eq!(sessions(&server, "alice").await, 1);
}

/// R-RPC-01
#[tokio::test]
async fn an_id_that_is_no_uuid_is_a_bad_field() {
    let server = Server::start().await;
    for id in
        ["1", "6ba7b8109dad41d180b400c04fd430c8", "{6ba7b810-9dad-41d1-80b4-00c04fd430c8}", "g".repeat(36).as_str()]
    {
        let request = pb::IssueTokensRequest { request_id: id.to_owned(), ..sign_in("alice") };
        assert_eq!(bad_fields(&server.issue_tokens(request).await.unwrap_err()), ["request_id"], "{id}");
    }
}
