//! Bad fields: all of them at once, each with its path and its limit.

use std::collections::BTreeMap;

use prost_types::{Duration, Timestamp};
use serde_json::json;
use symbolon::pb::auth as pb;
use symbolon::pb::auth::RevokeReason;
use symbolon::pb::auth::revoke_session_request::Target;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{BEGINNING, Server, bad_fields, claims, reason, redeem, sign_in};

fn violations(refused: &Status) -> BTreeMap<String, String> {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    let violations = refused.get_error_details().bad_request().unwrap().field_violations.clone();
    let count = violations.len();
    let by_field: BTreeMap<_, _> = violations.into_iter().map(|it| (it.field, it.description)).collect();
    assert_eq!(by_field.len(), count, "a field is listed twice: {by_field:?}");
    by_field
}

async fn issue_refused(server: &Server, request: pb::IssueTokensRequest) -> BTreeMap<String, String> {
    violations(&server.issue_tokens(request).await.unwrap_err())
}

fn long(characters: usize) -> String {
    "x".repeat(characters)
}

fn at(seconds: i64, nanos: i32) -> pb::Authentication {
    pb::Authentication { auth_time: Some(Timestamp { seconds, nanos }), ..Default::default() }
}

/// R-RPC-01
#[tokio::test]
async fn every_bad_field_is_listed_at_once_with_its_path_and_its_limit() {
    let server = Server::start().await;
    let database = server.watch().await;
    let before = database.version().await;
    let request = pb::IssueTokensRequest {
        subject: long(256),
        client_id: "we b".to_owned(),
        audience: vec!["api".to_owned(), String::new(), "api".to_owned()],
        scope: vec!["re\"ad".to_owned(), long(256), "back\\slash".to_owned()],
        claims: Some(claims(json!({"SUB": 1, "deep": {"a": {"b": {"c": {}}}}, "big": 9_007_199_254_740_993_i64}))),
        authentication: Some(pb::Authentication {
            auth_time: Some(Timestamp { seconds: BEGINNING + 60, nanos: 0 }),
            acr: "a\u{7}".to_owned(),
            amr: vec!["pwd".to_owned(), "o tp".to_owned()],
        }),
        device: Some(pb::Device {
            user_agent: "evil\r\nheader".to_owned(),
            ip_address: "127.0.0.1:80".to_owned(),
            label: long(256),
        }),
        access_token_ttl: Some(Duration { seconds: 0, nanos: 0 }),
        session_ttl: Some(Duration { seconds: -60, nanos: 0 }),
        idle_ttl: Some(Duration { seconds: 1, nanos: 500_000_000 }),
        request_id: "not a uuid".to_owned(),
        browser_session: false,
    };
    let name = "must have 1 to 255 printable ASCII characters without spaces";
    let scope = "must have 1 to 255 printable ASCII characters without space, \" and \\";
    let ttl = "must be whole seconds, from 1s to 315360000s";
    let expected = [
        ("subject", "must have 1 to 255 printable ASCII characters"),
        ("client_id", name),
        ("audience[1]", name),
        ("audience[2]", "must not repeat an element"),
        ("scope[0]", scope),
        ("scope[1]", scope),
        ("scope[2]", scope),
        ("claims.SUB", "is a name that JWT or OAuth registers"),
        ("claims.deep.a.b.c", "must lie at most 4 deep"),
        ("claims.big", "must be a number within 2^53 − 1 of zero"),
        ("authentication.auth_time", "must be a time from 1970 to now"),
        ("authentication.acr", name),
        ("authentication.amr[1]", name),
        ("device.user_agent", "must have no control characters"),
        ("device.ip_address", "must be an IPv4 or IPv6 address"),
        ("device.label", "must have at most 255 characters and no control characters"),
        ("access_token_ttl", ttl),
        ("session_ttl", ttl),
        ("idle_ttl", ttl),
        ("request_id", "must be a UUID"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(field, what)| (field.to_owned(), what.to_owned())).into();
    assert_eq!(issue_refused(&server, request).await, expected);
    assert_eq!(database.version().await, before);
}

/// R-RPC-01
#[tokio::test]
async fn a_refresh_lists_its_bad_fields_and_does_not_redeem_the_token() {
    let server = Server::start().await;
    let token = server.issue("alice").await.tokens.unwrap().refresh_token;
    let request = pb::RefreshTokensRequest {
        audience: vec!["a b".to_owned()],
        scope: vec![String::new()],
        device: Some(pb::Device { ip_address: "localhost".to_owned(), ..Default::default() }),
        rotation: 99,
        ..redeem(&token)
    };
    let refused = server.refresh_tokens(request).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["audience[0]", "device.ip_address", "rotation", "scope[0]"]);
    assert_eq!(server.refresh_tokens(redeem(&token)).await.unwrap().session.unwrap().generation, 2);
}

/// R-RPC-01
#[tokio::test]
async fn durations_are_positive_whole_seconds_of_sensible_length() {
    let server = Server::start().await;
    let fields = ["access_token_ttl", "session_ttl", "idle_ttl"];
    let with = |ttl: Duration| pb::IssueTokensRequest {
        access_token_ttl: Some(ttl),
        session_ttl: Some(ttl),
        idle_ttl: Some(ttl),
        ..sign_in("alice")
    };
    let bad = [(0, 0), (-1, 0), (i64::MIN, 0), (0, 1), (1, 1), (1, -1), (-1, -1), (315_360_001, 0), (i64::MAX, 0)];
    for (seconds, nanos) in bad {
        let told = issue_refused(&server, with(Duration { seconds, nanos })).await;
        assert!(
            told.keys().eq(fields.map(str::to_owned).iter().collect::<std::collections::BTreeSet<_>>()),
            "{told:?}"
        );
    }
    for seconds in [1, 2, 315_360_000] {
        server.issue_tokens(with(Duration { seconds, nanos: 0 })).await.unwrap();
    }
}

