//! Asking the database: with a deadline, and again where that is harmless. A connection that broke, froze or turned
//! read-only is never used again: the whole pool is left and a new one opened, since whatever happened to one
//! connection happened to its neighbours.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, FromQueryResult, SqlxPostgresConnector, Statement,
    StatementBuilder, TryGetable, sqlx,
};
use tracing::Instrument;

use super::Error;
use super::pinned::Pins;
use super::postgres::{driver_error, is_full};
use crate::trace;

/// How long one statement may take, the wait for a connection included. Below the time a call may take, so that there is
/// time for another try; above what pool and server allow together, so that passing it means that nobody answers.
pub(super) const DEADLINE: Duration = Duration::from_millis(3000);

/// How often a deed is tried: with the pauses between, two seconds of quick refusals.
const TRIES: u32 = 10;

/// The longest pause before another try.
const PAUSE: Duration = Duration::from_millis(320);

/// A pool of connections that is replaced when it is of no use any more.
pub(super) struct Connection {
    current: RwLock<Arc<DatabaseConnection>>,
    pub(super) pins: Pins,
    /// Whether the last write that was tried found no room.
    full: AtomicBool,
}

/// What an error means for the connection and the deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Others were in the way: ask again.
    Contention,
    /// No connection could be had: nothing was asked.
    Waiting,
    /// The server is not the one it was, or gone: ask another connection.
    Connection,
    /// Asking again would not help.
    Final,
}

impl Connection {
    pub(super) async fn open(options: sea_orm::ConnectOptions) -> Result<Self, DbErr> {
        let current = RwLock::new(Arc::new(Database::connect(options).await?));
        Ok(Self { current, pins: Pins::default(), full: AtomicBool::new(false) })
    }

    pub(super) fn current(&self) -> Arc<DatabaseConnection> {
        Arc::clone(&self.current.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Does a deed within its deadline. It may be done twice, so its precondition must make the second one harmless.
    pub(super) async fn run<T, F>(&self, deed: impl Fn(Arc<DatabaseConnection>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        Ok(self.run_doubting(deed).await?.0)
    }

    /// The same, and whether an earlier try, whose answer was lost, may have done it already.
    pub(super) async fn run_doubting<T, F>(
        &self,
        deed: impl Fn(Arc<DatabaseConnection>) -> F,
    ) -> Result<(T, bool), Error>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        self.try_while(|trouble| trouble != Trouble::Final, deed).await
    }

    /// The same, but not again once it may have been done: an error then means that this is not known.
    pub(super) async fn run_once<T, F>(&self, deed: impl Fn(Arc<DatabaseConnection>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        Ok(self.try_while(|trouble| trouble == Trouble::Contention, deed).await?.0)
    }

    /// Answers what was done, and whether an earlier try may have done it already.
    async fn try_while<T, F>(
        &self,
        again: impl Fn(Trouble) -> bool,
        deed: impl Fn(Arc<DatabaseConnection>) -> F,
    ) -> Result<(T, bool), Error>
    where
        F: Future<Output = Result<T, DbErr>>,
    {
        let mut pause = Duration::from_millis(10);
        let mut tries = 0;
        let mut doubt = false;
        loop {
            tries += 1;
            let connection = self.current();
            let span = tracing::info_span!(
                target: trace::TARGET,
                "statement",
                "otel.kind" = "client",
                "db.system.name" = if self.is_server() { "postgresql" } else { "sqlite" },
            );
            let asked = deed(Arc::clone(&connection)).instrument(span);
            let error = match tokio::time::timeout(DEADLINE, asked).await {
                Ok(Ok(done)) => return Ok((done, doubt)),
                Ok(Err(error)) => error,
                Err(_) => {
                    self.leave(&connection);
                    return Err(Error::TimedOut);
                }
            };
            if is_full(&error) && !self.full.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "the disk is full: make room; what was acknowledged is safe, and it goes on by itself");
            }
            let trouble = trouble(&error);
            if trouble == Trouble::Connection {
                doubt = true;
                self.leave(&connection);
            }
            if !again(trouble) || tries == TRIES {
                return Err(error.into());
            }
            metrics::counter!("symbolon_store_retries_total").increment(1);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE);
        }
    }

    /// Runs a statement that changes rows. Answers how many.
    pub(super) async fn execute<S: StatementBuilder>(&self, statement: &S) -> Result<u64, Error> {
        Ok(self.execute_doubting(statement).await?.0)
    }

