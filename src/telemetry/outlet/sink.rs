//! What lines are written to. A file is opened anew when another stands under its name, or none, so that it can be moved
//! away while it is written. Whose lines they are is not known here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Stopwatch;

/// How often it is looked whether a file still stands under its name.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Something to write to.
pub(super) trait Sink: Send {
    /// As much as goes.
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

impl Sink for io::Stderr {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }
}

impl Sink for io::Stdout {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stdout = self.lock();
        let written = stdout.write(bytes)?;
        stdout.flush().map(|()| written)
    }
}

/// A file that may be moved away.
pub(super) struct Reopened {
    path: PathBuf,
    /// `None`: what was written would be in a file that nobody finds any more.
    file: Option<File>,
    looked: Stopwatch,
}

impl Reopened {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        Ok(Self { file: Some(open(&path)?), looked: Stopwatch::start(), path })
    }
}

impl Sink for Reopened {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() > LOOK_EVERY {
            self.looked = Stopwatch::start();
            self.file.take_if(|file| !is_there(&self.path, file));
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(open(&self.path)?),
        };
        file.write(bytes)
    }
}

fn is_there(path: &Path, file: &File) -> bool {
    let same = |there: fs::Metadata, open: fs::Metadata| (there.dev(), there.ino()) == (open.dev(), open.ino());
    fs::metadata(path).and_then(|there| Ok(same(there, file.metadata()?))).unwrap_or(false)
}

fn open(path: &Path) -> io::Result<File> {
    // What nobody reads would block for ever whoever opens it.
    if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.file_type().is_char_device()) {
        return Err(io::Error::other("it is no file"));
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}
