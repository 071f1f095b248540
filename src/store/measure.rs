//! What the pools of connections look like at this moment, for the figures.

use sea_orm::sqlx::{Database, Pool};

use super::Store;
use super::connection::Connection;

impl Store {
    /// Sets the figures of connections.
    pub fn measure(&self) {
        look_at("writer", &self.writer);
        if !self.readers.is_server() {
            look_at("readers", &self.readers);
        }
    }
}

fn look_at(name: &'static str, connection: &Connection) {
    let current = connection.current();
    if connection.is_server() {
        tell(name, current.get_postgres_connection_pool());
    } else {
        tell(name, current.get_sqlite_connection_pool());
    }
}

fn tell<D: Database>(name: &'static str, pool: &Pool<D>) {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    let used = pool.size().saturating_sub(idle);
    metrics::gauge!("symbolon_store_connections", "pool" => name, "state" => "idle").set(idle);
    metrics::gauge!("symbolon_store_connections", "pool" => name, "state" => "used").set(used);
    metrics::gauge!("symbolon_store_connections_max", "pool" => name).set(pool.options().get_max_connections());
}
