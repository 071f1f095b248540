use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use symbolon::store::{Missing, Store, Url};
use tempfile::TempDir;

use super::Postgres;

/// An empty, migrated database and the store on it: what the store's deeds are tried on.
pub(crate) struct Database {
    pub(crate) store: Store,
    /// What a failing test names it by.
    pub(crate) kind: &'static str,
    pub(crate) url: Url,
    _dir: Arc<TempDir>,
}

const PARTITIONED: &str = "partitioned postgres";

impl Database {
    /// One of every kind there is: a test of the store holds on each of them.
    pub(crate) async fn each() -> Vec<Self> {
        let mut each = Self::each_empty().await;
        for database in &mut each {
            database.migrate().await;
        }
        each
    }

    /// The same without a schema: a file, a server, and a server whose `sessions` will be hash-partitioned by id.
    pub(crate) async fn each_empty() -> Vec<Self> {
        let dir = tempfile::tempdir().unwrap();
        let postgres = || async { Url::Postgres(Postgres::shared().database().await) };
        let urls = [
            ("sqlite", Url::Sqlite(dir.path().join("symbolon.db"))),
            ("postgres", postgres().await),
            (PARTITIONED, postgres().await),
        ];
        let dir = Arc::new(dir);
        let mut each = Vec::new();
        for (kind, url) in urls {
            let store = Store::open(&url, Missing::Create).await.unwrap();
            each.push(Self { store, kind, url, _dir: Arc::clone(&dir) });
        }
        each
    }

    /// Gives it the schema.
    async fn migrate(&self) {
        if self.kind == PARTITIONED {
            self.partition().await;
        }
        self.store.migrate().await.unwrap();
    }

    /// Makes the table of sessions before the migrations come to it, which then leave it as it is.
    async fn partition(&self) {
        let steps = symbolon_migrations::print(DbBackend::Postgres);
        let statements = steps.into_iter().flat_map(|(_, statements)| statements);
        let sessions = statements.into_iter().find(|sql| sql.contains("\"sessions\" (")).unwrap();
        self.execute(&format!("{sessions} PARTITION BY HASH (id)")).await;
        for part in 0..4 {
            let values = format!("FOR VALUES WITH (MODULUS 4, REMAINDER {part})");
            self.execute(&format!("CREATE TABLE sessions_{part} PARTITION OF sessions {values}")).await;
        }
    }

    /// One connection past the store.
    pub(crate) async fn raw(&self) -> DatabaseConnection {
        match &self.url {
            Url::Sqlite(path) => raw(path).await,
            Url::Postgres(url) => {
                let mut options = ConnectOptions::new(url);
                options.max_connections(1).sqlx_logging(false);
                sea_orm::Database::connect(options).await.unwrap()
            }
        }
    }

    /// SQL in which `{hex}` stands for bytes, in this database's spelling.
    pub(crate) fn bytes(&self, sql: &str) -> String {
        let (open, close) = if self.kind == "sqlite" { ("X'", "'") } else { ("'\\x", "'") };
        sql.replace('{', open).replace('}', close)
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
