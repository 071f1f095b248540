//! A sign-in from its first to its last day, as a browser lives it: sign in, refresh, look, sign out. R-EDGE-05, R-EDGE-07.

use serde_json::json;
use symbolon::pb::auth::{GetSessionRequest, RevokeReason, Session, SessionState};

use crate::support::{Ask, Browser, Secret, Server, Settings, assert_silent, claimed};

async fn session(server: &Server, id: &str) -> Session {
    let request = GetSessionRequest { session_id: id.to_owned() };
    server.client().get_session(request).await.unwrap().into_inner().session.unwrap()
}

fn id(answer: &crate::support::Answer) -> String {
    answer.json()["session"]["session_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn signing_in_answers_a_token_for_the_page_and_a_cookie_for_the_edge() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let answer = browser.ask(&server.edge, &Ask::login("alice", "alice").header("user-agent", "a browser")).await;
    let mut body = answer.json();
    let token = body["access_token"].take();
    let session_id = body["session"]["session_id"].take();
    assert_eq!(
        body,
        json!({
            "access_token": null, "token_type": "Bearer", "expires_in": 900, "refresh_in": 540,
            "session": {
                "session_id": null, "subject": "alice", "client_id": "web", "create_time": "2026-06-01T12:00:00Z",
                "expire_time": "2026-07-01T12:00:00Z", "idle_expire_time": "2026-07-01T12:00:00Z",
                "amr": ["pwd"], "auth_time": "2026-06-01T12:00:00Z"
            }
        })
    );
    assert_eq!(claimed(token.as_str().unwrap())["sid"], session_id);
    assert_eq!(claimed(token.as_str().unwrap())["aud"], "api");
    let stored = session(&server, session_id.as_str().unwrap()).await;
    let device = stored.device.unwrap();
    assert_eq!((device.user_agent.as_str(), device.ip_address.as_str()), ("a browser", "127.0.0.1"));
}

#[tokio::test]
async fn a_refresh_hands_out_the_next_token_and_says_how_long_things_live() {
    let server = Server::start().await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let first = browser.token().to_owned();
    server.pass(1800);
    let answer = browser.ask(&server.edge, &Ask::refresh()).await;
    assert_eq!((answer.json()["expires_in"].clone(), answer.json()["refresh_in"].clone()), (json!(900), json!(540)));
    assert!(answer.header("set-cookie").unwrap().contains("; Max-Age=2590200;"), "{answer:?}");
    assert_ne!(browser.token(), first);
    // The same again is the same successor, a little older.
    server.pass(10);
    let again = Ask::refresh().header("cookie", format!("symbolon-8080={first}")).of(&server.edge).await;
    assert_eq!(again.cookie().as_deref(), browser.cookie());
    assert_eq!((again.json()["expires_in"].clone(), again.json()["refresh_in"].clone()), (json!(890), json!(530)));
    assert_eq!(again.access_token(), answer.access_token());
}

/// R-EDGE-05
#[tokio::test]
async fn whatever_stands_in_authorization_a_refresh_goes_by_the_cookie_alone() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let old = browser.ask(&server.edge, &Ask::login("alice", "alice")).await.access_token();
    server.pass(1000);
    for value in
        ["Bearer undefined", "Bearer null", "Bearer ", "", "Basic YTpi", "Bearer a.b.c", &format!("Bearer {old}")]
    {
        let answer = browser.ask(&server.edge, &Ask::refresh().header("authorization", value)).await;
        assert_eq!(answer.status, 200, "{value}: {answer:?}");
    }
}

#[tokio::test]
async fn every_end_of_a_session_has_its_code_and_none_deletes_the_cookie() {
    let server = Server::start().await;
    let expect = async |browser: &Browser, code: &str| {
        let answer = browser.clone().ask(&server.edge, &Ask::refresh()).await;
        assert_eq!(answer.problem(), (401, code.to_owned()));
        assert_eq!(answer.header("set-cookie"), None, "{code}");
        assert_eq!(answer.json()["retryable"], false);
    };
    expect(&Browser::default(), "no_session").await;

    let mut browser = Browser::default();
    let revoked = id(&browser.ask(&server.edge, &Ask::login("alice", "alice")).await);
    server.revoke(&revoked).await;
    expect(&browser, "session_revoked").await;

    let mut thief = Browser::signed_in(&server.edge, "alice").await;
    let spent = thief.clone();
    for _ in 0..4 {
        thief.ask(&server.edge, &Ask::refresh()).await;
        server.pass(200);
    }
    expect(&spent, "session_reused").await;
    expect(&thief, "session_revoked").await;

    let forged = Ask::refresh().header("cookie", "symbolon-8080=sr1_x").of(&server.edge).await;
    assert_eq!((forged.problem(), forged.header("set-cookie")), ((401, "session_invalid".to_owned()), None));

    let late = Browser::signed_in(&server.edge, "alice").await;
    server.pass(30 * 86_400);
    expect(&late, "session_expired").await;
}

