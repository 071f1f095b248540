//! The table of users, in a file. It knows hashes and no passwords.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{Error, Row};

/// `id` is what the tokens call the user: it stays when the name changes, and no later user gets it. A `totp_secret`
/// would be encrypted by a backend that has a key; `totp_step` is the last code that was used.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    username TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    totp_secret BLOB,
    totp_step INTEGER NOT NULL DEFAULT 0,
    disabled INTEGER NOT NULL DEFAULT FALSE
)";

pub struct Users {
    pool: SqlitePool,
}

pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) password_hash: String,
    pub(crate) totp_secret: Option<Vec<u8>>,
    pub(crate) disabled: bool,
}

impl Users {
    /// Opens the file, or makes it, for its owner only.
    pub async fn open(path: &str) -> Result<Self, Error> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let options = SqliteConnectOptions::new().filename(path);
        let pool = SqlitePool::connect_with(options).await?;
        sqlx::query(TABLE).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Adds a user. Answers whether the name was free.
    pub(crate) async fn add(&self, username: &str, hash: &str, totp_secret: Option<&[u8]>) -> Result<bool, Error> {
        let sql = "INSERT INTO users (username, password_hash, totp_secret) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        let added = sqlx::query(sql).bind(username).bind(hash).bind(totp_secret).execute(&self.pool).await?;
        Ok(added.rows_affected() == 1)
    }

    pub(crate) async fn named(&self, username: &str) -> Result<Option<User>, Error> {
        let sql = "SELECT id, password_hash, totp_secret, disabled FROM users WHERE username = ?";
        let row = sqlx::query(sql).bind(username).fetch_optional(&self.pool).await?;
        row.map(|row| {
            Ok(User {
                id: row.try_get("id")?,
                password_hash: row.try_get("password_hash")?,
                totp_secret: row.try_get("totp_secret")?,
                disabled: row.try_get("disabled")?,
            })
        })
        .transpose()
    }

    /// Uses a one-time code up. Answers false if it, or a later one, has been used before.
    pub(crate) async fn use_up(&self, id: i64, step: i64) -> Result<bool, Error> {
        let sql = "UPDATE users SET totp_step = ? WHERE id = ? AND totp_step < ?";
        let used = sqlx::query(sql).bind(step).bind(id).bind(step).execute(&self.pool).await?;
        Ok(used.rows_affected() == 1)
    }

    /// Keeps a user from signing in. Answers whether there is one. Whoever is signed in stays so until their sessions
    /// are ended: `symbolon sessions revoke`, or `RevokeSubject`.
    pub async fn disable(&self, username: &str) -> Result<bool, Error> {
        let sql = "UPDATE users SET disabled = TRUE WHERE username = ?";
        Ok(sqlx::query(sql).bind(username).execute(&self.pool).await?.rows_affected() == 1)
    }
}
