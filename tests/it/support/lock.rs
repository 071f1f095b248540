use std::path::Path;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};

/// A connection of its own to a server's database: somebody who gets in the server's way.
pub(crate) struct Other(DatabaseConnection);

impl Other {
    pub(crate) async fn connect(database: &Path) -> Self {
        let mut options = ConnectOptions::new(format!("sqlite://{}", database.display()));
        options.max_connections(1).sqlx_logging(false);
        Self(Database::connect(options).await.unwrap())
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap();
    }

    /// Takes the write lock, so that whoever wants to write has to wait.
    pub(crate) async fn lock(database: &Path) -> Self {
        let other = Self::connect(database).await;
        other.run("BEGIN IMMEDIATE").await;
        other
    }

    pub(crate) async fn unlock(self) {
        self.run("ROLLBACK").await;
        self.0.close().await.unwrap();
    }

    /// How many rows a table has, as everybody else sees it: what is not committed is not there.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) AS rows FROM {table}");
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, sql);
        self.0.query_one_raw(statement).await.unwrap().unwrap().try_get("", "rows").unwrap()
    }
}