#[tokio::test]
async fn an_older_token_of_a_burst_is_told_to_ask_again() {
    let server = Server::start().await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let old = browser.clone();
    browser.ask(&server.edge, &Ask::refresh()).await;
    browser.ask(&server.edge, &Ask::refresh()).await;
    let answer = old.clone().ask(&server.edge, &Ask::refresh()).await;
    assert_eq!((answer.problem(), answer.header("set-cookie")), ((409, "refresh_stale".to_owned()), None));
    assert_eq!(answer.json()["retryable"], true);
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

#[tokio::test]
async fn a_sign_in_that_is_not_remembered_ends_with_the_browser() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let body = json!({"username": "alice", "password": "alice", "remember": false});
    let answer = browser.ask(&server.edge, &Ask::page("POST", "/auth/login").json(&body)).await;
    assert!(!answer.header("set-cookie").unwrap().contains("Max-Age"), "{answer:?}");
    assert_eq!(answer.json()["session"]["idle_expire_time"], "2026-06-02T00:00:00Z");
    let refreshed = browser.ask(&server.edge, &Ask::refresh()).await;
    assert!(!refreshed.header("set-cookie").unwrap().contains("Max-Age"), "{refreshed:?}");
    server.pass(12 * 3600);
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.code(), "session_expired");
}

#[tokio::test]
async fn signing_in_again_ends_the_session_that_was_there_once_the_new_one_exists() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let old = id(&browser.ask(&server.edge, &Ask::login("alice", "alice")).await);
    let wrong = browser.ask(&server.edge, &Ask::login("bob", "wrong")).await;
    assert_eq!((wrong.code(), wrong.header("set-cookie")), ("credentials_rejected".to_owned(), None));
    assert_eq!(session(&server, &old).await.state, i32::from(SessionState::Active));

    let new = id(&browser.ask(&server.edge, &Ask::login("bob", "bob")).await);
    let ended = session(&server, &old).await;
    assert_eq!(ended.revoke_reason, i32::from(RevokeReason::Superseded));
    assert_eq!(session(&server, &new).await.state, i32::from(SessionState::Active));
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.json()["session"]["subject"], "bob");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_is_done_even_if_there_is_none() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let ended = id(&browser.ask(&server.edge, &Ask::login("alice", "alice")).await);
    let before = browser.clone();
    let logout = Ask::page("POST", "/auth/logout");
    assert_eq!(browser.ask(&server.edge, &logout).await.status, 204);
    assert_eq!(browser.cookie(), None);
    assert_eq!(session(&server, &ended).await.revoke_reason, i32::from(RevokeReason::SignedOut));
    assert_eq!(before.clone().ask(&server.edge, &Ask::refresh()).await.code(), "session_revoked");
    for jar in [before.cookie().unwrap(), "symbolon-8080=garbage", "symbolon-8080=", "a=b"] {
        let answer = logout.clone().header("cookie", jar).of(&server.edge).await;
        assert_eq!(answer.status, 204, "{jar}");
        assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"), "{jar}");
    }
}

