//! One TCP connection as the HTTP server sees it: the first head has to come in time, what the HTTP parser refuses by
//! itself gets a body that says so, and a client that is still sending hears the answer before the connection is gone.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::edge::frame::secure;
use crate::edge::problem::{MEDIA_TYPE, Problem};

/// How long a client that goes on sending is read from once the last answer is out, and how much: closing at once would
/// reset the connection under the answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// What stands in place of the parser's own answers, which have no body.
pub(super) struct Refusals {
    hsts: bool,
}

/// A connection being served.
pub(super) struct Connection {
    stream: TcpStream,
    /// By when the first head has to be there; it is there when `greeted` says so.
    greeting: Option<Pin<Box<Sleep>>>,
    greeted: Arc<AtomicBool>,
    refusals: Arc<Refusals>,
    /// What is written in place of the parser's own answer, as far as it is not out yet.
    instead: Vec<u8>,
    lingering: Option<(Pin<Box<Sleep>>, usize)>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, greeting: Duration, refusals: Arc<Refusals>) -> Self {
        Self {
            stream,
            greeting: Some(Box::pin(tokio::time::sleep(greeting))),
            greeted: Arc::default(),
            refusals,
            instead: Vec::new(),
            lingering: None,
        }
    }

    /// To be set when the first head has been read.
    pub(super) fn greeted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.greeted)
    }

    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl Refusals {
    pub(super) fn new(hsts: bool) -> Self {
        Self { hsts }
    }

    /// The whole answer in place of `own`, if that is the parser's: a refusal without a body, which no route answers.
    fn instead_of(&self, own: &[u8]) -> Option<Vec<u8>> {
        let head = own.strip_prefix(b"HTTP/1.1 4").or_else(|| own.strip_prefix(b"HTTP/1.0 4"))?;
        let bare = own.windows(19).any(|window| window == b"content-length: 0\r\n");
        if !bare {
            return None;
        }
        let problem = match head.first_chunk()? {
            b"31" => Problem::bad_request(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "the head of a request may have 16 KiB and 100 headers",
            ),
            b"14" => Problem::bad_request(StatusCode::URI_TOO_LONG, "the path is too long"),
            b"00" => Problem::bad_request(StatusCode::BAD_REQUEST, "this is not HTTP/1.1 as it must be"),
            _ => return None,
        };
        Some(self.written(&problem))
    }

    fn written(&self, problem: &Problem) -> Vec<u8> {
        let body = problem.body();
        let mut headers = HeaderMap::new();
        secure(&mut headers, self.hsts);
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let mut text = format!("HTTP/1.1 {}\r\n", problem.status()).into_bytes();
        for (name, value) in &headers {
            text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        text.extend([b"\r\n", body.as_bytes()].concat());
        text
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.greeted.load(Ordering::Relaxed) {
            self.greeting = None;
        }
        let late = self.greeting.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        if late && read.is_pending() { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { read }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(cx))?;
        if let Some(instead) = self.refusals.instead_of(bytes) {
            self.instead = instead;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let (deadline, left) =
            this.lingering.get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER)), LINGER_BYTES));
        loop {
            let mut scratch = [0; 4096];
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut this.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && *left > buffer.filled().len() => {
                    *left -= buffer.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return deadline.as_mut().poll(cx).map(Ok),
            }
        }
    }
}
