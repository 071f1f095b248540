//! HTTP/1.1 as a proxy speaks it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept.
pub(crate) struct Kept {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Kept {
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 8192] }
    }

    /// The whole answer.
    pub(crate) async fn ask(&mut self, request: &str) -> &str {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        loop {
            read += self.stream.read(&mut self.buffer[read..]).await.unwrap();
            let text = std::str::from_utf8(&self.buffer[..read]).unwrap();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split_once("content-length: ").unwrap().1.lines().next().unwrap();
                if body.len() == length.parse::<usize>().unwrap() {
                    break;
                }
            }
        }
        std::str::from_utf8(&self.buffer[..read]).unwrap()
    }
}
