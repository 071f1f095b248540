//! What `dev` keeps on disk: a directory that only its owner can enter, with the database and a master key in it.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Configured, Failure};
use crate::config::{Config, Profile, from_process};
use crate::entropy::Entropy;
use crate::keys::MasterKeys;
use crate::store::Url;

/// The file `dev` keeps its master key in.
pub(super) const MASTER_KEYS: &str = "master-keys";

/// Makes the directory if it is not there.
pub(super) fn make(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|cause| format!("the data directory {} cannot be made: {cause}", path.display()).into())
}

/// What a command that opens the database reads: where that is, not whose it is or who reaches it.
pub(super) fn config(configured: &Configured) -> Result<Config, Failure> {
    Ok(from_process(Profile::Dev, configured.config.as_deref(), |_| Vec::new())?.config)
}

/// Where the database is: as configured, or in the data directory.
pub(super) fn database(config: &Config) -> Result<Url, Failure> {
    match &config.database_url {
        Some(url) => Ok(Url::parse(url)?),
        None => Ok(Url::Sqlite(config.data_dir.join("symbolon.db"))),
    }
}

/// The master keys in the data directory, and whether they were made now.
pub(super) fn master_keys(data_dir: &Path, entropy: &dyn Entropy) -> Result<(MasterKeys, PathBuf, bool), Failure> {
    let path = data_dir.join(MASTER_KEYS);
    let failed = |cause: std::io::Error| -> Failure { format!("{}: {cause}", path.display()).into() };
    let made = match File::options().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let text = MasterKeys::generate(entropy);
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            true
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed(error)),
    };
    let mut text = Zeroizing::new(String::new());
    File::open(&path).and_then(|mut file| file.read_to_string(&mut text)).map_err(failed)?;
    let keys = super::assemble::master_keys(&text, &path.display().to_string())?;
    Ok((keys, path, made))
}
