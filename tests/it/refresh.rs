//! The refresh rule through the front door: retries, lost answers, theft.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon::pb::auth::ExplainSessionRequest;
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::{Dice, Server, reason};

/// R-RT-01
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

/// One tab: reads the jar, is a while on its way, and stores what it is answered. Answers how often it was told that a
/// newer token is in use.
async fn tab(server: Arc<Server>, jar: Arc<Mutex<String>>, start: Duration, way: Duration) -> u32 {
    tokio::time::sleep(start).await;
    for stale in 0..=3 {
        let held = jar.lock().unwrap().clone();
        tokio::time::sleep(way).await;
        server.clock.advance(Duration::from_millis(100));
        match server.refresh(&held).await {
            Ok(answer) => {
                *jar.lock().unwrap() = answer.tokens.unwrap().refresh_token;
                return stale;
            }
            Err(refused) => assert_eq!(reason(&refused), "REFRESH_TOKEN_STALE"),
        }
    }
    panic!("told four times that a newer token is in use");
}

/// R-RT-01: start times spread over 2 s, a hundred times as fast.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_tabs_with_one_cookie_jar_sign_nobody_out() {
    let server = Arc::new(Server::start().await);
    let dice = Dice::seeded(10);
    let mut stale = 0;
    for round in 0..100 {
        let jar = Arc::new(Mutex::new(server.issue(&format!("user {round}")).await.tokens.unwrap().refresh_token));
        let mut tabs = JoinSet::new();
        for _ in 0..10 {
            let (start, way) = (Duration::from_millis(dice.below(20)), Duration::from_millis(dice.below(5)));
            tabs.spawn(tab(server.clone(), jar.clone(), start, way));
        }
        while let Some(told) = tabs.join_next().await {
            stale += told.unwrap();
        }
        let kept = jar.lock().unwrap().clone();
        server.rotate(&kept).await;
    }
    assert!(stale > 0, "no two tabs met");
}

/// R-RT-02
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

/// R-RT-02
#[tokio::test]
async fn inside_the_leeway_a_retry_gets_the_same_bytes_and_after_it_a_fresh_access_token() {
    let server = Server::start().await;
    let first = server.issue("alice").await.tokens.unwrap().refresh_token;
    let answer = server.pair(&first).await;
    server.pass(29);
    assert_eq!(server.pair(&first).await, answer);
    server.pass(1);
    let recovered = server.pair(&first).await;
    assert_eq!(recovered.refresh_token, answer.refresh_token);
    assert_ne!(recovered.access_token, answer.access_token);
    let later = |pair: &symbolon::pb::auth::TokenPair| pair.access_token_expire_time.unwrap().seconds;
    assert_eq!(later(&recovered) - later(&answer), 30);
    assert_eq!(recovered.refresh_token_expire_time, answer.refresh_token_expire_time);
}

/// R-RT-04: DESIGN section 5's worked example, to the minute.
#[tokio::test]
async fn the_third_recovered_generation_in_a_row_ends_the_session_and_no_other() {
    let server = Server::start().await;
    let other = server.issue("alice").await.tokens.unwrap().refresh_token;
    let issued = server.issue("alice").await;
    let first = issued.tokens.unwrap().refresh_token;
    let second = server.rotate(&first).await;
    server.pass(10);
    assert_eq!(server.rotate(&first).await, second, "replay");
    server.pass(290);
    let recovered = server.pair(&first).await;
    assert_eq!(recovered.refresh_token, second, "recovery");
    server.pass(60);
    assert_eq!(server.pair(&first).await, recovered, "repeat");
    server.pass(14 * 60);
    let third = server.rotate(&second).await;
    server.pass(5 * 60);
    assert_eq!(server.rotate(&second).await, third, "recovery, the second in a row");
    server.pass(10 * 60);
    let fourth = server.rotate(&third).await;
    server.pass(60);
    let reused = server.refresh(&third).await.unwrap_err();
    assert_eq!((reused.code(), reason(&reused).as_str()), (Code::Unauthenticated, "REFRESH_TOKEN_REUSED"));
    assert_eq!(reason(&server.refresh(&fourth).await.unwrap_err()), "SESSION_REVOKED");
    server.rotate(&other).await;
}

/// R-RT-04
#[tokio::test]
async fn a_generation_used_without_having_been_recovered_breaks_the_chain() {
    let server = Server::start().await;
    let mut before = server.issue("alice").await.tokens.unwrap().refresh_token;
    for lost in 0..12 {
        let token = server.rotate(&before).await;
        if lost % 3 != 2 {
            server.pass(31);
            assert_eq!(server.rotate(&before).await, token);
        }
        server.pass(600);
        before = token;
    }
}

/// R-RT-04
#[tokio::test]
async fn a_token_two_generations_old_yields_nothing_at_any_age() {
    let server = Server::start().await;
    for age in [0, 29, 31, 119, 120, 3600, 20 * 86_400] {
        let first = server.issue("alice").await.tokens.unwrap().refresh_token;
        let second = server.rotate(&first).await;
        server.rotate(&second).await;
        server.pass(age);
        let refused = server.refresh(&first).await.unwrap_err();
        let expected = if age < 120 { "REFRESH_TOKEN_STALE" } else { "REFRESH_TOKEN_REUSED" };
        assert_eq!(reason(&refused), expected, "after {age} s");
    }
}

/// R-RT-11
#[tokio::test]
async fn three_thousand_refreshes_leave_one_row_that_does_not_grow() {
    let server = Server::start().await;
    let database = server.watch().await;
    let mut token = server.issue("alice").await.tokens.unwrap().refresh_token;
    let mut early = 0;
    for refresh in 0..3000 {
        let next = server.rotate(&token).await;
        if refresh % 10 == 0 {
            // A lost answer now and then: what the row remembers of them is bounded too.
            server.pass(31);
            assert_eq!(server.rotate(&token).await, next);
        }
        token = next;
        server.pass(600);
        if refresh == 300 {
            early = database.bytes_of_sessions().await;
        }
    }
    assert_eq!(database.number("SELECT count(*) FROM sessions").await, 1);
    assert_eq!(database.number("SELECT generation FROM sessions").await, 3001);
    // Sixteen remembered decisions of two generations each may have gained a digit, and so may the generations.
    let grown = database.bytes_of_sessions().await - early;
    assert!((0..=40).contains(&grown), "{early} bytes grew by {grown}");
}

/// R-RT-04
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
