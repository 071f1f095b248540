//! `symbolon backup`: a copy of the embedded database, made beside a running server.

use std::path::PathBuf;

use clap::Args;

use super::{Configured, Failure, data_dir, print};
use crate::store::{Url, back_up};

#[derive(Args)]
pub(super) struct Backup {
    /// Where the copy goes; nothing may be there yet
    file: PathBuf,
    #[command(flatten)]
    configured: Configured,
}

pub(super) async fn backup(Backup { file, configured }: Backup) -> Result<(), Failure> {
    let config = data_dir::config(&configured)?;
    let url = data_dir::database(&config)?;
    match &url {
        Url::Sqlite(path) => {
            let copied = back_up(path, &file).await?;
            let (sessions, bytes) = (copied.sessions, copied.bytes);
            print(&format!("{url} is copied to {}: {sessions} sessions, {bytes} bytes, checked", file.display()))
        }
        Url::Postgres(_) => Err(format!(
            "{url} is backed up by PostgreSQL itself: by its base backup and its log (pgBackRest, barman, your provider), or \
             with `pg_dump --format=custom --file={}` and the address that SYMBOLON_DATABASE_URL has",
            file.display()
        )
        .into()),
    }
}
