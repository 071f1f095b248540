//! The refresh rule through the front door: retries, lost answers, theft.

use std::collections::BTreeSet;

use symbolon::pb::auth::ExplainSessionRequest;
use tonic::Code;

use crate::support::{Server, reason};

#[tokio::test]
async fn fifty_parallel_refreshes_of_one_token_get_one_successor_and_rotate_once() {
    let server = Server::start().await;
    let mut token = server.issue("alice").await.tokens.unwrap().refresh_token;
    for round in 0..20 {
        let calls = (0..50).map(|_| server.refresh(&token));
        let answers = futures_util::future::join_all(calls).await;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap()).collect();
        let tokens: BTreeSet<_> = answers.iter().map(|answer| answer.tokens.clone().unwrap().refresh_token).collect();
        let access: BTreeSet<_> = answers.iter().map(|answer| answer.tokens.clone().unwrap().access_token).collect();
        assert_eq!((tokens.len(), access.len()), (1, 1));
        assert!(answers.iter().all(|answer| answer.session.clone().unwrap().generation == round + 2));
        token = tokens.into_iter().next().unwrap();
        server.pass(1000);
    }
}

#[tokio::test]
async fn a_lost_answer_is_given_again_days_later_and_its_repeats_mint_nothing() {
    let server = Server::start().await;
    let first = server.issue("alice").await.tokens.unwrap().refresh_token;
    let lost = server.refresh(&first).await.unwrap().tokens.unwrap();
    server.pass(3 * 86_400);
    let recovered = server.refresh(&first).await.unwrap().tokens.unwrap();
    assert_eq!(recovered.refresh_token, lost.refresh_token);
    assert_ne!(recovered.access_token, lost.access_token);
    server.pass(86_400);
    assert_eq!(server.refresh(&first).await.unwrap().tokens.unwrap(), recovered);
    server.rotate(&recovered.refresh_token).await;
}

#[tokio::test]
async fn a_token_two_generations_old_is_stale_in_a_burst_and_ends_its_session_after_it() {
    let server = Server::start().await;
    let other = server.issue("alice").await.tokens.unwrap().refresh_token;
    let issued = server.issue("alice").await;
    let first = issued.tokens.unwrap().refresh_token;
    let second = server.rotate(&first).await;
    let third = server.rotate(&second).await;

    let stale = server.refresh(&first).await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "REFRESH_TOKEN_STALE"));
    let third_again = server.refresh(&second).await.unwrap().tokens.unwrap().refresh_token;
    assert_eq!(third_again, third);

    server.pass(121);
    let reused = server.refresh(&first).await.unwrap_err();
    assert_eq!((reused.code(), reason(&reused).as_str()), (Code::Unauthenticated, "REFRESH_TOKEN_REUSED"));
    let over = server.refresh(&third).await.unwrap_err();
    assert_eq!(reason(&over), "SESSION_REVOKED");
    server.rotate(&other).await;

    let session_id = issued.session.unwrap().session_id;
    let explained = server.client().explain_session(ExplainSessionRequest { session_id }).await.unwrap().into_inner();
    assert_eq!(explained.summary, "ended at 2026-06-01 12:02:01 UTC: refresh token 1 was presented when 3 was current");
}
