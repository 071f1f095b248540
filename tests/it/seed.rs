//! What was asked for in the first place, sentence by sentence (DESIGN section 14), as far as it is the service's.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use symbolon::pb::auth as pb;
use symbolon::pb::auth::RevokeReason;
use symbolon::pb::auth::revoke_session_request::Target;

use crate::support::{BEGINNING, Secret, Server, as_text, assert_silent, claimed, files, reason};

/// The fields of a message that are secret, at any depth.
fn secrets(message: &MessageDescriptor, seen: &mut BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if !seen.insert(message.full_name().to_owned()) {
        return found;
    }
    for field in message.fields() {
        if field.options().has_field_by_name("debug_redact") {
            found.insert(field.full_name().to_owned());
        }
        if let Kind::Message(inner) = field.kind() {
            found.extend(secrets(&inner, seen));
        }
    }
    found
}

/// "No tokens at registration": nothing answers a token but the sign-in and the refresh.
#[test]
fn no_tokens_at_registration() {
    let pool = DescriptorPool::decode(symbolon::pb::FILE_DESCRIPTOR_SET).unwrap();
    let methods: Vec<_> = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
    assert!(methods.len() >= 10, "{}", methods.len());
    let mut answering = BTreeSet::new();
    for method in methods {
        let (answer, mut seen) = (method.output(), BTreeSet::new());
        let found = secrets(&answer, &mut seen);
        let has_pair = seen.contains("symbolon.auth.v1.TokenPair");
        assert_eq!(has_pair, !found.is_empty(), "{} answers {found:?}", method.full_name());
        if has_pair {
            assert_eq!(found.len(), 2, "{found:?}");
            answering.insert(method.name().to_owned());
        }
    }
    assert_eq!(answering, BTreeSet::from(["IssueTokens", "RefreshTokens"].map(str::to_owned)));
}

/// "After about 15 minutes it is dead, after about 30 days one signs in again."
#[tokio::test]
async fn an_access_token_lives_for_15_minutes_and_a_session_for_30_days_to_the_second() {
    let server = Server::start().await;
    let tokens = server.issue("alice").await.tokens.unwrap();
    server.pass(15 * 60 - 1);
    assert!(server.introspect(&tokens.access_token).await.active);
    server.pass(1);
    assert!(!server.introspect(&tokens.access_token).await.active);

    // Used every day, so that only the 30 days from the sign-in count.
    let mut token = tokens.refresh_token;
    for day in 1..30 {
        server.clock.set(symbolon::time::Timestamp::from_seconds(BEGINNING + day * 86_400));
        token = server.rotate(&token).await;
    }
    server.pass(86_400 - 1);
    token = server.rotate(&token).await;
    server.pass(1);
    assert_eq!(reason(&server.refresh(&token).await.unwrap_err()), "SESSION_EXPIRED");
}

/// "Signed in once for 30 days": nothing has to be done in between.
#[tokio::test]
async fn closing_the_browser_for_29_days_asks_for_no_password() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let token = issued.tokens.unwrap().refresh_token;
    server.pass(29 * 86_400);
    let answer = server.refresh(&token).await.unwrap();
    let tokens = answer.tokens.unwrap();
    assert_eq!(answer.session.unwrap().session_id, issued.session.unwrap().session_id);
    assert_eq!(claimed(&tokens.access_token)["sub"], "alice");
    assert!(server.introspect(&tokens.access_token).await.active);
}

