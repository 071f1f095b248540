//! The schema: how the one in the database stands to the one this program knows, and how it gets there.

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait};
use symbolon_migrations::Migrator;
use symbolon_migrations::sea_orm_migration::{MigratorTrait, SchemaManager};

use super::{OpenError, Store, Url, postgres};

/// How the schema of the database stands to the one this program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    Current,
    /// Steps that are still to be taken.
    Behind(Vec<String>),
    /// Steps this program does not know: a newer one took them.
    Ahead(Vec<String>),
}

impl Url {
    /// What the steps do to such a database: name and SQL statements of each.
    #[must_use]
    pub fn print_migrations(&self) -> Vec<(String, Vec<String>)> {
        let backend = if matches!(self, Self::Sqlite(_)) { DbBackend::Sqlite } else { DbBackend::Postgres };
        let steps = symbolon_migrations::print(backend);
        // What tells that they were taken, for whoever takes them by hand.
        let mut taken = vec![
            "CREATE TABLE IF NOT EXISTS seaql_migrations (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)"
                .to_owned(),
        ];
        let note = |(name, _): &(String, _)| {
            format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0) ON CONFLICT DO NOTHING")
        };
        taken.extend(steps.iter().map(note));
        let optional = symbolon_migrations::storage_parameters().map(str::to_owned).to_vec();
        let optional = ("storage parameters, which may be refused".to_owned(), optional);
        let optional = (backend == DbBackend::Postgres).then_some(optional);
        steps.into_iter().chain([("the steps were taken".to_owned(), taken)]).chain(optional).collect()
    }
}

impl Store {
    /// How the schema stands.
    pub async fn schema(&self) -> Result<Schema, OpenError> {
        stand(&self.readers.current()).await
    }

    /// Refuses a schema that is not this program's.
    pub async fn check_schema(&self) -> Result<(), OpenError> {
        match self.schema().await? {
            Schema::Current => Ok(()),
            Schema::Behind(steps) => Err(OpenError::Behind(steps)),
            Schema::Ahead(steps) => Err(OpenError::Ahead(steps)),
        }
    }

    /// Takes the steps that are still to be taken, one process at a time. Answers their names.
    pub async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        let Url::Postgres(address) = &self.url else { return take_steps(&self.writer.current()).await };
        let server = |what| OpenError::Server { place: self.url.to_string(), what };
        let connection = Database::connect(postgres::unhurried(address));
        let connection = postgres::patiently(connection).await.map_err(server)?;
        let taken = Box::pin(alone(&connection)).await;
        connection.close().await.map_err(OpenError::Schema)?;
        taken
    }
}

/// Takes the steps while a row is locked: whoever comes meanwhile waits, and finds nothing left to do. A lock row,
/// because not every engine has advisory locks; it is let go when the process dies.
async fn alone(connection: &DatabaseConnection) -> Result<Vec<String>, OpenError> {
    make_lock(connection).await.map_err(OpenError::Schema)?;
    let lock = connection.begin().await.map_err(OpenError::Schema)?;
    let take = Statement::from_string(DbBackend::Postgres, "SELECT id FROM migration_lock WHERE id = 1 FOR UPDATE");
    lock.query_one_raw(take).await.map_err(OpenError::Schema)?;
    let taken = take_steps(connection).await;
    lock.commit().await.map_err(OpenError::Schema)?;
    for statement in symbolon_migrations::storage_parameters() {
        if let Err(error) = connection.execute_unprepared(statement).await {
            tracing::info!(%error, "the database keeps its own storage parameters");
        }
    }
    taken
}

async fn make_lock(connection: &DatabaseConnection) -> Result<(), DbErr> {
    const STATEMENTS: [&str; 2] = [
        "CREATE TABLE IF NOT EXISTS migration_lock (id integer PRIMARY KEY)",
        "INSERT INTO migration_lock (id) VALUES (1) ON CONFLICT DO NOTHING",
    ];
    for statement in STATEMENTS {
        // Of two who make the table at once one may be told that it exists, in spite of IF NOT EXISTS.
        if connection.execute_unprepared(statement).await.is_err() {
            connection.execute_unprepared(statement).await?;
        }
    }
    Ok(())
}

async fn take_steps(connection: &DatabaseConnection) -> Result<Vec<String>, OpenError> {
    match stand(connection).await? {
        Schema::Current => Ok(Vec::new()),
        Schema::Ahead(steps) => Err(OpenError::Ahead(steps)),
        Schema::Behind(steps) => {
            Migrator::up(connection, None).await.map_err(OpenError::Schema)?;
            Ok(steps)
        }
    }
}

async fn stand(connection: &DatabaseConnection) -> Result<Schema, OpenError> {
    let known = symbolon_migrations::names();
    let applied = applied(connection).await.map_err(OpenError::Schema)?;
    let lacking = |from: &[String], these: &[String]| -> Vec<String> {
        these.iter().filter(|name| !from.contains(name)).cloned().collect()
    };
    let (ahead, behind) = (lacking(&known, &applied), lacking(&applied, &known));
    Ok(match (ahead.is_empty(), behind.is_empty()) {
        (false, _) => Schema::Ahead(ahead),
        (true, false) => Schema::Behind(behind),
        (true, true) => Schema::Current,
    })
}

/// The names of the steps that were taken, oldest first. Read without sea-orm-migration's own list, which refuses to
/// answer about a schema that is newer than the program.
async fn applied(connection: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let backend = connection.get_database_backend();
    // PostgreSQL hides a table from whoever has no right to it: only asking tells that from no table.
    if backend == DbBackend::Sqlite && !SchemaManager::new(connection).has_table("seaql_migrations").await? {
        return Ok(Vec::new());
    }
    let versions = "SELECT version FROM seaql_migrations ORDER BY version";
    match connection.query_all_raw(Statement::from_string(backend, versions)).await {
        Ok(rows) => rows.iter().map(|row| row.try_get("", "version")).collect(),
        Err(error) if postgres::is_no_table(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
