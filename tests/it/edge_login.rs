//! Sign-in through a credential verifier of the user's own: what it is asked, what each of its answers becomes, and how
//! often one may fail.

use std::collections::BTreeMap;
use std::time::Duration;

use prost_types::value::Kind;
use prost_types::{Struct, Timestamp, Value};
use serde_json::json;
use symbolon::edge::attempts::{ACCOUNT, NETWORK};
use symbolon::pb::identity::{DenialReason, Denied, Verified};
use tonic::Code;

use crate::support::alone::{Does, Impostor, frozen};
use crate::support::verifier::{Says, Verifier};
use crate::support::{Answer, Ask, BEGINNING, Browser, Server, Settings, claimed, seconds};

async fn before(url: &str) -> Server {
    let settings = Settings::default().env("SYMBOLON_EDGE_VERIFIER_URL", url);
    Server::with(settings.env("SYMBOLON_EDGE_VERIFIER_TOKEN", "swordfish")).await
}

fn text(text: &str) -> Value {
    Value { kind: Some(Kind::StringValue(text.to_owned())) }
}

#[tokio::test]
async fn the_verifier_is_asked_with_the_pages_words_and_its_answer_becomes_the_session() {
    let claims = Struct { fields: BTreeMap::from([("role".to_owned(), text("admin"))]) };
    let verifier = Verifier::start(Says::Yes(Verified {
        subject: "user-7".to_owned(),
        auth_time: Some(Timestamp { seconds: BEGINNING - 60, nanos: 0 }),
        acr: "aal2".to_owned(),
        amr: vec!["pwd".to_owned(), "otp".to_owned()],
        scope: vec!["read".to_owned(), "write".to_owned()],
        claims: Some(claims),
        session_ttl: seconds(86_400),
    }))
    .await;
    let server = before(&verifier.url).await;
    let body = json!({"username": "Ann", "code": 7, "deep": {"list": [true, null, 1.5]}});
    let ask = Ask::page("POST", "/auth/login").json(&body).header("user-agent", "a browser");
    let answer = ask.of(&server.edge).await;
    let session = &answer.json()["session"];
    assert_eq!((session["subject"].as_str(), session["acr"].as_str()), (Some("user-7"), Some("aal2")));
    assert_eq!(
        (session["amr"].clone(), session["auth_time"].as_str()),
        (json!(["pwd", "otp"]), Some("2026-06-01T11:59:00Z"))
    );
    assert_eq!(session["expire_time"], "2026-06-02T12:00:00Z");
    let claims = claimed(&answer.access_token());
    assert_eq!((claims["role"].clone(), claims["scope"].clone()), (json!("admin"), json!("read write")));

    let (asked, authorization) = verifier.asked().pop().unwrap();
    assert_eq!(authorization.as_deref(), Some("Bearer swordfish"));
    assert_eq!(
        (asked.client_id.as_str(), asked.user_agent.as_str(), asked.ip_address.as_str()),
        ("web", "a browser", "127.0.0.1")
    );
    let fields = asked.credentials.clone().unwrap().fields;
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["code", "deep", "username"]);
    assert_eq!(fields["code"].kind, Some(Kind::NumberValue(7.0)));
    assert!(!format!("{asked:?}").contains("Ann"), "{asked:?}");
}

