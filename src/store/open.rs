//! Opening the database: finding it, and saying in one sentence what keeps it from being used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use thiserror::Error;

use super::connection::Connection;
use super::{Store, Url, postgres, sqlite};
use crate::time::Timestamp;

/// Whether a database that is not there is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Create,
    Refuse,
}

/// Why the database cannot be used: a sentence for whoever starts the process, with what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(
        "SYMBOLON_DATABASE_URL cannot be read: expected sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE, with / ? @ and # in the password escaped"
    )]
    Url,
    #[error("there is no database at {}: make it with `symbolon migrate up`", .0.display())]
    NotFound(PathBuf),
    #[error(
        "the database {} is in use by another process: SQLite serves one process at a time. Stop the other one, or give this one another file",
        .0.display()
    )]
    InUse(PathBuf),
    #[error("{} cannot be opened: {cause}", .path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("the database {} cannot be opened: {cause}", .path.display())]
    Unusable { path: PathBuf, cause: DbErr },
    #[error("the database {} cannot be written to: {cause}", .path.display())]
    ReadOnly { path: PathBuf, cause: DbErr },
    #[error("{place}: {what}")]
    Server { place: String, what: String },
    #[error("the database's schema lacks {}: run `symbolon migrate up`", .0.join(", "))]
    Behind(Vec<String>),
    #[error(
        "the database's schema is newer than this program, which does not know {}: run the version of symbolon that migrated it, or a later one",
        .0.join(", ")
    )]
    Ahead(Vec<String>),
    #[error("the database's schema cannot be read or changed: {}{}", .0, postgres::hint(.0))]
    Schema(#[source] DbErr),
}

impl Store {
    /// Opens the database; a file is opened alone. Its schema may be another than this program's: see
    /// [`Self::check_schema`].
    pub async fn open(url: &Url, missing: Missing) -> Result<Self, OpenError> {
        match url {
            Url::Sqlite(path) => {
                if missing == Missing::Refuse && !path.exists() {
                    return Err(OpenError::NotFound(path.clone()));
                }
                let unreachable = |cause| OpenError::File { path: path.clone(), cause };
                sqlite::make(path).map_err(unreachable)?;
                // However it is called: a link to the file is the file.
                let path = &path.canonicalize().map_err(unreachable)?;
                let lock = sqlite::lock(path)?;
                let unusable = |cause| OpenError::Unusable { path: path.clone(), cause };
                let writer = Connection::open(sqlite::writer(path)).await.map_err(unusable)?;
                let writable = sqlite::write_nothing(&writer.current()).await;
                writable.map_err(|cause| OpenError::ReadOnly { path: path.clone(), cause })?;
                let readers = Connection::open(sqlite::readers(path)).await.map_err(unusable)?;
                let (writer, readers) = (Arc::new(writer), Arc::new(readers));
                Ok(Self { url: url.clone(), writer, readers, _lock: Some(Arc::new(lock)) })
            }
            Url::Postgres(address) => {
                let server = |what| OpenError::Server { place: url.to_string(), what };
                let connection = Box::pin(postgres::open(address)).await.map_err(server)?;
                postgres::check_primary(&connection.current()).await.map_err(server)?;
                let connection = Arc::new(connection);
                Ok(Self { url: url.clone(), writer: Arc::clone(&connection), readers: connection, _lock: None })
            }
        }
    }

    /// Whether the database takes writes at this moment. That there is no room is only known once a write has found none; then
    /// it is tried with one that is real, until there is.
    pub async fn check_writable(&self) -> Result<bool, super::Error> {
        if self.writer.is_full() {
            let is_server = self.writer.is_server();
            let write = async |connection: Arc<sea_orm::DatabaseConnection>| {
                if is_server {
                    connection.execute_unprepared("UPDATE issuer SET id = id WHERE id = 1").await.map(drop)
                } else {
                    sqlite::write_the_same(&connection).await
                }
            };
            self.writer.run(write).await?;
            self.writer.has_room();
        }
        if self.writer.is_server() {
            self.writer.run(async |connection| postgres::is_writable(&connection).await).await
        } else {
            self.writer.run(async |connection| sqlite::write_nothing(&connection).await.map(|()| true)).await
        }
    }

    /// The time where the database runs; `None` for a file, which has none but ours.
    pub async fn time(&self) -> Result<Option<Timestamp>, super::Error> {
        if !self.writer.is_server() {
            return Ok(None);
        }
        self.writer.run(async |connection| postgres::time(&connection).await).await.map(Some)
    }

    /// Whether a fail-over of the database can lose what was acknowledged; `None` if it does not say.
    pub async fn may_lose_commits(&self) -> Option<bool> {
        if !self.readers.is_server() {
            return Some(false);
        }
        let connection = self.readers.current();
        let show = async |setting: &str| {
            let show = Statement::from_string(DbBackend::Postgres, format!("SHOW {setting}"));
            connection.query_one_raw(show).await.ok()??.try_get_by_index::<String>(0).ok()
        };
        let standbys = show("synchronous_standby_names").await?;
        let commit = show("synchronous_commit").await?;
        Some(standbys.is_empty() || matches!(commit.as_str(), "off" | "local"))
    }

    /// Whether it is a file, which takes one writer at a time.
    #[must_use]
    pub fn is_file(&self) -> bool {
        !self.writer.is_server()
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
