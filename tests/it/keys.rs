//! Master keys and what is sealed under them: the wrong one starts nothing, and a new one signs nobody out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sea_orm::ConnectionTrait;
use symbolon::keys::ring::KeyState;
use symbolon::pb::auth::{GetJwksRequest, IntrospectTokenRequest};
use symbolon::store::StoredKey;
use tempfile::TempDir;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{
    Indoors, MASTER_KEY, OTHER_MASTER_KEY, Server, Settings, active_key, hex, raw, reason, redeem, subject,
};

/// A database that was used with one master key, and its active signing key.
async fn used() -> (TempDir, StoredKey) {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    indoors.issue(subject("alice")).await.unwrap();
    let key = active_key(&indoors.service.store).await;
    indoors.close().await;
    (dir, key)
}

/// The key that signs next.
async fn pending_key(dir: &TempDir) -> StoredKey {
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let keys = indoors.service.store.signing_keys(false).await.unwrap();
    indoors.close().await;
    keys.into_iter().find(|key| key.member.state == KeyState::Pending).unwrap()
}

/// Why it does not start.
async fn refused(dir: &TempDir, master_keys: &str, env: &[(&str, &str)]) -> String {
    match Indoors::open(dir.path(), master_keys, env).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

async fn execute(dir: &TempDir, sql: &str) {
    let raw = raw(&dir.path().join("symbolon.db")).await;
    raw.execute_unprepared(sql).await.unwrap();
    raw.close().await.unwrap();
}

/// R-KEY-05
#[tokio::test]
async fn two_signing_keys_with_exchanged_ciphertexts_start_nothing() {
    let (dir, active) = Box::pin(used()).await;
    let other = pending_key(&dir).await;
    let (other_id, sealed) = (other.member.public.key_id(), other.sealed.unwrap());
    let public = other.member.public.verifying_key().as_bytes();
    let exchange = |key_id: &str, bytes: &[u8]| {
        format!("UPDATE signing_keys SET sealed_seed = X'{}' WHERE key_id = '{key_id}';", hex(bytes))
    };
    let key_id = active.member.public.key_id();
    execute(&dir, &(exchange(key_id, &sealed.bytes) + &exchange(other_id, &active.sealed.unwrap().bytes))).await;
    let sentence = refused(&dir, MASTER_KEY, &[]).await;
    assert!(sentence.contains(key_id) && sentence.contains("not sealed under master key 1"), "{sentence}");

    // Another key's public half beside it does not help: the id is the key's thumbprint.
    execute(&dir, &format!("UPDATE signing_keys SET public_key = X'{}' WHERE key_id = '{key_id}'", hex(public))).await;
    let sentence = refused(&dir, MASTER_KEY, &[]).await;
    assert_eq!(sentence, format!("impossible row: signing_keys.public_key of {key_id}"));
}

/// R-KEY-05
#[tokio::test]
async fn another_master_key_under_a_known_id_starts_nothing() {
    let (dir, _) = Box::pin(used()).await;
    let impostor = format!("1:{}", STANDARD.encode([0x55; 32]));
    for keys in [impostor.clone(), format!("{OTHER_MASTER_KEY},{impostor}")] {
        let sentence = refused(&dir, &keys, &[]).await;
        assert!(sentence.contains("master key 1 is not the key that was used under this id before"), "{sentence}");
        assert!(!sentence.contains(&impostor[2..]), "{sentence}");
    }
    Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
}

/// R-KEY-05
#[tokio::test]
async fn without_the_master_key_that_sealed_the_active_signing_key_nothing_starts() {
    let (dir, active) = Box::pin(used()).await;
    let sentence = refused(&dir, OTHER_MASTER_KEY, &[]).await;
    let key_id = active.member.public.key_id();
    assert!(sentence.contains(key_id), "{sentence}");
    assert!(sentence.contains("sealed under master key 1, which this process does not hold"), "{sentence}");
    assert!(sentence.contains("SYMBOLON_MASTER_KEYS"), "{sentence}");
    for keys in [format!("{OTHER_MASTER_KEY},{MASTER_KEY}"), MASTER_KEY.to_owned()] {
        Indoors::open(dir.path(), &keys, &[]).await.unwrap().close().await;
    }
}

/// R-KEY-05
#[tokio::test]
async fn another_issuer_on_the_same_database_starts_nothing_and_is_told_whose_it_is() {
    let (dir, _) = Box::pin(used()).await;
    let other = [("SYMBOLON_ISSUER", "https://id.example")];
    let sentence = refused(&dir, MASTER_KEY, &other).await;
    assert!(sentence.contains("belongs to the issuer http://localhost:8080, not https://id.example"), "{sentence}");
    assert!(sentence.contains("set SYMBOLON_ISSUER=http://localhost:8080"), "{sentence}");
    Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
}

/// R-KEY-06
#[tokio::test]
async fn a_master_key_added_as_second_and_then_promoted_signs_nobody_out_and_neither_does_the_way_back() {
    let both = format!("{MASTER_KEY},{OTHER_MASTER_KEY}");
    let promoted = format!("{OTHER_MASTER_KEY},{MASTER_KEY}");
    let mut server = Server::start().await;
    let keys_before = server.client().get_jwks(GetJwksRequest {}).await.unwrap().into_inner().keys;
    let mut users = Vec::new();
    for (stage, keys) in [MASTER_KEY, &both, &promoted, &both, &promoted].into_iter().enumerate() {
        server = server.restart(Settings::default().master_keys(keys)).await;
        users.push(server.issue(&format!("user {stage}")).await.tokens.unwrap());
        for user in &mut users {
            let active = IntrospectTokenRequest { token: user.access_token.clone() };
            assert!(server.client().introspect_token(active).await.unwrap().into_inner().active, "{stage}");
            let spent = user.refresh_token.clone();
            *user = server.refresh(&spent).await.unwrap().tokens.unwrap();
            // A retry, even one that crosses the change, is a replay: nothing forks.
            let replayed = server.refresh(&spent).await.unwrap();
            assert_eq!(replayed.tokens.unwrap().refresh_token, user.refresh_token, "{stage}");
        }
        server.pass(10);
    }
    let keys = server.client().get_jwks(GetJwksRequest {}).await.unwrap().into_inner().keys;
    assert_eq!(keys, keys_before);
}

/// R-KEY-06
#[tokio::test]
async fn a_retry_that_crosses_a_promotion_has_other_bytes_and_the_same_generation_and_both_work() {
    let server = Server::start().await;
    let first = server.issue("alice").await.tokens.unwrap().refresh_token;
    let under_one = server.rotate(&first).await;
    let promoted = format!("{OTHER_MASTER_KEY},{MASTER_KEY}");
    let server = server.restart(Settings::default().master_keys(&promoted)).await;
    let under_two = server.rotate(&first).await;
    assert_ne!(under_one, under_two);
    let third = server.rotate(&under_one).await;
    assert_eq!(server.rotate(&under_two).await, third);
    server.rotate(&third).await;
}

/// R-KEY-06
#[tokio::test]
async fn a_token_of_a_master_key_this_server_lacks_is_kept_and_one_of_a_retired_key_is_over() {
    let both = format!("{MASTER_KEY},{OTHER_MASTER_KEY}");
    let server = Server::with(Settings::default().master_keys(&both)).await;
    let promoted = format!("{OTHER_MASTER_KEY},{MASTER_KEY}");
    let server = server.restart(Settings::default().master_keys(&promoted)).await;
    let token = server.issue("alice").await.tokens.unwrap().refresh_token;

    // The signing key is sealed under the first one, so this server starts; it cannot read the token.
    let server = server.restart(Settings::default()).await;
    for _ in 0..3 {
        let refused = server.refresh(&token).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "MASTER_KEY_UNKNOWN"));
        assert!(refused.get_error_details().retry_info().is_some_and(|info| info.retry_delay.is_some()));
    }
    let server = server.restart(Settings::default().env("SYMBOLON_RETIRED_MASTER_KEY_IDS", "2")).await;
    let over = server.client().refresh_tokens(redeem(&token)).await.unwrap_err();
    assert_eq!((over.code(), reason(&over).as_str()), (Code::Unauthenticated, "REFRESH_TOKEN_INVALID"));

    let server = server.restart(Settings::default().master_keys(&both)).await;
    server.rotate(&token).await;
}
