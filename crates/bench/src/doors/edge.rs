//! Symbolon's HTTP edge, asked as a page asks it: the refresh token in a cookie, with the headers a browser and the page's
//! script send. Sessions come from the gRPC service, since signing in here would measure how passwords are hashed.

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, COOKIE, HeaderValue, SET_COOKIE, USER_AGENT};

use super::http::{Address, Connection};
use super::{Refusal, grpc};
use crate::Failure;

/// The beginning of the cookie: its name and the equals sign.
#[derive(Clone)]
pub(super) struct Cookie(String);

pub(crate) struct Door {
    sign_in: grpc::Client,
    connection: Connection,
    cookie: Cookie,
}

impl Cookie {
    /// Of this name, or else of the one the edge gives it where browsers reach it by http.
    pub(super) fn named(name: Option<&str>, address: &Address) -> Result<Self, Failure> {
        let cookie = match name {
            Some(name) => format!("{name}="),
            None => format!("symbolon-{}=", address.port()),
        };
        HeaderValue::from_str(&cookie).map_err(|_| format!("--cookie {cookie}: no header may have that"))?;
        Ok(Self(cookie))
    }

    fn with(&self, token: &str) -> Result<HeaderValue, Refusal> {
        let mut text = String::with_capacity(self.0.len() + token.len());
        text.push_str(&self.0);
        text.push_str(token);
        HeaderValue::try_from(text).map_err(|_| Refusal::Failed("a token that is no cookie".into()))
    }

    /// The token in a Set-Cookie header.
    fn token<'a>(&self, header: &'a HeaderValue) -> Option<&'a str> {
        header.to_str().ok()?.strip_prefix(&self.0)?.split(';').next()
    }
}

impl Door {
    pub(super) fn new(sign_in: grpc::Client, address: &Address, cookie: &Cookie) -> Self {
        Self { sign_in, connection: Connection::new(address), cookie: cookie.clone() }
    }

    pub(super) async fn issue(&mut self, subject: &str) -> Result<String, Refusal> {
        grpc::issue(&mut self.sign_in, subject).await
    }

    pub(super) async fn refresh(&mut self, token: &str) -> Result<String, Refusal> {
        let mut request =
            Request::post("/auth/refresh").body(Full::new(Bytes::new())).expect("cannot fail: it is fixed");
        let headers = request.headers_mut();
        headers.insert(COOKIE, self.cookie.with(token)?);
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        headers.insert("x-symbolon-csrf", HeaderValue::from_static("1"));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(USER_AGENT, HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"));
        let (head, _) = self.connection.ask(request).await?;
        let refresh = head.headers.get_all(SET_COOKIE).iter().find_map(|header| self.cookie.token(header));
        let missing = || Refusal::Failed("an answer without the cookie: --cookie names it".into());
        Ok(refresh.ok_or_else(missing)?.to_owned())
    }
}
