//! Sessions, a row each: a refresh is one prepared statement, and the row that it does not find is the refusal. The scheme
//! of the URL chooses where they are: `postgres:`, `sqlite:`, or `memory:` for no store at all.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, PgPool, SqlitePool, postgres::PgConnectOptions};
use uuid::{Builder, Uuid};

use crate::tokens::{RefreshToken, random};
use crate::{Failed, SESSION_TTL, postgres_pool};

pub enum Store {
    Postgres(PgPool),
    Sqlite(SqlitePool),
    Memory(Mutex<HashMap<Uuid, Row>>),
}

/// A session as it is kept in memory.
pub struct Row {
    session: Session,
    token_hash: [u8; 32],
    expires_at: i64,
}

/// Who a session belongs to: what the statement returns.
#[derive(Clone)]
pub struct Session {
    pub subject: String,
    pub client_id: String,
}

// Nothing that changes is in an index and half of each page is free, so PostgreSQL updates in place (HOT).
const POSTGRES: &str = "CREATE TABLE IF NOT EXISTS sessions (id uuid PRIMARY KEY, subject text NOT NULL, \
    client_id text NOT NULL, token_hash bytea NOT NULL, expires_at bigint NOT NULL) WITH (fillfactor = 50)";
const SQLITE: &str = "CREATE TABLE IF NOT EXISTS sessions (id BLOB PRIMARY KEY, subject TEXT NOT NULL, \
    client_id TEXT NOT NULL, token_hash BLOB NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID";
const INSERT: &str =
    "INSERT INTO sessions (id, subject, client_id, token_hash, expires_at) VALUES ($1, $2, $3, $4, $5)";
const REFRESH: &str = "UPDATE sessions SET token_hash = $1, expires_at = $2 \
    WHERE id = $3 AND token_hash = $4 AND expires_at > $5 RETURNING subject, client_id";

impl Store {
    pub async fn open(url: &str) -> Result<Self, Failed> {
        if url == "memory:" {
            return Ok(Self::Memory(Mutex::default()));
        }
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .disable_statement_logging();
            // SQLite has one writer: its callers queue here instead of inside of it.
            let pool = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false);
            let pool = pool.connect_with(options).await?;
            sqlx::query(SQLITE).execute(&pool).await?;
            return Ok(Self::Sqlite(pool));
        }
        let pool = postgres_pool().connect_with(PgConnectOptions::from_str(url)?.disable_statement_logging()).await?;
        sqlx::query(POSTGRES).execute(&pool).await?;
        Ok(Self::Postgres(pool))
    }

    pub async fn start(&self, session: &Session, now: i64) -> Result<RefreshToken, sqlx::Error> {
        let millis = u64::try_from(now).unwrap_or_default() * 1000;
        let token = RefreshToken::new(Builder::from_unix_timestamp_millis(millis, &random()).into_uuid());
        let (id, token_hash, expires_at) = (token.session, token.hash(), now + SESSION_TTL);
        match self {
            Self::Postgres(pool) => {
                let insert = sqlx::query(INSERT).bind(id).bind(&session.subject).bind(&session.client_id);
                insert.bind(&token_hash[..]).bind(expires_at).execute(pool).await?;
            }
            Self::Sqlite(pool) => {
                let insert = sqlx::query(INSERT).bind(id).bind(&session.subject).bind(&session.client_id);
                insert.bind(&token_hash[..]).bind(expires_at).execute(pool).await?;
            }
            Self::Memory(rows) => {
                let row = Row { session: session.clone(), token_hash, expires_at };
                rows.lock().unwrap_or_else(PoisonError::into_inner).insert(id, row);
            }
        }
        Ok(token)
    }

    /// Puts the successor in the place of the token presented; `None` if that is not the current one of a live session.
    pub async fn refresh(
        &self,
        presented: &RefreshToken,
        now: i64,
    ) -> Result<Option<(Session, RefreshToken)>, sqlx::Error> {
        let next = RefreshToken::new(presented.session);
        let (id, was, hash, expires_at) = (presented.session, presented.hash(), next.hash(), now + SESSION_TTL);
        let session: Option<(String, String)> = match self {
            Self::Postgres(pool) => {
                let update = sqlx::query_as(REFRESH).bind(&hash[..]).bind(expires_at);
                update.bind(id).bind(&was[..]).bind(now).fetch_optional(pool).await?
            }
            Self::Sqlite(pool) => {
                let update = sqlx::query_as(REFRESH).bind(&hash[..]).bind(expires_at);
                update.bind(id).bind(&was[..]).bind(now).fetch_optional(pool).await?
            }
            Self::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                let row = rows.get_mut(&id).filter(|row| row.token_hash == was && row.expires_at > now);
                row.map(|row| {
                    (row.token_hash, row.expires_at) = (hash, expires_at);
                    (row.session.subject.clone(), row.session.client_id.clone())
                })
            }
        };
        Ok(session.map(|(subject, client_id)| (Session { subject, client_id }, next)))
    }
}