#[tokio::test]
async fn every_answer_of_the_verifier_has_its_own_code_and_a_session_that_is_there_stays() {
    let verifier = Verifier::start(Says::yes("alice")).await;
    let server = before(&verifier.url).await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let details = Struct { fields: BTreeMap::from([("factor".to_owned(), text("otp"))]) };
    let more = Denied { reason: DenialReason::MoreRequired.into(), details: Some(details), ..Denied::default() };
    let locked = Denied { reason: DenialReason::Locked.into(), retry_after: seconds(90), ..Denied::default() };
    let claims = Struct { fields: BTreeMap::from([("sub".to_owned(), text("mallory"))]) };
    let refused = Verified { subject: "alice".to_owned(), claims: Some(claims), ..Verified::default() };
    let cases = [
        (Says::no(DenialReason::Unspecified), 401, "credentials_rejected"),
        (Says::No(Denied { reason: 99, ..Denied::default() }), 401, "credentials_rejected"),
        (Says::No(more), 401, "more_required"),
        (Says::no(DenialReason::Disabled), 403, "account_disabled"),
        (Says::No(locked), 429, "locked"),
        (Says::no(DenialReason::Locked), 429, "locked"),
        (Says::Nothing, 503, "verifier_unavailable"),
        (Says::yes(""), 503, "verifier_unavailable"),
        // What the service refuses of the verifier's answer is no fault of the user.
        (Says::yes("not printable: \u{e4}"), 503, "verifier_unavailable"),
        (Says::Yes(refused), 503, "verifier_unavailable"),
        (Says::Fails(Code::Unauthenticated), 503, "verifier_unavailable"),
        (Says::Fails(Code::PermissionDenied), 503, "verifier_unavailable"),
        (Says::Fails(Code::Internal), 503, "verifier_unavailable"),
    ];
    for (says, status, code) in cases {
        verifier.say(says.clone());
        let answer = browser.ask(&server.edge, &Ask::login("alice", "alice")).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{says:?}");
        assert_eq!(answer.header("set-cookie"), None, "{says:?}");
        match code {
            "more_required" => assert_eq!(answer.json()["details"], json!({"factor": "otp"})),
            "locked" if answer.json().get("retry_after").is_some() => {
                assert_eq!((answer.header("retry-after"), &answer.json()["retry_after"]), (Some("90"), &json!(90)));
            }
            _ => assert_eq!(answer.json().get("details"), None),
        }
    }
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

async fn undecided(url: &str) -> (Answer, Duration) {
    let server = before(url).await;
    let mut browser = Browser::default();
    browser.take(
        &Ask::refresh()
            .header("cookie", format!("symbolon-8080={}", server.issue("alice").await.tokens.unwrap().refresh_token))
            .of(&server.edge)
            .await,
    );
    let began = tokio::time::Instant::now();
    let answer = browser.ask(&server.edge, &Ask::login("alice", "alice")).await;
    let took = began.elapsed();
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
    (answer, took)
}

#[tokio::test]
async fn a_verifier_that_is_away_slow_or_talks_nonsense_has_decided_nothing() {
    let (frozen, _kept) = frozen().await;
    let slow = Verifier::start(Says::Sleeps(Duration::from_secs(60))).await;
    let huge = "x".repeat(100_000);
    let wordy = Verifier::start(Says::yes(&huge)).await;
    let proxy = Impostor::that(Does::Http(502)).await;
    let babbler = Impostor::that(Does::Babbles).await;
    let urls = ["http://127.0.0.1:1", &frozen, &slow.url, &wordy.url, &proxy.url, &babbler.url];
    let all = futures_util::future::join_all(urls.map(undecided)).await;
    for ((answer, took), url) in all.into_iter().zip(urls) {
        assert_eq!(answer.problem(), (503, "verifier_unavailable".to_owned()), "{url}");
        assert_eq!((answer.header("set-cookie"), &answer.json()["retryable"]), (None, &json!(true)), "{url}");
        assert!(took < Duration::from_secs(8), "{url}: {took:?}");
    }
}

#[tokio::test]
async fn what_is_no_form_is_told_so() {
    let server = Server::start().await;
    let deep = (0..40).fold("1".to_owned(), |inner, _| format!("[{inner}]"));
    let deep = format!("{{\"a\":{deep}}}");
    for body in [
        "",
        "[]",
        "7",
        "\"alice\"",
        "null",
        "{",
        "{\"a\":1e999}",
        "{\"remember\":\"false\"}",
        "{\"a\":\"\u{0}\"}",
        &deep,
    ] {
        let answer = Ask::page("POST", "/auth/login")
            .header("content-type", "application/json")
            .body(body)
            .of(&server.edge)
            .await;
        assert_eq!(answer.problem(), (400, "bad_request".to_owned()), "{body:?}");
    }
    let bytes = Ask::page("POST", "/auth/login").header("content-type", "application/json").body(*b"{\"a\":\"\xff\"}");
    assert_eq!(bytes.of(&server.edge).await.code(), "bad_request");
    for body in ["{}", "{\"username\":7,\"password\":true}"] {
        let answer = Ask::page("POST", "/auth/login")
            .header("content-type", "application/json")
            .body(body)
            .of(&server.edge)
            .await;
        assert_eq!(answer.problem(), (401, "credentials_rejected".to_owned()), "{body:?}");
    }
}

/// R-OPS-06
#[tokio::test]
async fn wrong_passwords_for_one_account_are_slowed_down_and_right_ones_are_not() {
    let server = Server::start().await;
    let login = async |user: &str, password: &str| Ask::login(user, password).of(&server.edge).await;
    for _ in 0..ACCOUNT.burst {
        assert_eq!(login("alice", "wrong").await.code(), "credentials_rejected");
        assert_eq!(login("bob", "bob").await.status, 200);
    }
    for spelling in ["alice", "ALICE", " alice "] {
        let answer = login(spelling, "wrong").await;
        assert_eq!(answer.problem(), (429, "rate_limited".to_owned()), "{spelling}");
        assert_eq!((answer.header("retry-after"), &answer.json()["retry_after"]), (Some("15"), &json!(15)));
    }
    assert_eq!(login("bob", "bob").await.status, 200, "somebody else at the same address");
    server.pass(15);
    assert_eq!(login("alice", "alice").await.status, 200);
    assert_eq!(login("alice", "wrong").await.code(), "credentials_rejected");
    assert_eq!(login("alice", "wrong").await.code(), "rate_limited");
}

#[tokio::test]
async fn a_made_up_name_beside_the_account_does_not_hide_whom_the_guesses_are_for() {
    let server = Server::start().await;
    let guess = async |decoy: u32| {
        let body = json!({"username": format!("decoy-{decoy}"), "email": "ann@example.com", "password": "guess"});
        Ask::page("POST", "/auth/login").json(&body).of(&server.edge).await
    };
    for decoy in 0..ACCOUNT.burst {
        assert_eq!(guess(decoy).await.code(), "credentials_rejected");
    }
    assert_eq!(guess(ACCOUNT.burst).await.problem(), (429, "rate_limited".to_owned()));
    assert_eq!(Ask::login("alice", "alice").of(&server.edge).await.status, 200, "somebody else");
}

#[tokio::test]
async fn a_browser_with_a_tab_in_its_name_signs_in_and_refreshes() {
    let server = Server::start().await;
    let named = |ask: Ask| ask.header("user-agent", "a\tbrowser");
    let signed_in = named(Ask::login("alice", "alice")).of(&server.edge).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.json());
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let refreshed = named(Ask::page("POST", "/auth/refresh").header("cookie", &cookie)).of(&server.edge).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.json());
}