    /// The same, and whether an earlier try, whose answer was lost, may have changed them already.
    pub(super) async fn execute_doubting<S: StatementBuilder>(&self, statement: &S) -> Result<(u64, bool), Error> {
        let execute = |connection: Arc<DatabaseConnection>| async move { connection.execute(statement).await };
        let (done, doubt) = self.run_doubting(execute).await?;
        Ok((done.rows_affected(), doubt))
    }

    /// The same of a statement that answers the rows it changed.
    pub(super) async fn returning_doubting<S: StatementBuilder, R: FromQueryResult>(
        &self,
        statement: &S,
    ) -> Result<(Vec<R>, bool), Error> {
        let query = |connection: Arc<DatabaseConnection>| async move {
            let rows = connection.query_all(statement).await?;
            rows.iter().map(|row| R::from_query_result(row, "")).collect()
        };
        self.run_doubting(query).await
    }

    /// Whether this is a server with processes of its own, and not a file.
    pub(super) fn is_server(&self) -> bool {
        self.current().get_database_backend() == DbBackend::Postgres
    }

    /// Opens a new pool in the place of one that is of no use any more, unless somebody has done so already.
    fn leave(&self, useless: &Arc<DatabaseConnection>) {
        if !self.is_server() {
            return; // A file has no other server to offer.
        }
        let mut current = self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !Arc::ptr_eq(&current, useless) {
            return;
        }
        tracing::warn!("the connections to the database are of no use any more: opening new ones");
        self.pins.close(useless);
        let pool = useless.get_postgres_connection_pool().clone();
        let fresh = pool.options().clone().connect_lazy_with((*pool.connect_options()).clone());
        *current = Arc::new(SqlxPostgresConnector::from_sqlx_postgres_pool(fresh));
        // Connections that hang are closed when the deeds that hold them are given up.
        tokio::spawn(async move { pool.close().await });
    }

    /// Whether the last write that was tried found no room.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// A write found room again.
    pub(super) fn has_room(&self) {
        if self.full.swap(false, Ordering::Relaxed) {
            tracing::info!("there is room on the disk again");
        }
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let current = self.current();
        if self.is_server() {
            self.pins.close(&current);
        }
        current.close_by_ref().await
    }
}

/// The one value that a query answers.
pub(super) async fn value<T: TryGetable>(connection: &DatabaseConnection, sql: &str) -> Result<T, DbErr> {
    let query = Statement::from_string(connection.get_database_backend(), sql);
    let row = connection.query_one_raw(query).await?;
    row.ok_or_else(|| DbErr::RecordNotFound(sql.to_owned()))?.try_get_by_index(0)
}

/// Does a transaction in a task of its own, so that a caller who gives up does not stop it half-way: on PostgreSQL sqlx
/// forgets a BEGIN that nobody waits for any more, and whatever used that connection next would never be committed.
pub(super) async fn whole<T: Send + 'static>(
    transaction: impl Future<Output = Result<T, DbErr>> + Send + 'static,
) -> Result<T, DbErr> {
    // It outlives the deadline of whoever waits, who leaves its connections by then.
    let task = tokio::spawn(tokio::time::timeout(DEADLINE * 2, transaction));
    let gone = |error: &dyn std::fmt::Display| DbErr::Custom(format!("a transaction did not end: {error}"));
    task.await.map_err(|error| gone(&error))?.map_err(|error| gone(&error))?
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named is not retried")]
fn trouble(error: &DbErr) -> Trouble {
    let Some(cause) = driver_error(error) else {
        // Every connection is in use, or none can be had yet.
        let waiting = matches!(error, DbErr::ConnectionAcquire(_));
        return if waiting { Trouble::Waiting } else { Trouble::Final };
    };
    match cause {
        sqlx::Error::Database(cause) => cause.code().map_or(Trouble::Final, |code| sqlstate(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Trouble::Connection,
        sqlx::Error::PoolTimedOut => Trouble::Waiting,
        _ => Trouble::Final,
    }
}

/// The errors that are retried, by name (PostgreSQL's appendix A).
fn sqlstate(code: &str) -> Trouble {
    const CONTENTION: [&str; 2] = [
        "40001", // serialization_failure
        "40P01", // deadlock_detected
    ];
    const CONNECTION: [&str; 4] = [
        "25006", // read_only_sql_transaction: a demoted primary answers it for ever on a kept connection
        "57P01", // admin_shutdown
        "57P02", // crash_shutdown
        "57P03", // cannot_connect_now
    ];
    if CONTENTION.contains(&code) {
        Trouble::Contention
    } else if code == "53300" {
        // too_many_connections: those we have are good.
        Trouble::Waiting
    } else if CONNECTION.contains(&code) || (code.len() == 5 && code.starts_with("08")) {
        // 08: connection_exception
        Trouble::Connection
    } else {
        Trouble::Final
    }
}
