//! SQLite as it is opened here: a write-ahead log that is flushed at every commit, one writer, a few readers, and one
//! process.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

use super::OpenError;

/// How long a statement waits for a connection, and the writer for another process's lock.
const PATIENCE: Duration = Duration::from_secs(2);

const READERS: u32 = 4;

/// A transaction that writes takes SQLite's write lock when it begins: one that reads first would fail under
/// contention instead of waiting.
pub(super) fn immediate() -> TransactionOptions {
    TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() }
}

/// Writes nothing in the end: an error says that the file cannot be written to. On a file that may only be read, BEGIN
/// IMMEDIATE alone succeeds; a write that is rolled back does not. A transaction object, not statements: whoever asks
/// may give up while SQLite waits for the lock, and a BEGIN that nobody waits for any more would stay open and swallow
/// every later write.
pub(super) async fn write_nothing(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = connection.begin_with_options(immediate()).await?;
    transaction.execute_unprepared("PRAGMA user_version = 0").await?;
    transaction.rollback().await
}

/// Writes what is there already, so that it shows whether there is room for a write.
pub(super) async fn write_the_same(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = connection.begin_with_options(immediate()).await?;
    transaction.execute_unprepared("PRAGMA user_version = 0").await?;
    transaction.commit().await
}

/// One connection that writes: two would only wait for each other.
pub(super) fn writer(path: &Path) -> ConnectOptions {
    options(path, 1)
}

pub(super) fn readers(path: &Path) -> ConnectOptions {
    options(path, READERS)
}

/// One connection that only looks: it changes nothing, not even when it closes.
pub(super) fn looking(path: &Path) -> ConnectOptions {
    let file = path.to_owned();
    let mut options = ConnectOptions::new("sqlite://");
    options
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| options.filename(&file).read_only(true).busy_timeout(PATIENCE));
    options
}

/// Makes an empty file that only its owner may read, unless there is one: SQLite would ask nobody.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

fn options(path: &Path, connections: u32) -> ConnectOptions {
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
                .journal_mode(SqliteJournalMode::Wal)
                // FULL: what was acknowledged is on the disk.
                .synchronous(SqliteSynchronous::Full)
                // A quarter of what SQLite has by itself: whoever commits when so many pages stand in the log moves them to the
                // file, and of ten million sessions nearly each of them is a write of its own (docs/scale.md).
                .pragma("wal_autocheckpoint", "250")
                .busy_timeout(PATIENCE)
        });
    options
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

pub(super) fn lock(path: &Path) -> Result<Lock, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let file = File::options().create(true).truncate(false).write(true).open(&lock);
    let file = file.map_err(|cause| OpenError::File { path: lock.clone(), cause })?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(OpenError::File { path: lock, cause }),
    }
}
