use symbolon::keys::{MasterKeys, SigningKey};
use symbolon::store::Error;

use super::lists::of;
use super::{at, bare, decision, whole};
use crate::support::{Database, Dice, MASTER_KEY, hex};

/// R-RT-05
#[tokio::test]
async fn a_session_row_that_cannot_be_is_an_error_that_names_it_and_never_a_session() {
    let cases = [
        ("revoke_reason", "revoke_reason = 'bored'"),
        ("revoke_reason", "revoke_reason = ''"),
        ("revoked_at", "revoke_reason = NULL"),
        ("revoked_at", "revoked_by = NULL"),
        ("revoked_at", "revoked_at = NULL"),
        ("revoked_at", "revoked_at = NULL, revoked_by = NULL"),
        ("generation", "generation = -1"),
        ("generation", "generation = 0"),
        ("generation", "generation = 4294967296"),
        ("recovered_generation", "recovered_generation = -1"),
        ("recovery_streak", "recovery_streak = -1"),
        ("burst_generation", "burst_generation = -9223372036854775807"),
        ("access_token_ttl", "access_token_ttl = -900"),
        ("idle_ttl", "idle_ttl = 4294967296"),
        ("audience", "audience = ''"),
        ("claims", "claims = '{'"),
        ("claims", "claims = ''"),
        ("claims", "claims = '[]'"),
        ("claims", "claims = 'null'"),
        ("decisions", "decisions = '{}'"),
        ("decisions", "decisions = '[{}]'"),
        ("decisions", "decisions = replace(decisions, '\"presented\":3', '\"presented\":-3')"),
    ];
    for database in &Database::each().await {
        let (store, kind) = (&database.store, database.kind);
        let dice = Dice::seeded(1);
        for (column, change) in cases {
            database.execute("DELETE FROM sessions").await;
            let mut session = whole(&dice);
            session.subject = "alice".to_owned();
            session.decisions = vec![decision(at(1), symbolon::session::DecisionKind::Recovered)];
            store.create(&session, None).await.unwrap();
            store.create(&bare(&dice, "bob", at(0)), None).await.unwrap();
            database.execute(&format!("UPDATE sessions SET {change} WHERE subject = 'alice'")).await;

            let expected = format!("impossible row: sessions.{column} of {}", session.id);
            let error = store.session(session.id).await.unwrap_err();
            assert!(matches!(error, Error::Impossible { .. }), "{kind} {change}: {error:?}");
            assert_eq!(error.to_string(), expected, "{kind} {change}");
            let error = store.list(of("alice"), None, None, 10).await.unwrap_err();
            assert_eq!(error.to_string(), expected, "{kind} {change}");
            assert_eq!(store.list(of("bob"), None, None, 10).await.unwrap().len(), 1, "{kind} {change}");
        }
    }
}

/// R-KEY-05
#[tokio::test]
async fn a_signing_key_row_that_cannot_be_is_an_error_that_names_it_and_never_a_key() {
    let other = SigningKey::generate(&Dice::seeded(99)).public().verifying_key().to_bytes();
    let other = hex(&other);
    let cases = [
        ("state", "state = 'busy'".to_owned()),
        ("algorithm", "algorithm = 'Ed25519'".to_owned()),
        ("public_key", "public_key = {}".to_owned()),
        ("public_key", format!("public_key = {{{other}}}")),
        ("master_key_id", "master_key_id = 256".to_owned()),
        ("master_key_id", "master_key_id = -1".to_owned()),
    ];
    for database in &Database::each().await {
        let (store, kind) = (&database.store, database.kind);
        for (column, change) in &cases {
            database.execute("DELETE FROM signing_keys").await;
            let keys = MasterKeys::parse(MASTER_KEY).unwrap();
            let dice = Dice::seeded(1);
            let key = SigningKey::generate(&dice);
            let sealed = key.seal(&keys, "https://a", &dice);
            store.publish_key(key.public(), &sealed, at(0)).await.unwrap();
            let change = database.bytes(change);
            database.execute(&format!("UPDATE signing_keys SET {change}")).await;
            let error = store.signing_keys(true).await.unwrap_err();
            let expected = format!("impossible row: signing_keys.{column} of {}", key.public().key_id());
            assert_eq!(error.to_string(), expected, "{kind} {change}");
        }
    }
}