/// "Renewed after every logout."
#[tokio::test]
async fn after_logout_the_old_token_is_dead_even_inside_the_leeway_and_the_next_one_differs() {
    let server = Server::start().await;
    let before = server.issue("alice").await;
    let session_id = before.session.unwrap().session_id;
    let first = before.tokens.unwrap();
    let second = server.pair(&first.refresh_token).await;
    let request = pb::RevokeSessionRequest {
        target: Some(Target::RefreshToken(second.refresh_token.clone())),
        reason: RevokeReason::SignedOut.into(),
        ..Default::default()
    };
    assert!(server.client().revoke_session(request).await.unwrap().into_inner().revoked);
    for pass in [0, 29, 3600] {
        server.pass(pass);
        for old in [&first, &second] {
            assert_eq!(reason(&server.refresh(&old.refresh_token).await.unwrap_err()), "SESSION_REVOKED");
            assert!(!server.introspect(&old.access_token).await.active);
        }
    }
    let after = server.issue("alice").await;
    let next = after.tokens.unwrap();
    assert_ne!(after.session.unwrap().session_id, session_id);
    for old in [first, second] {
        assert_ne!(next.refresh_token, old.refresh_token);
        assert_ne!(next.access_token, old.access_token);
    }
    server.rotate(&next.refresh_token).await;
}

/// "The access token is dead: ask; a new one comes only if the refresh token is valid, else sign in again."
#[tokio::test]
async fn a_dead_access_token_is_replaced_as_long_as_the_refresh_token_is_valid_and_not_after() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let tokens = issued.tokens.unwrap();
    server.pass(3 * 3600);
    assert!(!server.introspect(&tokens.access_token).await.active);
    let fresh = server.pair(&tokens.refresh_token).await;
    assert!(server.introspect(&fresh.access_token).await.active);
    server.revoke(&issued.session.unwrap().session_id).await;
    let refused = server.refresh(&fresh.refresh_token).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    assert!(refused.message().starts_with("sign in again: "), "{}", refused.message());
}

/// "A reload: `undefined` or an expired access token arrives; the server checks the refresh token": whatever a caller
/// passes on as `Authorization` does not matter.
#[tokio::test]
async fn a_refresh_does_not_look_at_an_access_token() {
    let server = Server::start().await;
    let tokens = server.issue("alice").await.tokens.unwrap();
    server.pass(3600);
    let (expired, mut token) = (format!("Bearer {}", tokens.access_token), tokens.refresh_token);
    for authorization in ["Bearer undefined", "Bearer null", "Bearer ", "", "undefined", "Basic eDp5", &expired] {
        let mut request = tonic::Request::new(crate::support::redeem(&token));
        request.metadata_mut().insert("authorization", authorization.parse().unwrap());
        let answer = server.client().refresh_tokens(request).await.unwrap().into_inner();
        token = answer.tokens.unwrap().refresh_token;
        server.pass(600);
    }
}

/// "The refresh token is the last source of truth, kept only on the server": the row is the truth, and the token itself
/// is kept nowhere.
#[tokio::test]
async fn the_server_keeps_the_session_and_not_the_token() {
    let server = Server::start().await;
    let mut held = vec![server.issue("alice").await.tokens.unwrap().refresh_token];
    for _ in 0..3 {
        held.push(server.rotate(held.last().unwrap()).await);
        server.pass(600);
    }
    let dir = server.stop().await;
    let secrets: Vec<_> = held.iter().flat_map(|token| Secret::refresh_token("a refresh token", token)).collect();
    let files = files(dir.path());
    assert!(files.iter().any(|(name, bytes)| name.ends_with("symbolon.db") && !as_text(bytes).is_empty()));
    for (name, bytes) in files {
        assert_silent(&name, &bytes, &secrets);
    }
}

/// "Generated, stored, checked and verified": every decision about a session can be told.
#[tokio::test]
async fn the_server_can_say_of_every_session_why_it_is_as_it_is() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let (session_id, first) = (issued.session.unwrap().session_id, issued.tokens.unwrap().refresh_token);
    assert!(server.explain(&session_id).await.summary.starts_with("active: refresh token 1 is current since "));
    server.rotate(&first).await;
    server.pass(31);
    server.rotate(&first).await;
    let explained = server.explain(&session_id).await;
    let kinds: Vec<_> = explained.decisions.iter().map(|decision| decision.kind().as_str_name()).collect();
    assert_eq!(kinds, ["DECISION_KIND_ISSUED", "DECISION_KIND_RECOVERED"]);
    assert!(explained.summary.starts_with("active: refresh token 2 is current since "), "{}", explained.summary);
}