fn from(address: &str, user: &str, password: &str) -> Ask {
    Ask::login(user, password).header("x-forwarded-for", address)
}

/// R-OPS-06
#[tokio::test]
async fn wrong_passwords_from_one_network_are_slowed_down_and_a_forged_address_helps_nobody() {
    let trusting = Settings::default().env("SYMBOLON_EDGE_TRUSTED_PROXIES", "127.0.0.0/8");
    let server = Server::with(trusting).await;
    for guess in 0..NETWORK.burst {
        // One /64, and what the client itself wrote before the proxy's entry.
        let answer = from(&format!("198.51.100.{guess}, 2001:db8:1:2::{guess:x}"), &format!("user-{guess}"), "wrong");
        assert_eq!(answer.of(&server.edge).await.code(), "credentials_rejected");
    }
    assert_eq!(
        from("2001:db8:1:2:ffff::", "alice", "alice").of(&server.edge).await.problem(),
        (429, "rate_limited".to_owned())
    );
    for elsewhere in ["2001:db8:1:3::1", "198.51.100.1"] {
        assert_eq!(from(elsewhere, "alice", "alice").of(&server.edge).await.status, 200, "{elsewhere}");
    }

    let server = Server::start().await;
    for guess in 0..NETWORK.burst {
        let answer = from(&format!("198.51.100.{guess}"), &format!("user-{guess}"), "wrong").of(&server.edge).await;
        assert_eq!(answer.code(), "credentials_rejected");
    }
    assert_eq!(from("203.0.113.1", "alice", "alice").of(&server.edge).await.code(), "rate_limited");
}

#[tokio::test]
async fn a_verifier_that_is_away_counts_against_nobody() {
    let verifier = Verifier::start(Says::Fails(Code::Unavailable)).await;
    let server = before(&verifier.url).await;
    for _ in 0..NETWORK.burst + 5 {
        assert_eq!(Ask::login("alice", "alice").of(&server.edge).await.code(), "verifier_unavailable");
    }
    verifier.say(Says::yes("alice"));
    assert_eq!(Ask::login("alice", "alice").of(&server.edge).await.status, 200);
}

/// R-OPS-06
#[tokio::test]
async fn guesses_that_come_all_at_once_are_counted_all_the_same() {
    let server = Server::start().await;
    let guesses = (0..ACCOUNT.burst * 2).map(|guess| {
        let edge = server.edge.clone();
        async move { Ask::login("alice", &format!("guess {guess}")).of(&edge).await.code() }
    });
    let codes = futures_util::future::join_all(guesses).await;
    let rejected = codes.iter().filter(|code| *code == "credentials_rejected").count();
    assert_eq!(u32::try_from(rejected).unwrap(), ACCOUNT.burst, "{codes:?}");
}
