//! R-OPS-06: whoever asks too often is told when to ask again, and takes nothing from the others.

use std::time::Duration;

use symbolon::pb::auth as pb;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Server, Settings, entry, reason, redeem, sign_in};

/// Two rotations a second, twenty at once.
fn two_a_second() -> Settings {
    Settings::default().env("SYMBOLON_LIMITS_ROTATIONS_PER_SECOND", "2")
}

/// How long the caller is told to wait.
#[track_caller]
fn wait(refused: &Status) -> Duration {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    refused.get_details_retry_info().unwrap().retry_delay.unwrap()
}

/// Rotates until it is refused: how often it was not, the newest token, and the refusal.
async fn exhaust(server: &Server, mut token: String) -> (usize, String, Status) {
    for rotations in 0..10_000 {
        match server.refresh(&token).await {
            Ok(answer) => token = answer.tokens.unwrap().refresh_token,
            Err(refused) => return (rotations, token, refused),
        }
    }
    panic!("it is never refused");
}

#[tokio::test]
async fn a_session_in_a_loop_waits_and_loses_nothing_and_another_one_does_not_notice() {
    let server = Server::with(two_a_second()).await;
    let first = server.issue("alice").await.tokens.unwrap().refresh_token;
    let other = server.issue("bob").await.tokens.unwrap().refresh_token;
    let (rotations, token, refused) = exhaust(&server, first).await;
    // The one that goes beyond is served still: it was rotated before it was counted.
    assert_eq!(rotations, 21);
    assert_eq!(wait(&refused), Duration::from_millis(500));
    server.rotate(&other).await;

    server.clock.advance(Duration::from_millis(499));
    assert_eq!(wait(&server.refresh(&token).await.unwrap_err()), Duration::from_millis(1));
    server.clock.advance(Duration::from_millis(1));
    server.rotate(&token).await;
}

/// Ten tabs with one cookie, and retries without end, never meet a limit.
#[tokio::test]
async fn only_rotations_count() {
    let server = Server::with(two_a_second()).await;
    let first = server.issue("alice").await.tokens.unwrap().refresh_token;
    let second = server.rotate(&first).await;
    for _ in 0..200 {
        assert_eq!(server.rotate(&first).await, second, "a replay");
    }
    let (rotations, token, _) = exhaust(&server, second.clone()).await;
    assert_eq!(rotations, 20);
    // While it waits, whoever asks for what was given already gets it.
    let before = server.refresh(&token).await.unwrap_err();
    assert_eq!(reason(&before), "RATE_LIMITED");
    let stale = server.refresh(&second).await.unwrap_err();
    assert_eq!(reason(&stale), "REFRESH_TOKEN_STALE");
}

/// A sign-out is never limited, nor is the end of a session whose token was stolen.
#[tokio::test]
async fn what_ends_a_session_does_not_wait() {
    let server = Server::with(two_a_second()).await;
    let issued = server.issue("alice").await;
    let first = issued.tokens.unwrap().refresh_token;
    let (_, token, _) = exhaust(&server, first.clone()).await;
    assert!(server.revoke(&issued.session.unwrap().session_id).await);
    assert_eq!(reason(&server.refresh(&token).await.unwrap_err()), "SESSION_REVOKED");

    let issued = server.issue("alice").await.tokens.unwrap().refresh_token;
    let (_, token, _) = exhaust(&server, issued.clone()).await;
    // The burst is over, and the session still has to wait: limits follow another clock.
    let now = symbolon::clock::Clock::now(&*server.clock);
    server.clock.set(symbolon::time::Timestamp::from_seconds(now.seconds() + 3600));
    assert_eq!(reason(&server.refresh(&token).await.unwrap_err()), "RATE_LIMITED");
    assert_eq!(reason(&server.refresh(&issued).await.unwrap_err()), "REFRESH_TOKEN_REUSED");
}

#[tokio::test]
async fn a_caller_gone_wild_waits_and_another_one_does_not() {
    let callers = ["one", "two"].map(|name| entry(name, "permissions = [\"issue\"]\nclients = [\"web\"]"));
    let settings =
        Settings::default().serving().callers(&callers.concat()).env("SYMBOLON_LIMITS_ISSUES_PER_SECOND", "3");
    let server = Server::with(settings).await;
    let issue = async |caller: &str| server.as_caller(caller).issue_tokens(sign_in("alice")).await;
    for _ in 0..30 {
        issue("one").await.unwrap();
    }
    let refused = issue("one").await.unwrap_err();
    let told = wait(&refused);
    assert!(told <= Duration::from_millis(334) && !told.is_zero(), "{told:?}");
    issue("two").await.unwrap();
    // The clock of a test counts whole milliseconds.
    server.clock.advance(told + Duration::from_millis(1));
    issue("one").await.unwrap();
    assert!(issue("one").await.is_err());
}

/// What is limited follows no clock that can be set.
#[tokio::test]
async fn a_clock_set_back_an_hour_makes_nobody_wait_an_hour() {
    let server = Server::with(two_a_second()).await;
    let (_, token, _) = exhaust(&server, server.issue("alice").await.tokens.unwrap().refresh_token).await;
    let now = symbolon::clock::Clock::now(&*server.clock);
    server.clock.set(symbolon::time::Timestamp::from_seconds(now.seconds() - 3600));
    assert!(wait(&server.refresh(&token).await.unwrap_err()) <= Duration::from_millis(500));
    server.clock.advance(Duration::from_millis(500));
    server.rotate(&token).await;
}

#[tokio::test]
async fn where_it_is_developed_a_thousand_rotations_at_once_are_no_matter() {
    let server = Server::start().await;
    let mut token = server.issue("alice").await.tokens.unwrap().refresh_token;
    for _ in 0..1000 {
        let answer = server.client().refresh_tokens(redeem(&token)).await.unwrap().into_inner();
        token = answer.tokens.map(|pair: pb::TokenPair| pair.refresh_token).unwrap();
    }
}
