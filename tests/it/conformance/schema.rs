use symbolon::store::{OpenError, Schema};

use crate::support::Database;

const FUTURE: &str = "m29991231_000001_from_the_future";

/// R-OPS-04
#[tokio::test]
async fn an_empty_database_is_behind_and_is_migrated_once() {
    for Database { store, kind, .. } in &Database::each_empty().await {
        let steps = symbolon_migrations::names();
        assert_eq!(store.schema().await.unwrap(), Schema::Behind(steps.clone()), "{kind}");
        let refused = store.check_schema().await.unwrap_err();
        assert!(
            refused.to_string().contains("symbolon migrate up") && refused.to_string().contains(&steps[0]),
            "{kind}"
        );

        assert_eq!(store.migrate().await.unwrap(), steps, "{kind}");
        assert_eq!(store.schema().await.unwrap(), Schema::Current, "{kind}");
        store.check_schema().await.unwrap();
        assert!(store.migrate().await.unwrap().is_empty(), "{kind}");
    }
}

/// R-OPS-04
#[tokio::test]
async fn a_schema_of_a_newer_program_is_recognised_and_left_alone() {
    for database in &Database::each().await {
        let (store, kind) = (&database.store, database.kind);
        database.execute(&format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{FUTURE}', 1)")).await;
        let before = database.number("SELECT count(*) FROM seaql_migrations").await;
        assert_eq!(store.schema().await.unwrap(), Schema::Ahead(vec![FUTURE.to_owned()]), "{kind}");
        for refused in [store.check_schema().await.unwrap_err(), store.migrate().await.unwrap_err()] {
            assert!(matches!(&refused, OpenError::Ahead(steps) if steps == &[FUTURE]), "{kind} {refused}");
            assert!(refused.to_string().contains("newer than this program"), "{kind} {refused}");
        }
        assert_eq!(database.number("SELECT count(*) FROM seaql_migrations").await, before, "{kind}");
    }
}
