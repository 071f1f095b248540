use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// `GET` over plain HTTP: status and body.
pub(crate) async fn get(address: &str, path: &str) -> (u16, String) {
    let answer = raw(address, &Ask::get(path).header("connection", "close").bytes()).await.unwrap();
    (answer.status, answer.body)
}

/// A request to be written byte for byte.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In the order they came, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), headers: Vec::new(), body: None }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// As a page of the edge's own origin asks.
    pub(crate) fn page(method: &str, path: &str) -> Self {
        Self::new(method, path).header("sec-fetch-site", "same-origin").header("x-symbolon-csrf", "1")
    }

    /// A sign-in from a page.
    pub(crate) fn login(username: &str, password: &str) -> Self {
        let credentials = serde_json::json!({ "username": username, "password": password });
        Self::page("POST", "/auth/login").json(&credentials)
    }

    pub(crate) fn refresh() -> Self {
        Self::page("POST", "/auth/refresh")
    }

    /// A request at a gateway, as that tells the exchange of it.
    pub(crate) fn at_gateway(method: &str, target: &str) -> Self {
        Self::get("/exchange").header("x-forwarded-method", method).header("x-forwarded-uri", target)
    }

    pub(crate) fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut headers = self.headers;
        headers.push((name.to_owned(), value.as_ref().to_vec()));
        Self { headers, ..self }
    }

    /// Leaves a header out again.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// The bytes, for a connection that goes on.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let named = self.headers.iter().any(|(name, _)| name == "host");
        let host = if named { "" } else { "host: localhost:8080\r\n" };
        let mut bytes = format!("{} {} HTTP/1.1\r\n{host}", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        if let Some(body) = &self.body {
            bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    /// Asks on a connection of its own.
    pub(crate) async fn of(&self, address: &str) -> Answer {
        let closing = self.clone().header("connection", "close");
        let mut connection = Connection::open(address).await;
        connection.bare = self.method == "HEAD";
        connection.write(&closing.bytes()).await;
        let answer = connection.answer().await.unwrap_or_else(|| panic!("no answer to {self:?}"));
        super::documented(&self.method, &self.path, &answer);
        answer
    }
}

/// Writes bytes as they are and reads one answer; `None` if the connection ends without.
pub(crate) async fn raw(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut connection = Connection::open(address).await;
    connection.write(bytes).await;
    connection.answer().await
}

/// A connection, for what one request cannot show.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    /// Whether it was asked for heads only.
    bare: bool,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new(), bare: false }
    }

    /// From an address of this machine's own, `127.0.0.x`, as if somebody else asked.
    pub(crate) async fn from(source: &str, address: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        let stream = socket.connect(address.parse().unwrap()).await.unwrap();
        Self { stream, read: Vec::new(), bare: false }
    }

    /// What cannot be written, since the other end has had enough, is not.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next answer; `None` if the connection ends before it is whole.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, self.read_answer()).await.expect("neither an answer nor an end")
    }

    /// The next so many bytes, of a connection that no longer speaks HTTP.
    pub(crate) async fn text(&mut self, length: usize) -> String {
        let patience = Duration::from_secs(20);
        let read = async {
            while self.read.len() < length {
                self.more().await.expect("it ends");
            }
        };
        tokio::time::timeout(patience, read).await.expect("nothing comes");
        String::from_utf8(self.read.drain(..length).collect()).unwrap()
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let text = String::from_utf8(self.read.drain(..head + 4).collect()).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_lowercase(), value.trim().to_owned())
        };
        let mut answer = Answer { status, headers: lines.map(header).collect(), body: String::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let length = if self.bare || answer.status == 304 { 0 } else { length };
        while self.read.len() < length {
            self.more().await?;
        }
        answer.body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Some(answer)
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        self.read.extend(&buffer[..count]);
        Some(())
    }
}

impl Answer {
    /// The only header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        let value = values.next();
        assert_eq!(values.next(), None, "more than one {name}");
        value.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The problem's code; empty if this is none.
    pub(crate) fn code(&self) -> String {
        if self.header("content-type") != Some("application/problem+json") || self.body.is_empty() {
            return String::new();
        }
        self.json()["code"].as_str().unwrap().to_owned()
    }

    /// Status and code.
    pub(crate) fn problem(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// `name=value` of the cookie that was set; `None` if none was.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.header("set-cookie").map(|cookie| cookie.split(';').next().unwrap().to_owned())
    }

    pub(crate) fn access_token(&self) -> String {
        self.json()["access_token"].as_str().unwrap_or_else(|| panic!("no token: {self:?}")).to_owned()
    }

    /// All headers but what the server itself puts there.
    pub(crate) fn golden(&self) -> BTreeMap<&str, &str> {
        let own = ["date", "content-length", "connection"];
        let headers = self.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        headers.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// A browser as far as cookies go: what is set replaces what was, what is deleted is gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser(Option<String>);

impl Browser {
    /// One that has just signed in.
    pub(crate) async fn signed_in(address: &str, username: &str) -> Self {
        let mut browser = Self::default();
        let answer = browser.ask(address, &Ask::login(username, username)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        browser
    }

    pub(crate) async fn ask(&mut self, address: &str, ask: &Ask) -> Answer {
        let ask = self.0.iter().fold(ask.clone(), |ask, cookie| ask.header("cookie", cookie));
        let answer = ask.of(address).await;
        self.take(&answer);
        answer
    }

    /// Does as an answer says.
    pub(crate) fn take(&mut self, answer: &Answer) {
        let Some(header) = answer.header("set-cookie") else { return };
        self.0 = answer.cookie().filter(|_| !header.contains("Max-Age=0"));
    }

    /// `name=value`, as it would be sent.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The refresh token itself, which no script can see.
    pub(crate) fn token(&self) -> &str {
        self.cookie().unwrap().split_once('=').unwrap().1
    }
}
