//! Opening the database: finding it, making sure that nobody else writes to it, and holding its schema against the one
//! this program knows.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};
use symbolon_migrations::Migrator;
use symbolon_migrations::sea_orm_migration::MigratorTrait;
use thiserror::Error;

use super::Store;

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    /// A file: one machine, one process.
    Sqlite(PathBuf),
}

/// Whether a database that is not there is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Create,
    Refuse,
}

/// How the schema of the database stands to the one this program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    Current,
    /// Steps that are still to be taken.
    Behind(Vec<String>),
    /// Steps this program does not know: a newer one took them.
    Ahead(Vec<String>),
}

/// Why the database cannot be used: a sentence for whoever starts the process, with what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("{0}: expected sqlite:PATH")]
    Url(String),
    #[error("{0}: PostgreSQL is not supported by this version yet; use sqlite:PATH")]
    NotYet(&'static str),
    #[error("there is no database at {}: make it with `symbolon migrate up`", .0.display())]
    NotFound(PathBuf),
    #[error(
        "the database {} is in use by another process: SQLite serves one process at a time. Stop the other one, or give this one another file",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("the lock file {} cannot be opened: {cause}", .path.display())]
    Lock { path: PathBuf, cause: io::Error },
    #[error("the database {} cannot be opened: {cause}", .path.display())]
    Unusable { path: PathBuf, cause: DbErr },
    #[error("the database {} cannot be written to: {cause}", .path.display())]
    ReadOnly { path: PathBuf, cause: DbErr },
    #[error("the database's schema lacks {}: run `symbolon migrate up`", .0.join(", "))]
    Behind(Vec<String>),
    #[error(
        "the database's schema is newer than this program, which does not know {}: run the version of symbolon that migrated it, or a later one",
        .0.join(", ")
    )]
    Ahead(Vec<String>),
    #[error("the database's schema cannot be read or changed: {0}")]
    Schema(#[source] DbErr),
}

/// How long a statement waits for a connection, and the writer for a lock: below the five seconds a call may take.
const PATIENCE: Duration = Duration::from_secs(3);

const READERS: u32 = 4;

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Sqlite(path) = self;
        write!(f, "sqlite:{}", path.display())
    }
}

impl Url {
    /// Reads `sqlite:PATH` or `sqlite://PATH`.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            return Err(OpenError::NotYet("database_url"));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or_default();
        if path.is_empty() || path.starts_with(':') || path.contains('?') {
            return Err(OpenError::Url("database_url".to_owned()));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl Store {
    /// Opens the database, alone. Its schema may be another than this program's: see [`Self::check_schema`].
    pub async fn open(url: &Url, missing: Missing) -> Result<Self, OpenError> {
        let Url::Sqlite(path) = url;
        if missing == Missing::Refuse && !path.exists() {
            return Err(OpenError::NotFound(path.clone()));
        }
        let lock = lock(path)?;
        let unusable = |cause| OpenError::Unusable { path: path.clone(), cause };
        let writer = connect(path, 1, missing).await.map_err(unusable)?;
        // On a file that may only be read, BEGIN IMMEDIATE alone succeeds; a write that is rolled back does not.
        writer
            .execute_unprepared("BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK")
            .await
            .map_err(|cause| OpenError::ReadOnly { path: path.clone(), cause })?;
        let readers = connect(path, READERS, Missing::Refuse).await.map_err(unusable)?;
        Ok(Self { writer, readers, _lock: Some(Arc::new(lock)) })
    }

    /// How the schema stands.
    pub async fn schema(&self) -> Result<Schema, OpenError> {
        let known = symbolon_migrations::names();
        let applied = applied(&self.readers).await.map_err(OpenError::Schema)?;
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

    /// Refuses a schema that is not this program's.
    pub async fn check_schema(&self) -> Result<(), OpenError> {
        match self.schema().await? {
            Schema::Current => Ok(()),
            Schema::Behind(steps) => Err(OpenError::Behind(steps)),
            Schema::Ahead(steps) => Err(OpenError::Ahead(steps)),
        }
    }

    /// Takes the steps that are still to be taken. Answers their names.
    pub async fn migrate(&self) -> Result<Vec<String>, OpenError> {
        match self.schema().await? {
            Schema::Current => Ok(Vec::new()),
            Schema::Ahead(steps) => Err(OpenError::Ahead(steps)),
            Schema::Behind(steps) => {
                Migrator::up(&self.writer, None).await.map_err(OpenError::Schema)?;
                Ok(steps)
            }
        }
    }

    /// Whether the database takes writes at this moment.
    pub async fn check_writable(&self) -> Result<(), super::Error> {
        self.writer.execute_unprepared("BEGIN IMMEDIATE; ROLLBACK").await?;
        Ok(())
    }

    /// Waits for what is under way and closes the database, so that nothing is left in its log.
    pub async fn close(self) {
        for connection in [self.readers, self.writer] {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "the database did not close");
            }
        }
    }
}

async fn connect(path: &Path, connections: u32, missing: Missing) -> Result<DatabaseConnection, DbErr> {
    let file = path.to_owned();
    let mut options = ConnectOptions::new("sqlite://");
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .filename(&file)
                .create_if_missing(missing == Missing::Create)
                .journal_mode(SqliteJournalMode::Wal)
                // FULL: what was acknowledged is on the disk.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(PATIENCE)
        });
    Database::connect(options).await
}

/// A locked file beside the database. The database file itself is SQLite's to lock.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file would not do: a child process that was forked a moment ago has it open, too.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the database's lock file was not unlocked");
        }
    }
}

fn lock(path: &Path) -> Result<Lock, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let file = File::options().create(true).truncate(false).write(true).open(&lock);
    let file = file.map_err(|cause| OpenError::Lock { path: lock.clone(), cause })?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(std::fs::TryLockError::Error(cause)) => Err(OpenError::Lock { path: lock, cause }),
    }
}

/// The names of the steps that were taken, oldest first. Read without sea-orm-migration, which refuses to answer about
/// a schema that is newer than the program.
async fn applied(connection: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let exists = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'";
    if connection.query_one_raw(Statement::from_string(DbBackend::Sqlite, exists)).await?.is_none() {
        return Ok(Vec::new());
    }
    let versions = "SELECT version FROM seaql_migrations ORDER BY version";
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Sqlite, versions)).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}