#[tokio::test]
async fn a_person_sees_and_ends_their_own_sessions_and_nobody_elses() {
    let server = Server::start().await;
    server.pass(1234);
    let phone = Browser::default().ask(&server.edge, &Ask::login("alice", "alice").header("user-agent", "phone")).await;
    let mut laptop = Browser::default();
    let own = laptop.ask(&server.edge, &Ask::login("alice", "alice")).await;
    let bob = Browser::default().ask(&server.edge, &Ask::login("bob", "bob")).await;
    laptop.ask(&server.edge, &Ask::refresh()).await;
    let list = async |token: &str| Ask::get("/auth/sessions").bearer(token).of(&server.edge).await.json();
    let sessions = list(&own.access_token()).await;
    let shown = |answer: &crate::support::Answer, current: bool| {
        let mut shown = json!({
            "session_id": id(answer), "client_id": "web", "current": current, "create_time": "2026-06-01T12:00:00Z",
            "expire_time": "2026-07-01T12:00:00Z", "idle_expire_time": "2026-07-01T12:00:00Z",
            "ip_address": "127.0.0.1"
        });
        if current {
            shown["last_refresh_time"] = json!("2026-06-01T12:00:00Z");
        } else {
            shown["user_agent"] = json!("phone");
        }
        shown
    };
    let mut listed = sessions["sessions"].as_array().unwrap().clone();
    let mut expected = vec![shown(&own, true), shown(&phone, false)];
    for sessions in [&mut listed, &mut expected] {
        sessions.sort_by_key(|session| session["session_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(listed, expected);

    let end = async |id: &str| {
        Ask::page("DELETE", &format!("/auth/sessions/{id}")).bearer(&own.access_token()).of(&server.edge).await
    };
    for id in [&id(&bob), "00000000-0000-8000-8000-000000000000", "no-uuid", "%ff"] {
        let answer = end(id).await;
        assert!((answer.status, answer.header("set-cookie")) == (204, None) || id == "%ff", "{id}: {answer:?}");
    }
    assert_eq!(session(&server, &id(&bob)).await.state, i32::from(SessionState::Active));
    assert_eq!(end(&id(&phone)).await.header("set-cookie"), None);
    assert_eq!(session(&server, &id(&phone)).await.revoke_reason, i32::from(RevokeReason::SignedOutElsewhere));
    let answer = end(&id(&own)).await;
    assert!(answer.status == 204 && answer.header("set-cookie").unwrap().contains("Max-Age=0"), "{answer:?}");
    assert_eq!(session(&server, &id(&own)).await.revoke_reason, i32::from(RevokeReason::SignedOut));
}

#[tokio::test]
async fn a_short_idle_time_does_not_tell_when_somebody_was_last_here() {
    let server = Server::with(Settings::default().env("SYMBOLON_SESSION_IDLE_TTL", "23h")).await;
    let answer = Browser::default().ask(&server.edge, &Ask::login("alice", "alice")).await;
    let listed = Ask::get("/auth/sessions").bearer(&answer.access_token()).of(&server.edge).await.json();
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(listed["sessions"][0].get("idle_expire_time"), None);
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_and_deletes_this_cookie() {
    let server = Server::start().await;
    let mut others = [Browser::signed_in(&server.edge, "alice").await, Browser::signed_in(&server.edge, "bob").await];
    let mut browser = Browser::default();
    let token = browser.ask(&server.edge, &Ask::login("alice", "alice")).await.access_token();
    let answer = browser.ask(&server.edge, &Ask::page("POST", "/auth/logout-all").bearer(&token)).await;
    assert_eq!((answer.status, browser.cookie()), (204, None));
    assert_eq!(others[0].ask(&server.edge, &Ask::refresh()).await.code(), "session_revoked");
    assert_eq!(others[1].ask(&server.edge, &Ask::refresh()).await.status, 200);
}

#[tokio::test]
async fn what_is_not_a_good_access_token_is_401_and_never_400_or_500() {
    let server = Server::start().await;
    let token = Browser::default().ask(&server.edge, &Ask::login("alice", "alice")).await.access_token();
    server.pass(900);
    let asks = [
        Ask::get("/auth/sessions"),
        Ask::get("/auth/check"),
        Ask::page("POST", "/auth/logout-all"),
        Ask::page("DELETE", "/auth/sessions/x"),
    ];
    for ask in asks {
        let mut values =
            ["", "Bearer", "Bearer ", "Bearer undefined", "Bearer null", "bearer a.b.c", "Basic YTpi", "\u{e4}"]
                .map(|value| Some(value.to_owned()))
                .to_vec();
        values.extend([None, Some(format!("Bearer {token}")), Some(token.clone())]);
        for value in values {
            let ask = value.iter().fold(ask.clone(), |ask, value| ask.header("authorization", value));
            let answer = ask.of(&server.edge).await;
            assert_eq!(answer.problem(), (401, "access_token_invalid".to_owned()), "{value:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        }
    }
    // One that is meant for others does not command the edge.
    let request = symbolon::pb::auth::IssueTokensRequest {
        audience: vec!["other".to_owned()],
        ..crate::support::sign_in("alice")
    };
    let other = server.client().issue_tokens(request).await.unwrap().into_inner().tokens.unwrap().access_token;
    assert_eq!(Ask::get("/auth/sessions").bearer(&other).of(&server.edge).await.code(), "access_token_invalid");
}

/// R-EDGE-07
#[tokio::test]
async fn the_refresh_token_stands_in_the_cookie_and_nowhere_else() {
    let server = Server::start().await;
    let mut browser = Browser::default();
    let mut said = Vec::new();
    let mut secrets = Vec::new();
    let login = browser.ask(&server.edge, &Ask::login("alice", "alice")).await;
    let token = login.access_token();
    let mut asks = vec![Ask::refresh(); 3];
    asks.extend([
        Ask::get("/auth/sessions").bearer(&token),
        Ask::get("/auth/check").bearer(&token),
        Ask::new("GET", "/auth/refresh"),
        Ask::refresh().without("x-symbolon-csrf"),
        Ask::page("POST", "/auth/nowhere"),
        Ask::page("POST", "/auth/logout"),
    ]);
    secrets.extend(Secret::refresh_token("the first token", browser.token()));
    said.push(login);
    for ask in asks {
        said.push(browser.ask(&server.edge, &ask).await);
        if browser.cookie().is_some() {
            secrets.extend(Secret::refresh_token("a token", browser.token()));
        }
    }
    for answer in &said {
        let rest = answer.headers.iter().filter(|(name, _)| name != "set-cookie");
        let text = rest.fold(answer.body.clone(), |text, (name, value)| text + name + value);
        assert_silent("an answer", text.as_bytes(), &secrets);
    }
}
