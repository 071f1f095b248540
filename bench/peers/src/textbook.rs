//! Refreshing as tutorials have it: a row a token, a transaction that locks it, and a family that ends when a spent token
//! comes back. PostgreSQL only.

use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use sqlx::{ConnectOptions, PgPool, postgres::PgConnectOptions};
use uuid::{Builder, Uuid};

use crate::tokens::{hash, random};
use crate::{Failed, SESSION_TTL, postgres_pool};

pub struct Textbook(PgPool);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS refresh_tokens (id uuid PRIMARY KEY, family_id uuid NOT NULL, \
    user_id text NOT NULL, token_hash bytea NOT NULL UNIQUE, used_at timestamptz, expires_at timestamptz NOT NULL, \
    created_at timestamptz NOT NULL DEFAULT now())";
const INDEX: &str = "CREATE INDEX IF NOT EXISTS refresh_tokens_family_id ON refresh_tokens (family_id)";
const INSERT: &str = "INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at) \
    VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))";
const SELECT: &str = "SELECT id, family_id, user_id, used_at IS NOT NULL AS used, expires_at <= now() AS expired \
    FROM refresh_tokens WHERE token_hash = $1 FOR UPDATE";
const MARK: &str = "UPDATE refresh_tokens SET used_at = now() WHERE id = $1";
const END_FAMILY: &str = "DELETE FROM refresh_tokens WHERE family_id = $1";

impl Textbook {
    pub async fn open(url: &str) -> Result<Self, Failed> {
        let pool = postgres_pool().connect_with(PgConnectOptions::from_str(url)?.disable_statement_logging()).await?;
        sqlx::query(TABLE).execute(&pool).await?;
        sqlx::query(INDEX).execute(&pool).await?;
        Ok(Self(pool))
    }

    /// The first token of a new family.
    pub async fn login(&self, user: &str) -> Result<String, sqlx::Error> {
        let (token, insert) = insert(random_id(), user);
        insert.execute(&self.0).await?;
        Ok(token)
    }

    /// Whose token it was, and its successor; `None` if it must not be redeemed, and if it was before, its family is gone.
    pub async fn refresh(&self, presented: &str) -> Result<Option<(String, String)>, sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        let select = sqlx::query_as(SELECT).bind(hash(presented.as_bytes()).to_vec());
        let found: Option<(Uuid, Uuid, String, bool, bool)> = select.fetch_optional(&mut *transaction).await?;
        let Some((id, family, user, spent, expired)) = found else { return Ok(None) };
        if spent {
            sqlx::query(END_FAMILY).bind(family).execute(&mut *transaction).await?;
            transaction.commit().await?;
            return Ok(None);
        }
        if expired {
            return Ok(None);
        }
        sqlx::query(MARK).bind(id).execute(&mut *transaction).await?;
        let (token, insert) = insert(family, &user);
        insert.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some((user, token)))
    }
}

type Insert = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn insert(family: Uuid, user: &str) -> (String, Insert) {
    let token = BASE64.encode(random::<32>());
    let token_hash = hash(token.as_bytes()).to_vec();
    #[expect(clippy::cast_precision_loss, reason = "it is a small number")]
    let ttl = SESSION_TTL as f64;
    let insert = sqlx::query(INSERT).bind(random_id()).bind(family).bind(user.to_owned()).bind(token_hash).bind(ttl);
    (token, insert)
}

fn random_id() -> Uuid {
    Builder::from_random_bytes(random()).into_uuid()
}