/// R-RPC-01
#[tokio::test]
async fn lists_have_their_limits() {
    let server = Server::start().await;
    let many = |count: usize| (0..count).map(|at| format!("n{at}")).collect::<Vec<_>>();
    let request = |audience: usize, scope: usize, amr: usize| pb::IssueTokensRequest {
        audience: many(audience),
        scope: many(scope),
        authentication: Some(pb::Authentication { amr: many(amr), ..Default::default() }),
        ..sign_in("alice")
    };
    server.issue_tokens(request(16, 64, 16)).await.unwrap();
    let told = issue_refused(&server, request(17, 65, 17)).await;
    let expected = [
        ("audience", "must have at most 16 elements"),
        ("scope", "must have at most 64 elements"),
        ("authentication.amr", "must have at most 16 elements"),
    ];
    assert_eq!(told, expected.map(|(field, what)| (field.to_owned(), what.to_owned())).into());
}

/// R-RPC-01
#[tokio::test]
async fn nobody_was_authenticated_in_the_future_or_before_1970() {
    let server = Server::start().await;
    let with = |it| pb::IssueTokensRequest { authentication: Some(it), ..sign_in("alice") };
    let bad =
        [at(BEGINNING + 6, 0), at(i64::MAX, 0), at(-1, 0), at(i64::MIN, 0), at(BEGINNING, -1), at(1, 1_000_000_000)];
    for authentication in bad {
        let told = issue_refused(&server, with(authentication)).await;
        assert!(told.keys().eq(["authentication.auth_time"]), "{told:?}");
    }
    // Another machine's clock a little ahead is no fault, and the token does not speak of the future either.
    let issued = server.issue_tokens(with(at(BEGINNING + 5, 0))).await.unwrap();
    let auth_time = issued.session.unwrap().authentication.unwrap().auth_time.unwrap();
    assert_eq!((auth_time.seconds, auth_time.nanos), (BEGINNING, 0));
    server.issue_tokens(with(at(0, 0))).await.unwrap();
}

/// R-RPC-01
#[tokio::test]
async fn a_device_is_kept_as_far_as_it_is_sensible() {
    let server = Server::start().await;
    let with = |device| pb::IssueTokensRequest { device: Some(device), ..sign_in("alice") };
    for ip_address in ["999.1.1.1", "1.2.3", "fe80::1%eth0", "[::1]", "127.0.0.1/8", "01.2.3.4", "unknown", " ::1"] {
        let device = pb::Device { ip_address: ip_address.to_owned(), ..Default::default() };
        assert!(issue_refused(&server, with(device)).await.keys().eq(["device.ip_address"]), "{ip_address}");
    }
    for character in ['\0', '\n', '\u{1b}', '\u{7f}', '\u{85}'] {
        let text = format!("a{character}b");
        let device = pb::Device { user_agent: text.clone(), label: text, ..Default::default() };
        assert!(issue_refused(&server, with(device)).await.keys().eq(["device.label", "device.user_agent"]));
    }
    let device = pb::Device { user_agent: "ü".repeat(300), label: "ü".repeat(255), ..Default::default() };
    let kept = server.issue_tokens(with(device)).await.unwrap().session.unwrap().device.unwrap();
    assert_eq!((kept.user_agent, kept.label), ("ü".repeat(255), "ü".repeat(255)));
}

/// R-RPC-01
#[tokio::test]
async fn a_caller_gives_only_reasons_that_are_his_to_give() {
    let server = Server::start().await;
    let issued = server.issue("alice").await.session.unwrap();
    let with = |reason: i32| pb::RevokeSessionRequest {
        target: Some(Target::SessionId(issued.session_id.clone())),
        reason,
        ..Default::default()
    };
    let own = [RevokeReason::ReuseDetected, RevokeReason::SessionLimit, RevokeReason::RolledBack].map(i32::from);
    for reason in own.into_iter().chain([7, 99, 103, -1, i32::MAX]) {
        let refused = server.client().revoke_session(with(reason)).await.unwrap_err();
        assert_eq!(violations(&refused).keys().collect::<Vec<_>>(), ["reason"], "{reason}");
        let request = pb::RevokeSubjectSessionsRequest { subject: "alice".to_owned(), reason, ..Default::default() };
        assert_eq!(bad_fields(&server.revoke_subject(request).await.unwrap_err()), ["reason"]);
    }
    assert_eq!(server.session(&issued.session_id).await.unwrap().state(), pb::SessionState::Active);
    for reason in (0..=6).map(|reason| RevokeReason::try_from(reason).unwrap()) {
        let session_id = server.issue("alice").await.session.unwrap().session_id;
        let target = Some(Target::SessionId(session_id.clone()));
        let request = pb::RevokeSessionRequest { target, reason: reason.into(), ..Default::default() };
        assert!(server.client().revoke_session(request).await.unwrap().into_inner().revoked);
        let said = server.session(&session_id).await.unwrap().revoke_reason();
        let unset = reason == RevokeReason::Unspecified;
        assert_eq!(said, if unset { RevokeReason::Administrator } else { reason });
    }
}
