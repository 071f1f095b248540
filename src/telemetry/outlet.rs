//! Where lines go, without anybody waiting for them: a thread of its own writes them, a bounded queue stands before it, and
//! what finds no place in it, or cannot be written, is counted and told of. A file is opened anew when another stands
//! under its name, or none, so that it can be moved away while it is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::audit;
use crate::clock::Stopwatch;

/// How many lines may wait: a few megabytes, and seconds of the busiest service.
const QUEUE: usize = 16 * 1024;

/// How often it is looked whether a file still stands under its name.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the last lines may take when the process ends.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Stderr,
    Stdout,
    /// Appended to; made for its owner alone.
    File(PathBuf),
}

impl Target {
    /// As settings name it.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            path => Self::File(path.into()),
        }
    }
}

enum Message {
    Line(Vec<u8>),
    /// To be answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// A target that is written to. Dropped, it waits for the last lines, but not for long.
pub(super) struct Outlet {
    stream: &'static str,
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// What writes a line: each write is one.
#[derive(Clone)]
pub(super) struct Pen {
    stream: &'static str,
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Outlet {
    /// Opens the target. `stream` is what figures call it.
    pub(super) fn open(stream: &'static str, target: Target) -> Result<Self, String> {
        let sink: Box<dyn Sink> = match target {
            Target::Stderr => Box::new(io::stderr()),
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => {
                let faulty = |error| format!("SYMBOLON_AUDIT_FILE: {} cannot be written to: {error}", path.display());
                Box::new(Reopened { file: open(&path).map_err(faulty)?, looked: Stopwatch::start(), path })
            }
        };
        Self::before(stream, sink)
    }

    /// The queue and the thread before it.
    fn before(stream: &'static str, sink: Box<dyn Sink>) -> Result<Self, String> {
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer { stream, sink, dropped: Arc::clone(&dropped), torn: false };
        let spawned = thread::Builder::new().name(format!("symbolon-{stream}")).spawn(move || writer.run(&lines));
        spawned.map_err(|error| format!("the {stream} cannot be written: {error}"))?;
        Ok(Self { stream, queue, dropped })
    }

    pub(super) fn pen(&self) -> Pen {
        self.pen_for(self.stream)
    }

    /// For another stream that goes the same way.
    pub(super) fn pen_for(&self, stream: &'static str) -> Pen {
        Pen { stream, queue: self.queue.clone(), dropped: Arc::clone(&self.dropped) }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        let (began, mut message) = (Stopwatch::start(), Message::Flush(done));
        while let Err(error) = self.queue.try_send(message) {
            let (std::sync::mpsc::TrySendError::Full(back) | std::sync::mpsc::TrySendError::Disconnected(back)) = error;
            if began.elapsed() > LAST_LINES {
                return;
            }
            message = back;
            thread::sleep(Duration::from_millis(10));
        }
        let _ = written.recv_timeout(LAST_LINES);
    }
}

impl Write for Pen {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            lost(self.stream, &self.dropped);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Pen {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn lost(stream: &'static str, dropped: &AtomicU64) {
    dropped.fetch_add(1, Ordering::Relaxed);
    metrics::counter!("symbolon_lines_dropped_total", "stream" => stream).increment(1);
}

/// Something to write to.
trait Sink: Send {
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
struct Reopened {
    path: PathBuf,
    file: File,
    looked: Stopwatch,
}

impl Sink for Reopened {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() > LOOK_EVERY {
            self.looked = Stopwatch::start();
            if !is_there(&self.path, &self.file) {
                self.file = open(&self.path)?;
            }
        }
        self.file.write(bytes)
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

/// The thread that writes.
struct Writer {
    stream: &'static str,
    sink: Box<dyn Sink>,
    dropped: Arc<AtomicU64>,
    /// Whether the last line was written in part.
    torn: bool,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Message>) {
        while let Ok(message) = lines.recv() {
            match message {
                Message::Line(line) => self.write(&line),
                Message::Flush(done) => drop(done.send(())),
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        if self.torn && self.put(b"\n").is_ok() {
            self.torn = false;
        }
        if self.torn || self.put(line).is_err() {
            return lost(self.stream, &self.dropped);
        }
        let lines = self.dropped.swap(0, Ordering::Relaxed);
        if lines > 0 {
            // Both come round here themselves, and find a place or are counted.
            tracing::warn!(
                stream = self.stream,
                lines,
                "some lines were not written: their target was full, slow or gone"
            );
            if self.stream == "audit" {
                audit::lost(lines);
            }
        }
    }

    /// The whole line, or an error.
    fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut begun = false;
        while !bytes.is_empty() {
            match self.sink.put(bytes) {
                Ok(0) => {
                    self.torn |= begun;
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(written) => (bytes, begun) = (&bytes[written..], true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.torn |= begun;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
