//! The fast path of a refresh: one statement that rotates many sessions. Its `WHERE` is row 8 of the refresh rule with
//! rows 2 to 4 in front, its `SET` is what that row writes; a test holds it against [`redeem`] on random rows. What it
//! does not rotate is judged one by one.
//!
//! [`redeem`]: crate::session::redeem::redeem

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use sea_orm::sqlx::{self, PgConnection};
use sea_orm::{DbBackend, DbErr, FromQueryResult, Iden, Iterable, RuntimeErr, Statement};

use super::entity::session::{Column, Model};
use super::{Error, Store, row};
use crate::session::redeem::LONGEST_BURST;
use crate::session::{Device, LAST_MOMENT, Session, SessionId};
use crate::time::Timestamp;

/// A current refresh token to rotate.
#[derive(Clone, Debug)]
pub struct Turn {
    pub session_id: SessionId,
    pub generation: u32,
    /// Replaces what the session shows, as far as it is set.
    pub device: Device,
    /// Who asks, by a number that [`Right`]s share.
    pub caller: u16,
}

impl Turn {
    /// Whether another one asks for the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        (self.session_id, self.generation, self.caller) == (other.session_id, other.generation, other.caller)
    }
}

/// That a caller may rotate the sessions of a client, and how far apart two rotations of one burst may be there.
#[derive(Clone, Debug)]
pub struct Right {
    pub caller: u16,
    pub client_id: String,
    pub burst_millis: i64,
}

/// Who rotates: the store, or what stands in its place to measure what the store costs.
pub trait Rotate: Send + Sync + 'static {
    /// Rotates the sessions whose current token is among `turns`; no session may be among them twice. Answers those it
    /// rotated, as they are now but for what they remember of decisions. Sessions of a client the caller has no right to are
    /// left alone.
    ///
    /// # Errors
    /// It is not known whether they were rotated.
    fn rotate(
        &self,
        turns: &[Turn],
        now: Timestamp,
        rights: &[Right],
    ) -> impl Future<Output = Result<Vec<Session>, Error>> + Send;
}

impl Rotate for Store {
    async fn rotate(&self, turns: &[Turn], now: Timestamp, rights: &[Right]) -> Result<Vec<Session>, Error> {
        let rows = if self.writer.is_server() {
            let deed = async |pool| {
                let mut pinned = self.writer.pins.take(&pool, now).await.map_err(query_error)?;
                let rows = postgres(pinned.connection(), turns, now, rights).await.map_err(query_error)?;
                self.writer.pins.put(pinned);
                Ok(rows)
            };
            self.writer.run_once(deed).await?
        } else {
            let statement = &sqlite(turns, now, rights);
            self.writer
                .run_once(async |pool| Model::find_by_statement(statement.clone()).all(pool.as_ref()).await)
                .await?
        };
        // A row that cannot be is its own session's trouble, not that of the others in the batch.
        let sessions = rows.into_iter().map(row::session);
        Ok(sessions.filter_map(|session| session.inspect_err(|error| tracing::error!(%error)).ok()).collect())
    }
}

fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

static POSTGRES: LazyLock<Arc<str>> = LazyLock::new(|| {
    // The limit takes nothing away: it is how many there are. Without it PostgreSQL believes that every batch is worth a plan of
    // its own, which costs it a third of the statement; of a limit it does not know it expects little, so it plans once.
    let from = "(SELECT * FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[]) \
                AS b (id, generation, user_agent, ip_address, label, caller) LIMIT $11) AS b, \
                unnest($8::bigint[], $9::text[], $10::bigint[]) AS c (caller, client_id, burst)";
    update("GREATEST", "LEAST", from, "s.").into()
});

