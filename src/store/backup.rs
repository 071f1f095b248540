//! Copies of an embedded database: made while a server works on it, and put where a database is to be. SQLite itself makes
//! the copy, of one moment, through a connection that cannot write; the lock that keeps a second server out is about who
//! writes, and is not asked for. A server's database is backed up by its own tools.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sea_orm::{ConnectionTrait, Database, DbBackend, DbErr, Statement};
use thiserror::Error;

use super::connection::value;
use super::{OpenError, Url, sqlite};

/// Why there is no copy: a sentence for whoever wanted one, with what to do.
#[derive(Debug, Error)]
pub enum BackupError {
    #[error("there is no database at {}", .0.display())]
    NoDatabase(PathBuf),
    #[error("{} is there already, and nothing is written over it: give another name", .0.display())]
    Exists(PathBuf),
    #[error(
        "there is a database at {} already: if the backup is to take its place, move it away, with what lies beside it under its name and -wal or -shm",
        .0.display()
    )]
    Occupied(PathBuf),
    #[error(
        "{} has a log beside it: it is no finished copy. Make one with `symbolon backup`, which works beside a running server",
        .0.display()
    )]
    Unfinished(PathBuf),
    #[error("{} is no SQLite database", .0.display())]
    NotOurs(PathBuf),
    #[error("{}: {cause}", .path.display())]
    File { path: PathBuf, cause: io::Error },
    #[error("{} cannot be copied: {cause}{}", .path.display(), super::postgres::hint(.cause))]
    Copy { path: PathBuf, cause: DbErr },
    #[error(
        "the copy of {} was damaged and is deleted, and perhaps the database is, too: {what}. Ask it with `PRAGMA integrity_check`, and keep the backups you have",
        .path.display()
    )]
    Damaged { path: PathBuf, what: String },
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackedUp {
    pub sessions: u64,
    pub bytes: u64,
}

/// Copies the database in a file, of one moment, to a new file that only its owner may read. When this returns the copy was
/// checked and is on the disk; before, there is nothing under its name but an empty file.
pub async fn back_up(from: &Path, to: &Path) -> Result<BackedUp, BackupError> {
    if !from.exists() {
        return Err(BackupError::NoDatabase(from.to_owned()));
    }
    let unfinished = Unfinished::begin(to)?;
    let part = &unfinished.part;
    copy(from, part).await.map_err(|cause| BackupError::Copy { path: from.to_owned(), cause })?;
    let sessions = check(part).await.map_err(|what| BackupError::Damaged { path: from.to_owned(), what })?;
    unfinished.finish().map(|bytes| BackedUp { sessions, bytes })
}

async fn copy(from: &Path, to: &Path) -> Result<(), DbErr> {
    let connection = Database::connect(sqlite::looking(from)).await?;
    let to = to.to_str().ok_or_else(|| DbErr::Custom("the name of the copy is not UTF-8".to_owned()))?;
    // Into a file that is there: one that is empty is taken, and keeps who may read it.
    let copy = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [to.into()]);
    let copied = connection.execute_raw(copy).await.map(drop);
    connection.close().await?;
    copied
}

/// How many sessions there are in a sound copy; or what is wrong with it.
async fn check(copy: &Path) -> Result<u64, String> {
    let failed = |error: DbErr| error.to_string();
    let connection = Database::connect(sqlite::looking(copy)).await.map_err(failed)?;
    let found = value::<String>(&connection, "PRAGMA integrity_check").await;
    let sessions = value::<i64>(&connection, "SELECT count(*) FROM sessions").await;
    connection.close().await.map_err(failed)?;
    match found.map_err(failed)? {
        sound if sound == "ok" => sessions.map(i64::unsigned_abs).map_err(failed),
        damage => Err(damage),
    }
}

/// A copy that is not done: its name, held by an empty file, and the file it grows in. Both are deleted unless it is
/// finished.
struct Unfinished {
    name: PathBuf,
    part: PathBuf,
    finished: bool,
}

