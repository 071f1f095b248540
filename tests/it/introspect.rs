//! `IntrospectToken`: what is good is described, and whatever is not gets the same answer, byte for byte.

use prost::Message;
use serde_json::json;
use symbolon::pb::auth as pb;
use symbolon::pb::auth::key_service_client::KeyServiceClient;
use tonic::Code;

use crate::support::{BEGINNING, MASTER_KEY, OTHER_MASTER_KEY, Server, Settings, claimed, claims, seconds, sign_in};

/// The one answer for everything that is not good.
pub(crate) async fn assert_inactive(server: &Server, token: &str, why: &str) {
    let answer = server.introspect(token).await;
    let inactive = pb::IntrospectTokenResponse { active: false, ..Default::default() };
    assert_eq!(answer.encode_to_vec(), inactive.encode_to_vec(), "{why}: {token:.120}");
}

fn rich() -> pb::IssueTokensRequest {
    pb::IssueTokensRequest {
        audience: vec!["api".to_owned(), "files".to_owned()],
        scope: vec!["read".to_owned(), "write".to_owned()],
        claims: Some(claims(json!({"role": "editor", "n": [1, 0.5, null]}))),
        authentication: Some(pb::Authentication {
            auth_time: Some(prost_types::Timestamp { seconds: BEGINNING - 5, nanos: 0 }),
            acr: "aal2".to_owned(),
            amr: vec!["pwd".to_owned()],
        }),
        ..sign_in("alice")
    }
}

/// R-REV-01: what RFC 7662 names, as the token says it.
#[tokio::test]
async fn a_good_access_token_is_described_as_it_is() {
    let server = Server::start().await;
    let issued = server.issue_tokens(rich()).await.unwrap();
    let (tokens, session) = (issued.tokens.unwrap(), issued.session.unwrap());
    let expected = pb::IntrospectTokenResponse {
        active: true,
        scope: "read write".to_owned(),
        client_id: "web".to_owned(),
        token_type: "Bearer".to_owned(),
        exp: BEGINNING + 900,
        iat: BEGINNING,
        sub: "alice".to_owned(),
        aud: vec!["api".to_owned(), "files".to_owned()],
        iss: "http://localhost:8080".to_owned(),
        jti: claimed(&tokens.access_token)["jti"].as_str().unwrap().to_owned(),
        sid: session.session_id,
        acr: "aal2".to_owned(),
        amr: vec!["pwd".to_owned()],
        auth_time: BEGINNING - 5,
        claims: rich().claims,
    };
    assert_eq!(server.introspect(&tokens.access_token).await, expected);
    // Rotations and narrowings do not end an access token before its time.
    server.pass(899);
    server.rotate(&tokens.refresh_token).await;
    assert_eq!(server.introspect(&tokens.access_token).await, expected);
}

/// R-REV-01
#[tokio::test]
async fn of_the_refresh_tokens_only_the_current_one_is_active() {
    let server = Server::start().await;
    let issued = server.issue_tokens(rich()).await.unwrap();
    let (first, session) = (issued.tokens.unwrap().refresh_token, issued.session.unwrap());
    server.pass(60);
    let second = server.rotate(&first).await;
    server.pass(60);
    let third = server.rotate(&second).await;
    let database = server.watch().await;
    let before = database.version().await;
    let expected = pb::IntrospectTokenResponse {
        active: true,
        scope: "read write".to_owned(),
        client_id: "web".to_owned(),
        token_type: "refresh_token".to_owned(),
        exp: BEGINNING + 30 * 86_400,
        iat: BEGINNING + 120,
        sub: "alice".to_owned(),
        aud: session.audience,
        iss: "http://localhost:8080".to_owned(),
        jti: String::new(),
        sid: session.session_id,
        acr: "aal2".to_owned(),
        amr: vec!["pwd".to_owned()],
        auth_time: BEGINNING - 5,
        claims: rich().claims,
    };
    assert_eq!(server.introspect(&third).await, expected);
    // Neither one that would be replayed, nor one that would end the session: asking is not presenting.
    server.pass(600);
    for (spent, why) in [(&second, "the predecessor"), (&first, "an older one")] {
        assert_inactive(&server, spent, why).await;
    }
    assert_eq!(database.version().await, before);
    server.rotate(&third).await;
}

