//! A sign-in: what its tokens say, and what it grants.

use std::collections::BTreeSet;

use serde_json::json;
use symbolon::pb::auth as pb;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{BEGINNING, Server, Settings, bad_fields, claimed, claims, part, reason, sign_in};

fn names(object: &serde_json::Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// R-TOK-01, R-TOK-02
#[tokio::test]
async fn the_header_says_algorithm_type_and_key_and_nothing_else() {
    let server = Server::start().await;
    let token = server.issue("alice").await.tokens.unwrap().access_token;
    let header: serde_json::Value = serde_json::from_str(&part(&token, 0)).unwrap();
    let keys = server.client().get_jwks(pb::GetJwksRequest {}).await.unwrap().into_inner().keys;
    assert_eq!(header, json!({"alg": "EdDSA", "typ": "at+jwt", "kid": keys[0].kid}));
    assert_eq!((keys[0].alg.as_str(), keys[0].kty.as_str(), keys[0].crv.as_str()), ("EdDSA", "OKP", "Ed25519"));
}

/// R-TOK-03, R-TOK-04
#[tokio::test]
async fn a_subject_alone_gets_the_defaults_and_no_claim_more() {
    let server = Server::start().await;
    let answer = server.issue("alice").await;
    let (tokens, session) = (answer.tokens.unwrap(), answer.session.unwrap());
    let claimed = claimed(&tokens.access_token);
    let jti = claimed["jti"].as_str().unwrap();
    assert_eq!(
        claimed,
        json!({
            "iss": "http://localhost:8080",
            "sub": "alice",
            "aud": "api",
            "iat": BEGINNING,
            "exp": BEGINNING + 900,
            "jti": jti,
            "client_id": "web",
            "sid": session.session_id,
            "auth_time": BEGINNING,
        })
    );
    assert_eq!(tokens.token_type, "Bearer");
    assert_eq!(tokens.access_token_expire_time.unwrap().seconds, BEGINNING + 900);
    assert_eq!(tokens.refresh_after.unwrap().seconds, BEGINNING + 540);
    assert_eq!(tokens.refresh_token_expire_time, session.expire_time);
    assert!(tokens.refresh_token.starts_with("sr1_") && tokens.refresh_token.len() <= 255);
    assert_eq!((session.generation, session.last_refresh_time, session.revoke_time), (1, None, None));
    assert_eq!(session.state(), pb::SessionState::Active);
}

/// R-TOK-03, R-TOK-05: the claims a caller gives stand beside the registered ones.
#[tokio::test]
async fn everything_that_is_asked_for_stands_in_the_token_and_in_the_session() {
    let server = Server::start().await;
    let given = json!({"role": "editor", "tenant": {"id": 7, "share": 0.5}, "tags": ["a", null, true]});
    let request = pb::IssueTokensRequest {
        audience: vec!["b".to_owned(), "a".to_owned()],
        scope: vec!["write".to_owned(), "read".to_owned()],
        claims: Some(claims(given.clone())),
        authentication: Some(pb::Authentication {
            auth_time: Some(prost_types::Timestamp { seconds: BEGINNING - 60, nanos: 0 }),
            acr: "aal2".to_owned(),
            amr: vec!["pwd".to_owned(), "otp".to_owned()],
        }),
        device: Some(pb::Device {
            user_agent: "Mozilla/5.0".to_owned(),
            ip_address: "2001:DB8::0:1".to_owned(),
            label: "Anna’s laptop".to_owned(),
        }),
        browser_session: true,
        ..sign_in("alice")
    };
    let answer = server.issue_tokens(request.clone()).await.unwrap();
    let (tokens, session) = (answer.tokens.unwrap(), answer.session.unwrap());
    let claimed = claimed(&tokens.access_token);
    let expected = [
        "acr",
        "amr",
        "aud",
        "auth_time",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "role",
        "scope",
        "sid",
        "sub",
        "tags",
        "tenant",
    ];
    assert_eq!(names(&claimed), BTreeSet::from(expected));
    assert_eq!(claimed["aud"], json!(["b", "a"]));
    assert_eq!(claimed["scope"], json!("write read"));
    assert_eq!(claimed["auth_time"], json!(BEGINNING - 60));
    assert_eq!((&claimed["acr"], &claimed["amr"]), (&json!("aal2"), &json!(["pwd", "otp"])));
    assert_eq!(part(&tokens.access_token, 1).matches(r#""tenant":{"id":7,"share":0.5}"#).count(), 1);

    assert_eq!((&session.audience, &session.scope), (&request.audience, &request.scope));
    assert_eq!((&session.claims, &session.authentication), (&request.claims, &request.authentication));
    let device = session.device.unwrap();
    assert_eq!((device.ip_address.as_str(), device.label.as_str()), ("2001:db8::1", "Anna’s laptop"));
    assert!(session.browser_session);
}

/// R-TOK-04
#[tokio::test]
async fn the_audience_and_scope_left_out_are_the_clients_own() {
    let clients = "[clients.web]\naudience = [\"api\", \"files\"]\nscope = [\"read\"]\n";
    let server = Server::with(Settings::default().clients(clients)).await;
    let claimed = claimed(&server.issue("alice").await.tokens.unwrap().access_token);
    assert_eq!((&claimed["aud"], &claimed["scope"]), (&json!(["api", "files"]), &json!("read")));
}

#[tokio::test]
async fn which_client_must_be_said_where_there_are_several_and_be_a_declared_one() {
    let clients = "[clients.web]\naudience = [\"api\"]\n\n[clients.ios]\naudience = [\"app\"]\n";
    let server = Server::with(Settings::default().clients(clients)).await;
    for client_id in ["", "android"] {
        let request = pb::IssueTokensRequest { client_id: client_id.to_owned(), ..sign_in("alice") };
        let refused = server.issue_tokens(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "GRANT_NOT_PERMITTED"));
        assert_eq!(refused.get_error_details().error_info().unwrap().metadata["field"], "client_id");
    }
    let request = pb::IssueTokensRequest { client_id: "ios".to_owned(), ..sign_in("alice") };
    assert_eq!(claimed(&server.issue_tokens(request).await.unwrap().tokens.unwrap().access_token)["aud"], "app");
}

/// R-TOK-06
#[tokio::test]
async fn a_token_of_more_than_four_kibibytes_is_refused_and_starts_no_session() {
    let server = Server::start().await;
    let database = server.watch().await;
    let before = database.version().await;
    let scope = |length: usize| pb::IssueTokensRequest {
        scope: (0..16).map(|at| format!("{at:02}{}", "x".repeat(length))).collect(),
        ..sign_in("alice")
    };
    let refused = server.issue_tokens(scope(240)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "TOKEN_TOO_LARGE"));
    assert_eq!(database.version().await, before);

    // The greatest that passes is within the limit, and one character more is not.
    let mut length = 140;
    let largest = loop {
        match server.issue_tokens(scope(length)).await {
            Ok(answer) => length = answer.tokens.map(|tokens| (tokens.access_token.len(), length + 1)).unwrap().1,
            Err(refused) => {
                assert_eq!(reason(&refused), "TOKEN_TOO_LARGE");
                break server.issue_tokens(scope(length - 1)).await.unwrap().tokens.unwrap().access_token.len();
            }
        }
    };
    assert!((4096 - 32..=4096).contains(&largest), "{largest}");
}

/// R-TOK-06
#[tokio::test]
async fn a_subject_has_1_to_255_printable_characters() {
    let server = Server::start().await;
    for subject in ["a", " ", "user 42 <anna@example.org>", &"~".repeat(255)] {
        assert_eq!(claimed(&server.issue(subject).await.tokens.unwrap().access_token)["sub"], subject);
    }
    for subject in ["", &"a".repeat(256), "zoë", "a\nb", "a\0", "\u{7f}", "ＡＢ"] {
        let refused = server.issue_tokens(sign_in(subject)).await.unwrap_err();
        assert_eq!((refused.code(), bad_fields(&refused)), (Code::InvalidArgument, vec!["subject".to_owned()]));
    }
}

/// R-SES-01
#[tokio::test]
async fn each_sign_in_makes_a_session_of_its_own_and_adopts_nothing() {
    let server = Server::start().await;
    let first = server.issue("alice").await;
    let (tokens, session) = (first.tokens.unwrap(), first.session.unwrap());
    let mut seen = BTreeSet::from([session.session_id.clone()]);
    for _ in 0..100 {
        let again = server.issue("alice").await.session.unwrap();
        assert!(seen.insert(again.session_id), "a session id came twice");
    }
    // Whatever names a session elsewhere is refused or means nothing here.
    let sid = pb::IssueTokensRequest { claims: Some(claims(json!({"sid": session.session_id}))), ..sign_in("alice") };
    assert_eq!(bad_fields(&server.issue_tokens(sid).await.unwrap_err()), ["claims.sid"]);
    let offered = pb::IssueTokensRequest { request_id: session.session_id.clone(), ..sign_in("alice") };
    let offered = server.issue_tokens(offered).await.unwrap();
    assert!(seen.insert(offered.session.unwrap().session_id));
    assert_ne!(offered.tokens.unwrap().refresh_token, tokens.refresh_token);
}

/// R-TOK-02: the same facts give the same bytes, and the verifier we ship takes them.
#[tokio::test]
async fn equal_requests_give_tokens_that_differ_only_in_what_names_them() {
    let server = Server::start().await;
    let request = |claims: serde_json::Value| pb::IssueTokensRequest {
        claims: Some(crate::support::claims(claims)),
        ..sign_in("alice")
    };
    let texts = [json!({"a": 1.0, "b": {"y": -0.0, "x": 1e3}}), json!({"b": {"x": 1000, "y": 0}, "a": 1})];
    let mut payloads = Vec::new();
    for claims in texts {
        let token = server.issue_tokens(request(claims)).await.unwrap().tokens.unwrap().access_token;
        let read = claimed(&token);
        let mut text = part(&token, 1);
        for own in ["jti", "sid"] {
            text = text.replace(read[own].as_str().unwrap(), "");
        }
        payloads.push(text);
    }
    assert_eq!(payloads[0], payloads[1]);
    assert!(payloads[0].ends_with(r#""a":1,"b":{"x":1000,"y":0}}"#), "{}", payloads[0]);
}
