//! `symbolon restore`: puts a backup of the embedded database in its place, or takes the database as somebody else put it
//! there, and makes it safe to serve.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use uuid::Builder;

use super::run::start_telling;
use super::{Configured, Failure, data_dir, print};
use crate::audit::Audit;
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, SystemEntropy};
use crate::service::Skew;
use crate::service::restore::restore as end_sessions;
use crate::store::{Incoming, Missing, Store, Url};
use crate::time::Timestamp;

#[derive(Args)]
pub(super) struct Restore {
    /// A copy that `symbolon backup` made, to be put where the database is to be. Without it, the database there is taken as
    /// another tool has restored it
    file: Option<PathBuf>,
    /// Ends no session: whoever holds a refresh token that was spent since the backup can use it once more, and nobody notices
    #[arg(long)]
    keep_sessions: bool,
    #[command(flatten)]
    configured: Configured,
}

pub(super) async fn restore(Restore { file, keep_sessions, configured }: Restore) -> Result<(), Failure> {
    let config = data_dir::config(&configured)?;
    let telemetry = start_telling(&config.told)?;
    let url = data_dir::database(&config)?;
    let ended = match (&url, file) {
        (Url::Sqlite(place), Some(file)) => {
            if config.database_url.is_none() {
                data_dir::make(&config.data_dir)?;
            }
            from_file(&file, place, keep_sessions).await?
        }
        (Url::Postgres(_), Some(_)) => Err(format!(
            "{url} is restored by PostgreSQL itself, with `pg_restore` or what made its base backup: then run \
             `symbolon restore` without a file"
        ))?,
        (_, None) => {
            alone(&url).await?;
            let store = Store::open(&url, Missing::Refuse).await?;
            store.check_schema().await?;
            make_safe(store, keep_sessions).await?
        }
    };
    let sessions = if keep_sessions {
        "every session is kept: refresh tokens that were spent since the backup work once more".to_owned()
    } else {
        format!("{ended} sessions are ended: everybody signs in again")
    };
    // What it tells of it stands before what it says.
    drop(telemetry);
    print(&format!("{url} is restored\n{sessions}"))
}

/// Made ready under another name, by this program's schema: the backup itself stays as it is.
async fn from_file(file: &Path, place: &Path, keep_sessions: bool) -> Result<u64, Failure> {
    let incoming = Incoming::copy(file, place)?;
    let store = Store::open(&incoming.url(), Missing::Refuse).await?;
    store.migrate().await?;
    let ended = make_safe(store, keep_sessions).await?;
    incoming.finish()?;
    Ok(ended)
}

async fn make_safe(store: Store, keep_sessions: bool) -> Result<u64, Failure> {
    let entropy: &dyn Entropy = &SystemEntropy;
    let epoch = Builder::from_random_bytes(entropy.bytes()).into_uuid();
    let now = now(&store).await?;
    let ended = end_sessions(&store, &Audit::default(), epoch, now, keep_sessions).await;
    store.close().await;
    Ok(ended?)
}

/// The time, unless the database's clock says another.
pub(super) async fn now(store: &Store) -> Result<Timestamp, Failure> {
    let skew = Skew::new(Arc::new(SystemClock));
    skew.compare(store).await?;
    skew.sentence().map_or_else(|| Ok(SystemClock.now()), |sentence| Err(sentence.into()))
}

/// Refuses a database that servers work on.
pub(super) async fn alone(url: &Url) -> Result<(), Failure> {
    match url.connections_of_servers().await? {
        0 => Ok(()),
        count => Err(format!("servers are at work on {url}, with {count} connections: stop them first").into()),
    }
}