/// By the driver itself: to hand it lists value by value, and to look up each column of each row by its name, costs more than
/// all else that is done for a rotation here.
async fn postgres(
    connection: &mut PgConnection,
    turns: &[Turn],
    now: Timestamp,
    rights: &[Right],
) -> Result<Vec<Model>, sqlx::Error> {
    // Arrays hold no nulls here, and no device has an empty text: empty stands for unset.
    let texts = |text: fn(&Device) -> &Option<String>| -> Vec<&str> {
        turns.iter().map(|turn| text(&turn.device).as_deref().unwrap_or_default()).collect()
    };
    // What it is made of is in this file.
    let query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(&POSTGRES)))
        .bind(now.millis())
        .bind(turns.iter().map(|turn| turn.session_id.uuid()).collect::<Vec<_>>())
        .bind(turns.iter().map(|turn| turn.generation.into()).collect::<Vec<i64>>())
        .bind(texts(|device| &device.user_agent))
        .bind(texts(|device| &device.ip_address))
        .bind(texts(|device| &device.label))
        .bind(turns.iter().map(|turn| turn.caller.into()).collect::<Vec<i64>>())
        .bind(rights.iter().map(|right| right.caller.into()).collect::<Vec<i64>>())
        .bind(rights.iter().map(|right| right.client_id.as_str()).collect::<Vec<_>>())
        .bind(rights.iter().map(|right| right.burst_millis).collect::<Vec<_>>())
        .bind(i64::try_from(turns.len()).unwrap_or(i64::MAX));
    query.fetch_all(connection).await?.iter().map(row::in_order).collect()
}

static SQLITE: LazyLock<String> = LazyLock::new(|| {
    let from = "(SELECT unhex(value ->> 0) AS id, value ->> 1 AS generation, value ->> 2 AS user_agent, \
                value ->> 3 AS ip_address, value ->> 4 AS label, \
                value ->> 5 AS caller FROM json_each($2)) AS b, \
                (SELECT value ->> 0 AS caller, value ->> 1 AS client_id, value ->> 2 AS burst FROM json_each($3)) AS c";
    update("MAX", "MIN", from, "")
});

fn sqlite(turns: &[Turn], now: Timestamp, rights: &[Right]) -> Statement {
    let turns: Vec<_> = turns
        .iter()
        .map(|Turn { session_id, generation, device, caller }| {
            let id = session_id.uuid().simple().to_string();
            (id, generation, &device.user_agent, &device.ip_address, &device.label, caller)
        })
        .collect();
    let rights: Vec<_> = rights.iter().map(|right| (right.caller, &right.client_id, right.burst_millis)).collect();
    let json = |list: Result<String, serde_json::Error>| list.expect("cannot fail: lists of text and numbers are JSON");
    let values =
        [now.millis().into(), json(serde_json::to_string(&turns)).into(), json(serde_json::to_string(&rights)).into()];
    Statement::from_sql_and_values(DbBackend::Sqlite, SQLITE.as_str(), values)
}

/// Row 8, for whoever joins: `b` are the turns, `c` the rights, `$1` is now.
fn update(greatest: &str, least: &str, from: &str, returned: &str) -> String {
    let longest = LONGEST_BURST;
    let moment = LAST_MOMENT.as_millis();
    let running = format!("$1 - s.rotated_at < c.burst AND $1 - s.burst_at < {longest} * c.burst");
    let mut sql = format!(
        "UPDATE sessions AS s SET \
         generation = s.generation + 1, \
         rotated_at = {greatest}(s.rotated_at, $1), \
         idle_expires_at = {least}(s.expires_at, {greatest}(s.rotated_at, $1) + s.idle_ttl * 1000), \
         burst_generation = CASE WHEN {running} THEN s.burst_generation \
         WHEN $1 - s.rotated_at < c.burst OR s.recovered_generation = s.generation THEN s.generation - 1 \
         ELSE s.generation END, \
         burst_at = CASE WHEN {running} THEN s.burst_at ELSE $1 END, \
         user_agent = COALESCE(NULLIF(b.user_agent, ''), s.user_agent), \
         ip_address = COALESCE(NULLIF(b.ip_address, ''), s.ip_address), \
         label = COALESCE(NULLIF(b.label, ''), s.label) \
         FROM {from} \
         WHERE s.id = b.id AND s.generation = b.generation AND s.client_id = c.client_id AND b.caller = c.caller \
         AND s.revoked_at IS NULL AND s.idle_expires_at >= $1 + {moment} AND s.expires_at >= $1 + {moment} \
         AND s.generation < {} RETURNING ",
        u32::MAX
    );
    for (at, column) in Column::iter().enumerate() {
        let _ = write!(sql, "{}", if at == 0 { "" } else { ", " });
        // Named, so that a column added by a later version does not break this one. What is remembered of decisions, much the
        // longest, no refresh tells.
        let _ = if matches!(column, Column::Decisions) {
            write!(sql, "'[]' AS decisions")
        } else {
            write!(sql, "{returned}{}", column.unquoted())
        };
    }
    sql
}
