//! Persistence: the only place that knows sea-orm. It offers deeds, not rows: each names what happens to a session or a
//! key, its precondition stands in the `WHERE`, and the answer is what changed. It decides nothing and reads no clock.

mod backup;
mod connection;
mod ended;
mod entity;
mod erase;
mod error;
mod identity;
mod keys;
mod lists;
mod lost_keys;
mod measure;
mod open;
mod pinned;
mod postgres;
mod restore;
mod rotate;
mod row;
mod schema;
mod sessions;
mod sqlite;
mod sweep;
mod transfer;
mod url;

use std::sync::Arc;

pub use backup::{BackedUp, BackupError, Incoming, back_up};
use connection::Connection;
pub use ended::Position;
pub use error::Error;
pub use identity::Identity;
pub use keys::StoredKey;
pub use lists::Selection;
pub use open::{Missing, OpenError};
pub use rotate::{Right, Rotate, Turn};
pub use schema::Schema;
pub use sessions::{IssueRequest, Issued};
pub use transfer::{Copied, TransferError};
pub use url::Url;

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    url: Url,
    /// Where every write goes; and, on PostgreSQL, every read: what decides is read from the primary.
    writer: Arc<Connection>,
    readers: Arc<Connection>,
    /// Held for as long as the store lives: a second process on the same file is refused.
    _lock: Option<Arc<sqlite::Lock>>,
}
