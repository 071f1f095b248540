//! Time: a caller's deadline and the server's own, a database that does not answer, and that nothing is lost by either.

use std::time::Duration;

use prost::Message;
use symbolon::pb::auth::GetSessionRequest;
use tokio::time::Instant;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::support::http2::{HEADERS, Http2};
use crate::support::{Other, Server, reason, redeem, sign_in};

/// Longer than any deadline here, shorter than the three seconds a write waits for the database.
const SOON: Duration = Duration::from_millis(2500);

async fn generation(server: &Server, session_id: &str) -> u64 {
    let request = GetSessionRequest { session_id: session_id.to_owned() };
    server.client().get_session(request).await.unwrap().into_inner().session.unwrap().generation
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_unavailable_and_the_same_token_works_afterwards() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let first = issued.tokens.unwrap().refresh_token;
    let lock = Other::lock(&server.database()).await;

    let refused = server.refresh(&first).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    assert!(refused.get_details_retry_info().unwrap().retry_delay.is_some());
    let told = format!("{}{}", refused.message(), String::from_utf8_lossy(refused.details())).to_lowercase();
    assert!(!["sqlite", "locked", "busy", "update", ".db"].iter().any(|word| told.contains(word)), "{told}");
    // What only reads goes on.
    assert_eq!(generation(&server, &issued.session.unwrap().session_id).await, 1);

    lock.unlock().await;
    let refreshed = server.refresh(&first).await.unwrap();
    assert_eq!(refreshed.session.unwrap().generation, 2);
    server.rotate(&refreshed.tokens.unwrap().refresh_token).await;
}

#[tokio::test]
async fn a_sign_in_that_could_not_be_stored_left_nothing_behind() {
    let server = Server::start().await;
    let lock = Other::lock(&server.database()).await;
    let refused = server.client().issue_tokens(sign_in("alice")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    lock.unlock().await;
    let other = Other::connect(&server.database()).await;
    assert_eq!(other.count("sessions").await, 0);
    server.issue("alice").await;
    assert_eq!(other.count("sessions").await, 1);
}

#[tokio::test]
async fn a_call_that_waits_behind_another_ends_within_the_servers_own_time() {
    let server = Server::start().await;
    let [first, second] = [server.issue("alice").await, server.issue("bob").await];
    let [first, second] = [first, second].map(|issued| issued.tokens.unwrap().refresh_token);
    let lock = Other::lock(&server.database()).await;
    // The first waits for the database, the second for the first's statement to give up.
    let late = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let begun = Instant::now();
        let ended = server.refresh(&second).await.unwrap_err();
        (ended, begun.elapsed())
    };
    let (unavailable, (too_late, took)) = tokio::join!(server.refresh(&first), late);
    for refused in [unavailable.unwrap_err(), too_late] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
    }
    assert!(took < Duration::from_millis(5500), "{took:?}");
    lock.unlock().await;
    for token in [first, second] {
        assert_eq!(server.refresh(&token).await.unwrap().session.unwrap().generation, 2);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_is_answered_no_longer_and_others_are() {
    let server = Server::start().await;
    let token = server.issue("alice").await.tokens.unwrap().refresh_token;
    let lock = Other::lock(&server.database()).await;
    let mut request = Request::new(redeem(&token));
    request.set_timeout(Duration::from_millis(200));
    let begun = Instant::now();
    let ended = server.client().refresh_tokens(request).await.unwrap_err();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(matches!(ended.code(), Code::Cancelled | Code::DeadlineExceeded), "{ended}");
    lock.unlock().await;
    server.issue("bob").await;
}

#[tokio::test]
async fn the_server_keeps_a_callers_deadline_by_itself() {
    let server = Server::start().await;
    let token = server.issue("alice").await.tokens.unwrap().refresh_token;
    let lock = Other::lock(&server.database()).await;
    // A client that says its deadline and does not keep it.
    let mut connection = Http2::connect(&server.grpc).await;
    connection.settings().await;
    let begun = Instant::now();
    connection.begin(1, "RefreshTokens", &[("grpc-timeout", "200m")]).await;
    connection.finish(1, &redeem(&token).encode_to_vec()).await;
    let answer = connection.wait_for(HEADERS, SOON).await.expect("an answer before the database gave one");
    assert!(answer.ends_stream() && begun.elapsed() >= Duration::from_millis(200));
    lock.unlock().await;
}

#[tokio::test]
async fn a_rotation_that_was_stored_after_its_caller_gave_up_is_answered_again() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let (first, session_id) = (issued.tokens.unwrap().refresh_token, issued.session.unwrap().session_id);
    let lock = Other::lock(&server.database()).await;
    let mut request = Request::new(redeem(&first));
    request.set_timeout(Duration::from_millis(300));
    server.client().refresh_tokens(request).await.unwrap_err();
    lock.unlock().await;

    // The statement was under way: it is carried out although nobody waits for its answer.
    let stored = async {
        while generation(&server, &session_id).await == 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), stored).await.expect("the rotation that nobody waited for");
    let again = server.refresh(&first).await.unwrap();
    let and_again = server.refresh(&first).await.unwrap();
    assert_eq!(again.session.unwrap().generation, 2);
    assert_eq!(again.tokens, and_again.tokens);
    let third = server.refresh(&again.tokens.unwrap().refresh_token).await.unwrap();
    assert_eq!(third.session.unwrap().generation, 3);
}