impl Unfinished {
    fn begin(name: &Path) -> Result<Self, BackupError> {
        let part = beside(name, ".part");
        claim(name)?;
        let unfinished = Self { name: name.to_owned(), part, finished: false };
        claim(&unfinished.part).inspect_err(|_| {
            // It is somebody else's.
            let _ = fs::remove_file(name);
        })?;
        Ok(unfinished)
    }

    /// Puts the copy under its name, on the disk. Answers its size.
    fn finish(mut self) -> Result<u64, BackupError> {
        let failed = |cause| BackupError::File { path: self.name.clone(), cause };
        let bytes = settle(&self.part, &self.name).map_err(failed)?;
        self.finished = true;
        Ok(bytes)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            for file in [&self.part, &self.name] {
                let _ = fs::remove_file(file);
            }
        }
    }
}

/// Makes an empty file that nobody else made before.
fn claim(path: &Path) -> Result<(), BackupError> {
    match File::options().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(BackupError::Exists(path.to_owned())),
        Err(cause) => Err(BackupError::File { path: path.to_owned(), cause }),
    }
}

/// Has what is in a file on the disk, under another name. Answers its size.
fn settle(from: &Path, to: &Path) -> io::Result<u64> {
    let file = File::open(from)?;
    file.sync_all()?;
    fs::rename(from, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(file.metadata()?.len())
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A backup that is about to become the database at a place: a copy of it under another name, so that no server can start
/// on it before it is ready.
pub struct Incoming {
    place: PathBuf,
    making: PathBuf,
    _lock: sqlite::Lock,
}

impl Incoming {
    /// Copies a backup next to a place where there is no database, and keeps servers away from there.
    pub fn copy(backup: &Path, place: &Path) -> Result<Self, BackupError> {
        let failed = |path: &Path, cause| BackupError::File { path: path.to_owned(), cause };
        let mut source = File::open(backup).map_err(|cause| failed(backup, cause))?;
        let mut head = [0; 16];
        if source.read_exact(&mut head).is_err() || &head != b"SQLite format 3\0" {
            return Err(BackupError::NotOurs(backup.to_owned()));
        }
        if fs::metadata(beside(backup, "-wal")).is_ok_and(|log| log.len() > 0) {
            return Err(BackupError::Unfinished(backup.to_owned()));
        }
        let lock = sqlite::lock(place)?;
        // A log that was left would be played into whatever file is put beside it.
        if ["", "-wal", "-shm", "-journal"].iter().any(|ending| beside(place, ending).exists()) {
            return Err(BackupError::Occupied(place.to_owned()));
        }
        let incoming = Self { place: place.to_owned(), making: beside(place, ".restoring"), _lock: lock };
        // Of a restore that ended early.
        incoming.tidy_up();
        let path = &incoming.making;
        let made = File::options().write(true).create_new(true).mode(0o600).open(path);
        let mut made = made.map_err(|cause| failed(path, cause))?;
        io::copy(&mut head.chain(source), &mut made).map_err(|cause| failed(path, cause))?;
        Ok(incoming)
    }

    /// Where it is until it is ready.
    #[must_use]
    pub fn url(&self) -> Url {
        Url::Sqlite(self.making.clone())
    }

    /// Puts it in its place, once nobody has it open any more.
    pub fn finish(self) -> Result<(), BackupError> {
        if fs::metadata(beside(&self.making, "-wal")).is_ok_and(|log| log.len() > 0) {
            return Err(BackupError::Unfinished(self.making.clone()));
        }
        settle(&self.making, &self.place).map_err(|cause| BackupError::File { path: self.place.clone(), cause })?;
        Ok(())
    }

    fn tidy_up(&self) {
        for ending in ["", "-wal", "-shm", ".lock"] {
            let _ = fs::remove_file(beside(&self.making, ending));
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.tidy_up();
    }
}