/// R-REV-01
#[tokio::test]
async fn tokens_of_a_session_that_is_over_are_inactive_at_once() {
    let server = Server::start().await;
    let revoked = server.issue("alice").await;
    let revoked_tokens = revoked.tokens.unwrap();
    server.revoke(&revoked.session.unwrap().session_id).await;
    let reused = server.issue("alice").await.tokens.unwrap();
    let second = server.pair(&reused.refresh_token).await;
    let third = server.pair(&second.refresh_token).await;
    server.pass(120);
    server.refresh(&reused.refresh_token).await.unwrap_err();
    let expired = pb::IssueTokensRequest { session_ttl: seconds(60), ..sign_in("alice") };
    let expired = server.issue_tokens(expired).await.unwrap().tokens.unwrap();
    server.pass(60);
    for (pair, why) in [(revoked_tokens, "revoked"), (third, "ended by reuse"), (expired, "expired")] {
        assert_inactive(&server, &pair.access_token, why).await;
        assert_inactive(&server, &pair.refresh_token, why).await;
    }
}

/// R-REV-01: a token that was found good before is asked about again: all but its signature is judged anew.
#[tokio::test]
async fn what_was_good_a_moment_ago_is_judged_anew() {
    let server = Server::start().await;
    let issued = server.issue_tokens(rich()).await.unwrap();
    let (token, session) = (issued.tokens.unwrap().access_token, issued.session.unwrap().session_id);
    let first = server.introspect(&token).await;
    assert!(first.active);
    assert_eq!(server.introspect(&token).await, first);
    // Another spelling is another token, however good this one was.
    for mangled in
        [format!("{token}="), format!("{token} "), token.replacen('.', "..", 1), token[..token.len() - 1].into()]
    {
        assert_inactive(&server, &mangled, "mangled").await;
    }
    server.revoke(&session).await;
    assert_inactive(&server, &token, "revoked").await;

    let token = server.issue("bob").await.tokens.unwrap().access_token;
    assert!(server.introspect(&token).await.active);
    let mut keys = KeyServiceClient::new(server.channel());
    let ring = keys.list_signing_keys(pb::ListSigningKeysRequest::default()).await.unwrap().into_inner().keys;
    let active = ring.iter().find(|key| key.state() == pb::SigningKeyState::Active).unwrap().key_id.clone();
    keys.revoke_signing_key(pb::RevokeSigningKeyRequest { key_id: active }).await.unwrap();
    assert_inactive(&server, &token, "its key was compromised").await;
}

/// R-REV-01: boundary of `exp`, which is the first second at which a token is not good any more.
#[tokio::test]
async fn an_access_token_is_good_until_the_second_before_its_exp() {
    let server = Server::start().await;
    let tokens = server.issue("alice").await.tokens.unwrap();
    server.pass(899);
    assert!(server.introspect(&tokens.access_token).await.active);
    server.pass(1);
    assert_inactive(&server, &tokens.access_token, "at its exp").await;
    assert!(server.introspect(&tokens.refresh_token).await.active);
}

/// R-REV-01: the same signing key and the same master key, under another name.
#[tokio::test]
async fn tokens_of_a_lookalike_issuer_are_inactive_and_refresh_nothing() {
    let server = Server::start().await;
    let issuers = [
        "http://localhost:8080/",
        "https://localhost:8080",
        "http://localhost:8081",
        "http://localhost",
        "http://127.0.0.1:8080",
    ];
    for issuer in issuers {
        let other = Server::with(Settings::default().env("SYMBOLON_ISSUER", issuer)).await;
        let tokens = other.issue("alice").await.tokens.unwrap();
        assert!(other.introspect(&tokens.access_token).await.active);
        assert_inactive(&server, &tokens.access_token, issuer).await;
        assert_inactive(&server, &tokens.refresh_token, issuer).await;
        assert_eq!(server.refresh(&tokens.refresh_token).await.unwrap_err().code(), Code::Unauthenticated);
    }
}

/// R-REV-01
#[tokio::test]
async fn a_refresh_token_under_a_retired_or_unknown_master_key_is_inactive() {
    let promoted = format!("{OTHER_MASTER_KEY},{MASTER_KEY}");
    let server = Server::start().await;
    let under_first = server.issue("alice").await.tokens.unwrap().refresh_token;
    let server = server.restart(Settings::default().master_keys(&promoted)).await;
    server.pass(1);
    let under_second = server.issue("alice").await.tokens.unwrap().refresh_token;
    assert!(server.introspect(&under_first).await.active && server.introspect(&under_second).await.active);

    let retired = Settings::default().master_keys(&promoted).env("SYMBOLON_RETIRED_MASTER_KEY_IDS", "1");
    let server = server.restart(retired).await;
    assert_inactive(&server, &under_first, "retired").await;
    assert!(server.introspect(&under_second).await.active);

    let server = server.restart(Settings::default()).await;
    assert_inactive(&server, &under_second, "unknown").await;
    assert!(server.introspect(&under_first).await.active);
}
