//! Refresh tokens of another kind, case, length or spelling: refused with one sentence, and nothing happens to the
//! session they name.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon::pb::auth as pb;
use symbolon::pb::auth::revoke_session_request::Target;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::introspect::assert_inactive;
use crate::support::{Server, bad_fields, reason};

/// Everything a caller is told of a refusal.
fn told(refused: &Status) -> (Code, String, String, usize) {
    let info = refused.get_error_details().error_info().unwrap().clone();
    (refused.code(), refused.message().to_owned(), info.reason, info.metadata.len())
}

async fn revoke(server: &Server, token: &str) -> Result<bool, Status> {
    let request =
        pb::RevokeSessionRequest { target: Some(Target::RefreshToken(token.to_owned())), ..Default::default() };
    server.client().revoke_session(request).await.map(|answer| answer.into_inner().revoked)
}

/// A refresh token of these bytes, whatever they are.
fn spelled(bytes: &[u8]) -> String {
    format!("sr1_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// Everything but the very token, of which none may do anything.
fn mangled(good: &str) -> Vec<String> {
    let bytes = URL_SAFE_NO_PAD.decode(&good[4..]).unwrap();
    let mut mangled: Vec<String> = Vec::new();
    // Each bit of session id, generation and tag; the master key id's are another matter.
    for bit in 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        mangled.push(spelled(&flipped));
    }
    mangled.extend((0..good.len()).map(|length| good[..length].to_owned()).filter(|text| !text.is_empty()));
    mangled.extend((1..=4).map(|more| format!("{good}{}", "A".repeat(more))));
    let (head, tag) = bytes.split_at(bytes.len() - 16);
    // The generation with a byte more than it needs, zero, and beyond 32 bits.
    let generation = &head[17..];
    let longer = [&[generation[0] | 0x80, 0][..]].concat();
    for varint in [&longer[..], &[0], &[0x80, 0], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[]] {
        mangled.push(spelled(&[&head[..17], varint, tag].concat()));
    }
    mangled.push(spelled(&[head, &[0; 16]].concat()));
    mangled.push(spelled(&[&[0], &bytes[1..]].concat()));
    mangled.extend([
        good.to_uppercase(),
        // In lower case the master key id would be another.
        good[..8].to_owned() + &good[8..].to_lowercase(),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("Bearer {good}"),
        format!("\"{good}\""),
        good.replacen("sr1_", "SR1_", 1),
        good.replacen("sr1_", "sr2_", 1),
        good.replacen("sr1_", "", 1),
        good.replacen('_', "%5F", 1),
        format!("{good}\u{200b}"),
        "undefined".to_owned(),
        "null".to_owned(),
        "A".repeat(256),
        "sr1_".to_owned() + &"A".repeat(60_000),
    ]);
    mangled.retain(|text| text != good);
    mangled
}

/// R-RT-06, R-RPC-01
#[tokio::test]
async fn a_mangled_token_gets_one_answer_and_never_ends_the_session_it_names() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let (first, session_id) = (issued.tokens.unwrap().refresh_token, issued.session.unwrap().session_id);
    let current = server.rotate(&first).await;
    // Long after the burst, when a token out of step would be theft.
    server.pass(3600);
    let database = server.watch().await;
    let before = database.version().await;
    let mut answers = BTreeSet::new();
    for good in [&first, &current] {
        for text in mangled(good) {
            let refused = server.refresh(&text).await.unwrap_err();
            answers.insert(format!("{:?}", told(&refused)));
            assert!(!revoke(&server, &text).await.expect(&text), "{text}");
        }
    }
    let sentence = "sign in again: this is no refresh token of this issuer".to_owned();
    let expected = (Code::Unauthenticated, sentence, "REFRESH_TOKEN_INVALID".to_owned(), 0_usize);
    assert_eq!(answers, BTreeSet::from([format!("{expected:?}")]));
    assert_eq!(database.version().await, before);
    assert_eq!(server.session(&session_id).await.unwrap().state(), pb::SessionState::Active);
    server.rotate(&current).await;
}

/// R-RT-06: one flipped byte may name a master key that another replica holds.
#[tokio::test]
async fn under_another_master_key_a_token_is_kept_for_later_and_ends_nothing() {
    let server = Server::start().await;
    let good = server.issue("alice").await.tokens.unwrap().refresh_token;
    let mut bytes = URL_SAFE_NO_PAD.decode(&good[4..]).unwrap();
    let database = server.watch().await;
    let before = database.version().await;
    for id in 2..=255 {
        bytes[0] = id;
        let text = spelled(&bytes);
        let refused = server.refresh(&text).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "MASTER_KEY_UNKNOWN"));
        assert!(refused.get_error_details().retry_info().unwrap().retry_delay.is_some());
        // A sign-out that ended nothing must not look like one.
        assert_eq!(reason(&revoke(&server, &text).await.unwrap_err()), "MASTER_KEY_UNKNOWN");
    }
    assert_eq!(database.version().await, before);
    server.rotate(&good).await;
}

/// R-RPC-01
#[tokio::test]
async fn an_empty_token_is_a_bad_field() {
    let server = Server::start().await;
    assert_eq!(bad_fields(&server.refresh("").await.unwrap_err()), ["refresh_token"]);
    assert_inactive(&server, "", "empty").await;
}

/// R-REV-01: and that never revokes anything.
#[tokio::test]
async fn neither_kind_of_token_is_taken_for_the_other() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let (tokens, session_id) = (issued.tokens.unwrap(), issued.session.unwrap().session_id);
    let database = server.watch().await;
    let before = database.version().await;
    let refused = server.refresh(&tokens.access_token).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "REFRESH_TOKEN_INVALID"));
    assert!(!revoke(&server, &tokens.access_token).await.unwrap());
    // One dressed as the other.
    let parts: Vec<_> = tokens.access_token.split('.').collect();
    let dressed = [
        format!("sr1_{}", tokens.access_token),
        format!("{}.{}.{}", parts[0], parts[1], tokens.refresh_token),
        format!("{}.{}.{}", parts[0], &tokens.refresh_token[4..], parts[2]),
        format!("{}.{}", tokens.refresh_token, tokens.access_token),
        tokens.refresh_token[4..].to_owned(),
    ];
    for text in dressed {
        assert_inactive(&server, &text, "dressed as the other").await;
        assert_eq!(reason(&server.refresh(&text).await.unwrap_err()), "REFRESH_TOKEN_INVALID");
        assert!(!revoke(&server, &text).await.unwrap());
    }
    // A session's id is no token.
    assert_inactive(&server, &session_id, "a session id").await;
    assert!(!revoke(&server, &session_id).await.unwrap());
    assert_eq!(database.version().await, before);
    server.rotate(&tokens.refresh_token).await;
}
