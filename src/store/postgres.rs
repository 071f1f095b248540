//! PostgreSQL as it is opened here: plain SQL that compatible engines also speak, deadlines on both sides, and a
//! sentence for each way in which a server does not let us in.

use std::borrow::Cow;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, Connection as _};
use sea_orm::{ConnectOptions, DatabaseConnection, DbErr, RuntimeErr};

use super::connection::{Connection, value};
use crate::time::Timestamp;

/// Enough for two batches in flight and what goes the slow way beside them.
const CONNECTIONS: u32 = 16;

/// How long a statement waits for a connection.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long the server lets a statement run: it gives up before we do, so that a slow statement costs a statement and
/// not a connection.
const STATEMENT: Duration = Duration::from_secs(2);

/// How long a server may take to answer when we start.
const ANSWER: Duration = Duration::from_secs(4);

/// What a server calls itself to the database.
pub(super) const APPLICATION: &str = "symbolon";

pub(super) fn options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        // A ping before each statement would cost as much as the statement; broken connections are handled instead.
        .test_before_acquire(false)
        .sqlx_logging(false)
        .statement_timeout(STATEMENT)
        .set_application_name(APPLICATION);
    options
}

/// For whoever looks after the database, as for changing the schema: a step may take as long as it takes, and waits for
/// others who take it.
pub(super) fn unhurried(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(2).acquire_timeout(PATIENCE).sqlx_logging(false).set_application_name("symbolon migrate");
    options
}

/// The connection, or what keeps us from having it. A host that never answers costs a few seconds.
pub(super) async fn patiently<T>(connection: impl Future<Output = Result<T, DbErr>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER, connection).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(sentence(&error)),
        Err(_) => Err("does not answer: check host and port of SYMBOLON_DATABASE_URL".to_owned()),
    }
}

/// Opens the pool. What keeps it from a connection it hides behind its time-out, so that is asked for by itself.
pub(super) async fn open(url: &str) -> Result<Connection, String> {
    match Connection::open(options(url)).await {
        Ok(connection) => Ok(connection),
        Err(error) => {
            let knock = async {
                let options: PgConnectOptions = url.parse()?;
                PgConnection::connect_with(&options).await?.close().await
            };
            let cause = |cause: sqlx::Error| DbErr::Conn(RuntimeErr::SqlxError(cause.into()));
            patiently(async { knock.await.map_err(cause) }).await?;
            Err(sentence(&error))
        }
    }
}

/// Refuses a server that takes no writes.
pub(super) async fn check_primary(connection: &DatabaseConnection) -> Result<(), String> {
    if patiently(is_writable(connection)).await? {
        return Ok(());
    }
    Err("is read-only or in recovery: SYMBOLON_DATABASE_URL must name the primary".to_owned())
}

pub(super) async fn is_writable(connection: &DatabaseConnection) -> Result<bool, DbErr> {
    Ok(value::<String>(connection, "SHOW transaction_read_only").await? == "off")
}

pub(super) async fn time(connection: &DatabaseConnection) -> Result<Timestamp, DbErr> {
    let millis = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint)";
    value(connection, millis).await.map(Timestamp::from_millis)
}

fn sentence(error: &DbErr) -> String {
    let Some(cause) = driver_error(error) else { return "cannot be used".to_owned() };
    let sqlx::Error::Database(refusal) = cause else {
        return format!("cannot be reached: {cause}. Check host and port of SYMBOLON_DATABASE_URL");
    };
    match refusal.code().as_deref() {
        Some("28P01" | "28000") => "refuses user and password of SYMBOLON_DATABASE_URL".to_owned(),
        Some("3D000") => "has no such database: make it with `CREATE DATABASE`".to_owned(),
        Some("53300") => "has no connection left to give: raise max_connections, or stop who holds them".to_owned(),
        Some("57P03") => "is starting or in recovery: try again, or name the primary".to_owned(),
        _ => format!("refuses: {}{}", refusal.message(), hint(error)),
    }
}

/// What to do about an error that whoever runs the process can do something about; else nothing.
pub(super) fn hint(error: &DbErr) -> &'static str {
    match sqlstate(error).as_deref() {
        // insufficient_privilege
        Some("42501") => ": GRANT it to the user of SYMBOLON_DATABASE_URL, or name the tables' owner there",
        _ if is_full(error) => ": the disk is full. Make room: nothing that was acknowledged is lost",
        _ => "",
    }
}

/// Whether there is no room for a write: `disk_full`; of a file `SQLITE_FULL`, or `SQLITE_IOERR_WRITE` as with a limit on
/// the size of files.
pub(super) fn is_full(error: &DbErr) -> bool {
    matches!(sqlstate(error).as_deref(), Some("53100" | "13" | "778"))
}

/// Whether an error says that there is no such table: `undefined_table`.
pub(super) fn is_no_table(error: &DbErr) -> bool {
    sqlstate(error).as_deref() == Some("42P01")
}

/// The code of an error that the server answered (PostgreSQL's appendix A).
fn sqlstate(error: &DbErr) -> Option<Cow<'_, str>> {
    driver_error(error)?.as_database_error()?.code()
}

/// What the driver said, if it was the driver.
pub(super) fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    if let DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause)) = error
    {
        return Some(cause);
    }
    None
}
