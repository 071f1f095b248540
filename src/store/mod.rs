//! Persistence: the only place that knows sea-orm. It offers deeds, not rows: each names what happens to a session or a
//! key, its precondition stands in the `WHERE`, and the answer is what changed. It decides nothing and reads no clock.

mod entity;
mod error;
mod identity;
mod keys;
mod lists;
mod open;
mod row;
mod sessions;

pub use error::Error;
pub use identity::Identity;
pub use keys::StoredKey;
pub use lists::Selection;
pub use open::{Missing, OpenError, Schema, Url};
pub use sessions::{IssueRequest, Issued};

use sea_orm::DatabaseConnection;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// Every write goes through one connection: SQLite has one writer, and two would only wait for each other.
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    /// Held for as long as the store lives: a second process on the same file is refused.
    _lock: Option<std::sync::Arc<open::Lock>>,
}
