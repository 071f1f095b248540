//! Where lines go, without anybody waiting for them: a thread of its own writes them, a bounded queue stands before it, and
//! what finds no place in it, or cannot be written, is counted and told of.

mod sink;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use self::sink::{Reopened, Sink};
use crate::audit;
use crate::clock::Stopwatch;

/// How many lines may wait: a few megabytes, and seconds of the busiest service.
const QUEUE: usize = 16 * 1024;

/// How often it is told of what was lost, at the most: a target that is merely slow has no room for more.
const TELL_EVERY: Duration = Duration::from_secs(1);

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

/// Whose lines they are: both may go to one target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Log,
    Audit,
}

impl Stream {
    /// As figures call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Audit => "audit",
        }
    }
}

/// How many lines of each were lost and not told of yet.
#[derive(Default)]
struct Dropped {
    log: AtomicU64,
    audit: AtomicU64,
}

impl Dropped {
    fn of(&self, stream: Stream) -> &AtomicU64 {
        match stream {
            Stream::Log => &self.log,
            Stream::Audit => &self.audit,
        }
    }

    fn lost(&self, stream: Stream) {
        self.of(stream).fetch_add(1, Ordering::Relaxed);
        metrics::counter!("symbolon_lines_dropped_total", "stream" => stream.name()).increment(1);
    }
}

enum Message {
    Line(Stream, Vec<u8>),
    /// To be answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// A target that is written to. Dropped, it waits for the last lines, but not for long.
pub(super) struct Outlet {
    queue: SyncSender<Message>,
    dropped: Arc<Dropped>,
}

/// What writes a line: each write is one.
#[derive(Clone)]
pub(super) struct Pen {
    stream: Stream,
    queue: SyncSender<Message>,
    dropped: Arc<Dropped>,
}

impl Outlet {
    /// Opens the target, above all for this stream.
    pub(super) fn open(stream: Stream, target: Target) -> Result<Self, String> {
        let sink: Box<dyn Sink> = match target {
            Target::Stderr => Box::new(io::stderr()),
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => {
                let faulty = |error| format!("SYMBOLON_AUDIT_FILE: {} cannot be written to: {error}", path.display());
                Box::new(Reopened::open(path.clone()).map_err(faulty)?)
            }
        };
        Self::before(stream, sink)
    }

    /// The queue and the thread before it.
    fn before(stream: Stream, sink: Box<dyn Sink>) -> Result<Self, String> {
        let (queue, lines) = sync_channel(QUEUE);
        let dropped = Arc::<Dropped>::default();
        let writer = Writer { sink, dropped: Arc::clone(&dropped), torn: false, told: None };
        let name = stream.name();
        let spawned = thread::Builder::new().name(format!("symbolon-{name}")).spawn(move || writer.run(&lines));
        spawned.map_err(|error| format!("the {name} cannot be written: {error}"))?;
        Ok(Self { queue, dropped })
    }

    pub(super) fn pen(&self, stream: Stream) -> Pen {
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
        if self.queue.try_send(Message::Line(self.stream, line.to_vec())).is_err() {
            self.dropped.lost(self.stream);
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

/// The thread that writes.
struct Writer {
    sink: Box<dyn Sink>,
    dropped: Arc<Dropped>,
    /// Whether the last line was written in part.
    torn: bool,
    /// Since when it was last told of what was lost.
    told: Option<Stopwatch>,
}

impl Writer {
    fn run(mut self, lines: &Receiver<Message>) {
        while let Ok(message) = lines.recv() {
            match message {
                Message::Line(stream, line) => {
                    let due = self.told.as_ref().is_none_or(|told| told.elapsed() > TELL_EVERY);
                    if self.write(stream, &line) && due {
                        self.tell();
                    }
                }
                Message::Flush(done) => {
                    self.tell();
                    // What it told to the log may have come round here.
                    while let Ok(Message::Line(stream, line)) = lines.try_recv() {
                        self.write(stream, &line);
                    }
                    let _ = done.send(());
                }
            }
        }
    }

    /// Whether the line was written; else it is counted.
    fn write(&mut self, stream: Stream, line: &[u8]) -> bool {
        let written = self.put_line(line);
        if !written {
            self.dropped.lost(stream);
        }
        written
    }

    fn put_line(&mut self, line: &[u8]) -> bool {
        if self.torn && self.put(b"\n").is_ok() {
            self.torn = false;
        }
        !self.torn && self.put(line).is_ok()
    }

    /// Tells of what was lost and not told of yet.
    fn tell(&mut self) {
        for stream in [Stream::Log, Stream::Audit] {
            let lines = self.dropped.of(stream).swap(0, Ordering::Relaxed);
            if lines == 0 {
                continue;
            }
            self.told = Some(Stopwatch::start());
            // If this is the log, it comes round here itself, and finds a place or is counted.
            tracing::warn!(
                stream = stream.name(),
                lines,
                "some lines were not written: their target was full, slow or gone"
            );
            if stream == Stream::Audit && !self.gap(lines).is_some_and(|line| self.put_line(&line)) {
                self.dropped.of(stream).fetch_add(lines, Ordering::Relaxed);
            }
        }
    }

    /// The audit event of a gap. It does not queue: it belongs before what does.
    fn gap(&self, lines: u64) -> Option<Vec<u8>> {
        let (queue, told) = sync_channel(1);
        let pen = Pen { stream: Stream::Audit, queue, dropped: Arc::clone(&self.dropped) };
        let here = tracing_subscriber::registry().with(super::audit_events(pen));
        tracing::subscriber::with_default(here, || audit::lost(lines));
        match told.try_recv() {
            Ok(Message::Line(_, line)) => Some(line),
            Ok(Message::Flush(_)) | Err(_) => None,
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
