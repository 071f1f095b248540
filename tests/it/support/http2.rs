use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The frames of HTTP/2 that the tests look for (RFC 9113 section 6).
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// One frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    pub(crate) fn is_ack(&self) -> bool {
        self.flags & ACK != 0
    }

    /// The error code of `RST_STREAM`, which is its whole payload.
    pub(crate) fn error_code(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }
}

/// A client that speaks HTTP/2 in single frames, to see and do what a well-behaved one hides.
pub(crate) struct Http2(TcpStream);

impl Http2 {
    /// Connects and says what a client says first.
    pub(crate) async fn connect(address: &str) -> Self {
        let mut connection = Self(TcpStream::connect(address).await.unwrap());
        connection.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        connection.send(SETTINGS, 0, 0, &[]).await;
        connection
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[head.as_slice(), payload].concat()).await.unwrap();
    }

    /// The next frame; `None` if the server ended the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind, if it comes within `patience`.
    pub(crate) async fn wait_for(&mut self, kind: u8, patience: Duration) -> Option<Frame> {
        let found = async {
            loop {
                match self.frame().await {
                    Some(frame) if frame.kind == kind => return Some(frame),
                    Some(_) => {}
                    None => return None,
                }
            }
        };
        tokio::time::timeout(patience, found).await.ok().flatten()
    }

    /// What the server said first: the values of its SETTINGS by their identifier.
    pub(crate) async fn settings(&mut self) -> BTreeMap<u16, u32> {
        let frame = self.wait_for(SETTINGS, Duration::from_secs(5)).await.expect("a server begins with SETTINGS");
        self.send(SETTINGS, ACK, 0, &[]).await;
        let entries = frame.payload.chunks(6);
        entries
            .map(|it| (u16::from_be_bytes([it[0], it[1]]), u32::from_be_bytes([it[2], it[3], it[4], it[5]])))
            .collect()
    }

    /// Begins a call: the headers, and no end.
    pub(crate) async fn begin(&mut self, stream: u32, method: &str, more: &[(&str, &str)]) {
        self.begin_at(stream, &format!("/symbolon.auth.v1.AuthService/{method}"), more).await;
    }

    /// The same at any `:path`.
    pub(crate) async fn begin_at(&mut self, stream: u32, path: &str, more: &[(&str, &str)]) {
        // `:method POST` and `:scheme http` stand in the static table of HPACK; the rest is spelled out.
        let mut block = vec![0x83, 0x86];
        let usual = [("content-type", "application/grpc"), ("te", "trailers")];
        for (name, value) in [(":path", path), (":authority", "localhost")].iter().chain(&usual).chain(more) {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
                block.extend(text.as_bytes());
            }
        }
        self.send(HEADERS, END_HEADERS, stream, &block).await;
    }

    /// Sends a message, the only one of its call.
    pub(crate) async fn finish(&mut self, stream: u32, message: &[u8]) {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        self.send(DATA, END_STREAM, stream, &[&[0], length.as_slice(), message].concat()).await;
    }
}
