use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use symbolon::store::{Missing, Store, Url};
use tempfile::TempDir;

/// An empty, migrated database and the store on it: what the store's deeds are tried on.
pub(crate) struct Database {
    pub(crate) store: Store,
    /// What a failing test names it by.
    pub(crate) kind: &'static str,
    url: Url,
    dir: TempDir,
}

impl Database {
    /// One of every kind there is: a test of the store holds on each of them.
    pub(crate) async fn each() -> Vec<Self> {
        let mut each = Self::each_empty().await;
        for database in &mut each {
            database.store.migrate().await.unwrap();
        }
        each
    }

    /// The same without a schema.
    pub(crate) async fn each_empty() -> Vec<Self> {
        let dir = tempfile::tempdir().unwrap();
        let url = Url::Sqlite(dir.path().join("symbolon.db"));
        let store = Store::open(&url, Missing::Create).await.unwrap();
        vec![Self { store, kind: "sqlite", url, dir }]
    }

    /// One connection past the store.
    pub(crate) async fn raw(&self) -> DatabaseConnection {
        let Url::Sqlite(path) = &self.url else { unreachable!() };
        assert!(path.starts_with(self.dir.path()));
        raw(path).await
    }

    /// Does to its rows what the store never would.
    pub(crate) async fn execute(&self, sql: &str) {
        let raw = self.raw().await;
        raw.execute_unprepared(sql).await.unwrap();
        raw.close().await.unwrap();
    }

    /// The one number that `sql` asks for.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let raw = self.raw().await;
        let row = raw.query_one_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap();
        let number = row.unwrap().try_get_by_index(0).unwrap();
        raw.close().await.unwrap();
        number
    }
}

/// One connection to a database that a store may have open.
pub(crate) async fn raw(path: &std::path::Path) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite://{}", path.display()));
    options.max_connections(1).min_connections(1).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(|options| options.busy_timeout(Duration::from_secs(5)));
    sea_orm::Database::connect(options).await.unwrap()
}
