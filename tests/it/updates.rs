//! `UpdateSession`: what may be changed after the sign-in, and that nothing else is.

use serde_json::json;
use symbolon::pb::auth as pb;
use tonic::Code;

use crate::support::{Server, bad_fields, claimed, claims, reason, seconds, sign_in};

fn of(session_id: &str) -> pb::UpdateSessionRequest {
    pb::UpdateSessionRequest { session_id: session_id.to_owned(), claims: None, label: None }
}

async fn session(server: &Server, given: serde_json::Value) -> (String, pb::TokenPair) {
    let device = Some(pb::Device { user_agent: "Firefox".to_owned(), label: "desk".to_owned(), ..Default::default() });
    let request = pb::IssueTokensRequest { claims: Some(claims(given)), device, ..sign_in("alice") };
    let issued = server.issue_tokens(request).await.unwrap();
    (issued.session.unwrap().session_id, issued.tokens.unwrap())
}

#[tokio::test]
async fn claims_are_replaced_as_a_whole_and_the_next_token_and_a_replay_carry_the_new_ones() {
    let server = Server::start().await;
    let (session_id, tokens) = session(&server, json!({"role": "reader", "team": 7})).await;
    let second = server.pair(&tokens.refresh_token).await;
    let new = json!({"role": "editor"});
    let before = server.session(&session_id).await.unwrap();
    let request = pb::UpdateSessionRequest { claims: Some(claims(new.clone())), ..of(&session_id) };
    let updated = server.update(request).await.unwrap();
    assert_eq!(updated, pb::Session { claims: Some(claims(new)), ..before });
    assert_eq!(server.session(&session_id).await.unwrap(), updated);

    let replayed = server.pair(&tokens.refresh_token).await;
    assert_eq!(replayed.refresh_token, second.refresh_token);
    let (old, new) = (claimed(&second.access_token), claimed(&replayed.access_token));
    assert_eq!((&old["role"], &new["role"], new.get("team")), (&json!("reader"), &json!("editor"), None));
    assert_ne!(old["jti"], new["jti"], "other facts, another name");
    assert_eq!((&old["iat"], &old["exp"]), (&new["iat"], &new["exp"]));
    // What was handed out before does not change, and is still good.
    assert!(server.introspect(&second.access_token).await.active);

    let third = server.pair(&second.refresh_token).await;
    assert_eq!(claimed(&third.access_token)["role"], "editor");
    server.update(pb::UpdateSessionRequest { claims: Some(claims(json!({}))), ..of(&session_id) }).await.unwrap();
    let fourth = claimed(&server.pair(&third.refresh_token).await.access_token);
    assert_eq!(fourth.get("role"), None);
}

#[tokio::test]
async fn a_label_is_set_removed_or_left_alone() {
    let server = Server::start().await;
    let (session_id, tokens) = session(&server, json!({"role": "reader"})).await;
    let label = async |label: Option<&str>| {
        let request = pb::UpdateSessionRequest { label: label.map(str::to_owned), ..of(&session_id) };
        let session = server.update(request).await.unwrap();
        assert_eq!(session.claims, Some(claims(json!({"role": "reader"}))), "claims left unset stay");
        let device = session.device.unwrap();
        assert_eq!(device.user_agent, "Firefox");
        device.label
    };
    assert_eq!(label(Some("Anna’s laptop")).await, "Anna’s laptop");
    assert_eq!(label(None).await, "Anna’s laptop");
    server.rotate(&tokens.refresh_token).await;
    assert_eq!(label(None).await, "Anna’s laptop");
    assert_eq!(label(Some("")).await, "");
    assert_eq!(label(None).await, "");
}

#[tokio::test]
async fn a_session_that_is_over_or_unknown_is_not_found() {
    let server = Server::start().await;
    let (revoked, _) = session(&server, json!({})).await;
    assert!(server.revoke(&revoked).await);
    let short = pb::IssueTokensRequest { session_ttl: seconds(60), ..sign_in("alice") };
    let expired = server.issue_tokens(short).await.unwrap().session.unwrap().session_id;
    server.pass(60);
    let database = server.watch().await;
    let before = database.version().await;
    for session_id in [revoked.as_str(), &expired, "00000000-0000-8000-8000-000000000000"] {
        let request = pb::UpdateSessionRequest { label: Some("x".to_owned()), ..of(session_id) };
        let refused = server.update(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "SESSION_NOT_FOUND"));
    }
    assert_eq!(database.version().await, before);
}

/// R-TOK-05, R-RPC-01
#[tokio::test]
async fn claims_are_as_limited_as_at_the_sign_in_and_a_refusal_changes_nothing() {
    let server = Server::start().await;
    let (session_id, _) = session(&server, json!({"role": "reader"})).await;
    let database = server.watch().await;
    let before = database.version().await;
    let request = pb::UpdateSessionRequest {
        session_id: "x".to_owned(),
        claims: Some(claims(json!({"Sub": "mallory", "deep": {"a": {"b": {"c": []}}}}))),
        label: Some("a\nb".to_owned()),
    };
    let refused = server.update(request).await.unwrap_err();
    assert_eq!(bad_fields(&refused), ["claims.Sub", "claims.deep.a.b.c", "label", "session_id"]);
    for bad in [json!({"ISS": "evil"}), json!({"a": "x".repeat(2048)}), json!({"n": 1e300})] {
        let request = pb::UpdateSessionRequest { claims: Some(claims(bad)), ..of(&session_id) };
        assert_eq!(server.update(request).await.unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(database.version().await, before);
}

/// R-TOK-06: else the session's next token could not be minted.
#[tokio::test]
async fn claims_that_make_the_token_too_large_are_refused_and_the_session_lives_on() {
    let server = Server::start().await;
    let scope = (0..10).map(|at| format!("{at}{}", "s".repeat(200))).collect();
    let issued = server.issue_tokens(pb::IssueTokensRequest { scope, ..sign_in("alice") }).await.unwrap();
    let (session_id, token) = (issued.session.unwrap().session_id, issued.tokens.unwrap().refresh_token);
    let database = server.watch().await;
    let before = database.version().await;
    let large = pb::UpdateSessionRequest {
        claims: Some(claims(json!({"a": "x".repeat(1500)}))),
        label: Some("new".to_owned()),
        ..of(&session_id)
    };
    let refused = server.update(large).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "TOKEN_TOO_LARGE"));
    assert_eq!(database.version().await, before);
    let next = server.pair(&token).await;
    assert_eq!(claimed(&next.access_token).get("a"), None);
}

/// Changes and refreshes of one session at once lose nothing of each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_set_while_the_session_is_refreshed_is_kept() {
    let server = Server::start().await;
    let (session_id, tokens) = session(&server, json!({})).await;
    let mut token = tokens.refresh_token;
    for round in 0..50 {
        let label = format!("round {round}");
        // A narrowed refresh from another browser: it writes the device, and goes the slow way.
        let refresh = server.refresh_tokens(pb::RefreshTokensRequest {
            audience: vec!["api".to_owned()],
            device: Some(pb::Device { user_agent: format!("browser {round}"), ..Default::default() }),
            ..crate::support::redeem(&token)
        });
        let update = server.update(pb::UpdateSessionRequest { label: Some(label.clone()), ..of(&session_id) });
        let (refreshed, updated) = tokio::join!(refresh, update);
        updated.unwrap();
        token = refreshed.unwrap().tokens.unwrap().refresh_token;
        let device = server.session(&session_id).await.unwrap().device.unwrap();
        assert_eq!((device.user_agent, device.label), (format!("browser {round}"), label));
        server.pass(600);
    }
}
