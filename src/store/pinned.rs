//! Connections of PostgreSQL that do not go back to their pool after each statement. The pool asks whether a connection is still
//! good when it comes back, which costs as much as a small statement, and hands out the one whose caches are the coldest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::DatabaseConnection;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, PgConnection, Postgres};

use crate::time::Timestamp;

/// As many as batches are under way; the others of the pool are for everybody else.
const MOST: usize = 2;

/// Who is older, in milliseconds, goes back to its pool instead of being used again, so that the pool's rules of age hold for it,
/// too, and nobody who was silent for long is relied upon.
const AGE: i64 = 60_000;

/// Those that wait for the next statement.
#[derive(Default)]
pub(super) struct Pins(Mutex<Vec<Pinned>>);

/// One of them. Dropped, it goes back to its pool.
pub(super) struct Pinned {
    pool: Arc<DatabaseConnection>,
    connection: PoolConnection<Postgres>,
    since: Timestamp,
}

impl Pinned {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Pins {
    /// One of this pool, pinned now if there is none. Whoever has used it without an error puts it back.
    pub(super) async fn take(&self, pool: &Arc<DatabaseConnection>, now: Timestamp) -> Result<Pinned, sqlx::Error> {
        loop {
            let Some(pinned) = self.all().pop() else { break };
            let age = now.millis() - pinned.since.millis();
            if Arc::ptr_eq(&pinned.pool, pool) && (0..AGE).contains(&age) {
                return Ok(pinned);
            }
        }
        let connection = pool.get_postgres_connection_pool().acquire().await?;
        Ok(Pinned { pool: Arc::clone(pool), connection, since: now })
    }

    /// For the next statement, unless its pool is closed.
    pub(super) fn put(&self, pinned: Pinned) {
        let mut all = self.all();
        if all.len() < MOST && !pinned.pool.get_postgres_connection_pool().is_closed() {
            all.push(pinned);
        }
    }

    /// Closes a pool without those of it that are pinned. It is marked as closed first: none of them is put back afterwards, and
    /// none is asked whether it is good by a server that may not answer.
    pub(super) fn close(&self, pool: &DatabaseConnection) {
        drop(pool.get_postgres_connection_pool().close());
        self.all().retain(|pinned| !pinned.pool.get_postgres_connection_pool().is_closed());
    }

    fn all(&self) -> MutexGuard<'_, Vec<Pinned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
