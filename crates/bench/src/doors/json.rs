//! A server written by hand, with two routes that speak JSON: `POST /login` with a subject and `POST /refresh` with a refresh
//! token are both answered with a pair of tokens.

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Refusal;
use super::http::{Address, Connection};

pub(crate) struct Door(Connection);

#[derive(Deserialize)]
struct Answer {
    /// It has to be there, and is of no use here.
    #[serde(rename = "access_token")]
    _access_token: IgnoredAny,
    refresh_token: String,
}

impl Door {
    pub(super) fn new(address: &Address) -> Self {
        Self(Connection::new(address))
    }

    pub(super) async fn issue(&mut self, subject: &str) -> Result<String, Refusal> {
        self.post("/login", body(br#"{"subject":"#, subject)).await
    }

    pub(super) async fn refresh(&mut self, token: &str) -> Result<String, Refusal> {
        self.post("/refresh", body(br#"{"refresh_token":"#, token)).await
    }

    async fn post(&mut self, path: &'static str, body: Vec<u8>) -> Result<String, Refusal> {
        let mut request = Request::post(path).body(Full::new(Bytes::from(body))).expect("cannot fail: it is fixed");
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (_, body) = self.0.ask(request).await?;
        let answer = serde_json::from_slice::<Answer>(&body);
        Ok(answer.map_err(|_| Refusal::Failed("an answer without tokens".into()))?.refresh_token)
    }
}

/// An object with one member, whose beginning is given.
fn body(begin: &[u8], value: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(begin.len() + value.len() + 3);
    body.extend_from_slice(begin);
    serde_json::to_writer(&mut body, value).expect("cannot fail: a text into memory");
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_body_is_json_whatever_is_in_it() {
        let body = super::body(br#"{"subject":"#, "a \"quoted\" name");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value, serde_json::json!({"subject": "a \"quoted\" name"}));
    }
}
