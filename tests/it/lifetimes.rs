//! How long tokens and sessions live: what was granted at sign-in stays, however often the session is refreshed.

use std::time::Duration;

use symbolon::pb::auth as pb;

use crate::support::{BEGINNING, Server, Settings, claimed, reason, seconds, sign_in};

const DAY: i64 = 86_400;

fn at(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.unwrap();
    assert_eq!(time.nanos, 0);
    time.seconds
}

/// How long a token's `iat` says it lives, in seconds.
fn life(access_token: &str) -> i64 {
    let claimed = claimed(access_token);
    claimed["exp"].as_i64().unwrap() - claimed["iat"].as_i64().unwrap()
}

/// R-RT-07
#[tokio::test]
async fn the_absolute_end_is_the_same_after_a_hundred_rotations_and_idle_never_passes_it() {
    let server = Server::start().await;
    let request = pb::IssueTokensRequest { session_ttl: seconds(2 * DAY), idle_ttl: seconds(DAY), ..sign_in("alice") };
    let issued = server.issue_tokens(request).await.unwrap();
    let end = BEGINNING + 2 * DAY;
    let mut token = issued.tokens.unwrap().refresh_token;
    for rotation in 1..=100 {
        server.pass(1700);
        let answer = server.refresh(&token).await.unwrap();
        let (tokens, session) = (answer.tokens.unwrap(), answer.session.unwrap());
        let idle_end = (BEGINNING + rotation * 1700 + DAY).min(end);
        assert_eq!((at(session.expire_time), at(session.idle_expire_time)), (end, idle_end), "rotation {rotation}");
        assert_eq!(at(tokens.refresh_token_expire_time), idle_end);
        token = tokens.refresh_token;
    }
    server.clock.set(symbolon::time::Timestamp::from_seconds(end - 1));
    let last = server.pair(&token).await;
    assert_eq!(life(&last.access_token), 1);
    server.pass(1);
    assert_eq!(reason(&server.refresh(&last.refresh_token).await.unwrap_err()), "SESSION_EXPIRED");
}

/// R-RT-07
#[tokio::test]
async fn what_was_asked_for_at_sign_in_is_the_same_after_a_hundred_rotations() {
    let server = Server::start().await;
    let request =
        pb::IssueTokensRequest { idle_ttl: seconds(3600), access_token_ttl: seconds(300), ..sign_in("alice") };
    let mut token = server.issue_tokens(request).await.unwrap().tokens.unwrap().refresh_token;
    for _ in 0..100 {
        server.pass(3599);
        let answer = server.refresh(&token).await.unwrap();
        let (tokens, session) = (answer.tokens.unwrap(), answer.session.unwrap());
        assert_eq!(life(&tokens.access_token), 300);
        assert_eq!(at(session.idle_expire_time) - at(session.last_refresh_time), 3600);
        token = tokens.refresh_token;
    }
    server.pass(3600);
    assert_eq!(reason(&server.refresh(&token).await.unwrap_err()), "SESSION_EXPIRED");
}

/// R-RT-07: only a rotation moves idle expiry: not a replay, a recovery, a look or a change.
#[tokio::test]
async fn idle_expiry_is_moved_by_rotations_alone() {
    let server = Server::start().await;
    let request = pb::IssueTokensRequest { idle_ttl: seconds(3600), ..sign_in("alice") };
    let issued = server.issue_tokens(request).await.unwrap();
    let (first, session_id) = (issued.tokens.unwrap().refresh_token, issued.session.unwrap().session_id);
    server.pass(60);
    let second = server.rotate(&first).await;
    let end = BEGINNING + 60 + 3600;
    for pass in [10, 600, 600] {
        server.pass(pass);
        server.pair(&first).await;
        server.introspect(&second).await;
        let label = Some(format!("after {pass}"));
        server.update(pb::UpdateSessionRequest { session_id: session_id.clone(), label, claims: None }).await.unwrap();
        assert_eq!(at(server.session(&session_id).await.unwrap().idle_expire_time), end);
    }
    server.clock.set(symbolon::time::Timestamp::from_seconds(end));
    assert_eq!(reason(&server.refresh(&second).await.unwrap_err()), "SESSION_EXPIRED");
}

/// R-RT-07, R-TOK-03: to the millisecond, and everybody who is asked says the same.
#[tokio::test]
async fn a_session_is_over_when_less_than_a_second_is_left() {
    let server = Server::start().await;
    for (session_ttl, idle_ttl) in [(100, 1000), (1000, 100)] {
        let request = pb::IssueTokensRequest {
            session_ttl: seconds(session_ttl),
            idle_ttl: seconds(idle_ttl),
            ..sign_in("alice")
        };
        let issued = server.issue_tokens(request).await.unwrap();
        let (tokens, session_id) = (issued.tokens.unwrap(), issued.session.unwrap().session_id);
        let listed = async || {
            let request = pb::ListSessionsRequest { subject: "alice".to_owned(), ..Default::default() };
            server.list(request).await.unwrap().sessions.len()
        };
        server.pass(99);
        assert!(server.introspect(&tokens.refresh_token).await.active);
        assert_eq!(server.session(&session_id).await.unwrap().state(), pb::SessionState::Active);
        assert_eq!(listed().await, 1);
        server.clock.advance(Duration::from_millis(1));
        assert!(!server.introspect(&tokens.refresh_token).await.active);
        assert!(!server.introspect(&tokens.access_token).await.active);
        assert_eq!(server.session(&session_id).await.unwrap().state(), pb::SessionState::Expired);
        assert_eq!(listed().await, 0);
        assert!(!server.revoke(&session_id).await);
        assert_eq!(reason(&server.refresh(&tokens.refresh_token).await.unwrap_err()), "SESSION_EXPIRED");
    }
}

/// R-TOK-03
#[tokio::test]
async fn no_access_token_lives_longer_than_an_hour_or_than_its_session() {
    let server = Server::start().await;
    for (access_token_ttl, session_ttl, idle_ttl, expected) in [
        (None, None, None, 900),
        (seconds(1), None, None, 1),
        (seconds(3600), None, None, 3600),
        (seconds(3601), None, None, 3600),
        (seconds(30 * DAY), None, None, 3600),
        (seconds(900), seconds(60), None, 60),
        (seconds(900), None, seconds(60), 60),
        (None, seconds(1), None, 1),
    ] {
        let request = pb::IssueTokensRequest { access_token_ttl, session_ttl, idle_ttl, ..sign_in("alice") };
        let tokens = server.issue_tokens(request).await.unwrap().tokens.unwrap();
        assert_eq!(life(&tokens.access_token), expected);
        assert_eq!(at(tokens.access_token_expire_time), BEGINNING + expected);
        let refresh_after = tokens.refresh_after.unwrap();
        let millis = (refresh_after.seconds - BEGINNING) * 1000 + i64::from(refresh_after.nanos) / 1_000_000;
        assert_eq!(millis, expected * 600);
    }
}

/// R-TOK-03: `iat` and `exp` are whole seconds also when the clock is not, and `exp` is not past the session's end.
#[tokio::test]
async fn the_last_access_token_of_a_session_ends_with_it() {
    let server = Server::start().await;
    server.clock.advance(Duration::from_millis(700));
    let request = pb::IssueTokensRequest { session_ttl: seconds(1000), ..sign_in("alice") };
    let issued = server.issue_tokens(request).await.unwrap();
    let (mut token, end) = (issued.tokens.unwrap().refresh_token, BEGINNING + 1000);
    for pass in [50, 300, 300, 300, 49] {
        server.pass(pass);
        server.clock.advance(Duration::from_millis(130));
        let answer = server.refresh(&token).await;
        let Ok(answer) = answer else {
            assert_eq!(reason(&answer.unwrap_err()), "SESSION_EXPIRED");
            return;
        };
        let tokens = answer.tokens.unwrap();
        let claimed = claimed(&tokens.access_token);
        let (iat, exp) = (claimed["iat"].as_i64().unwrap(), claimed["exp"].as_i64().unwrap());
        assert!(exp > iat && exp <= end && (exp == end || exp - iat == 900), "{iat} to {exp}, end {end}");
        assert!(claimed.get("nbf").is_none());
        token = tokens.refresh_token;
    }
    panic!("the session should have ended");
}

/// R-TOK-03
#[tokio::test]
async fn a_browser_session_is_idle_for_twelve_hours_at_the_most() {
    let server = Server::start().await;
    for (idle_ttl, expected) in [(None, 12 * 3600), (seconds(DAY), 12 * 3600), (seconds(3600), 3600)] {
        let request = pb::IssueTokensRequest { idle_ttl, browser_session: true, ..sign_in("alice") };
        let issued = server.issue_tokens(request).await.unwrap();
        let session = issued.session.unwrap();
        assert_eq!(at(session.idle_expire_time) - at(session.create_time), expected);
        assert!(session.browser_session);
        server.pass(u64::try_from(expected).unwrap() - 1);
        let answer = server.refresh(&issued.tokens.unwrap().refresh_token).await.unwrap();
        let session = answer.session.unwrap();
        assert_eq!(at(session.idle_expire_time) - at(session.last_refresh_time), expected);
        assert!(session.browser_session);
    }
}

/// R-RT-07: a client's new defaults are for new sessions.
#[tokio::test]
async fn a_session_keeps_what_it_was_granted_when_the_configuration_changes() {
    let clients = |idle: &str, access: &str| {
        Settings::default().clients(&format!(
            "[clients.web]\naudience = [\"api\"]\nidle_ttl = \"{idle}\"\naccess_token_ttl = \"{access}\"\n"
        ))
    };
    let server = Server::with(clients("1h", "5m")).await;
    let token = server.issue("alice").await.tokens.unwrap().refresh_token;
    let server = server.restart(clients("10m", "1m")).await;
    server.pass(3599);
    let answer = server.refresh(&token).await.unwrap();
    let session = answer.session.unwrap();
    assert_eq!(at(session.idle_expire_time) - at(session.last_refresh_time), 3600);
    assert_eq!(life(&answer.tokens.unwrap().access_token), 300);
    assert_eq!(life(&server.issue("alice").await.tokens.unwrap().access_token), 60);
}
