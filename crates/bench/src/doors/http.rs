//! HTTP/1 over one connection that is kept, as a proxy keeps its own, and opened anew when the server closed it. It knows no
//! route.

use std::borrow::Cow;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::http::response::Parts;
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Refusal;
use crate::Failure;

/// Where a server is.
#[derive(Clone)]
pub(super) struct Address {
    authority: Authority,
    host: HeaderValue,
}

/// One connection to it.
pub(super) struct Connection {
    address: Address,
    kept: Option<SendRequest<Full<Bytes>>>,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, Failure> {
        let uri = url.parse::<Uri>().map_err(|error| format!("--http {url}: {error}"))?;
        let authority =
            uri.authority().ok_or_else(|| format!("--http {url}: expected a URL like http://localhost:8080"))?;
        Ok(Self { authority: authority.clone(), host: HeaderValue::from_str(authority.as_str())? })
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(80)
    }
}

impl Connection {
    pub(super) fn new(address: &Address) -> Self {
        Self { address: address.clone(), kept: None }
    }

    /// The whole answer, if it is one of success; else its status is the refusal, with `code` of its body.
    pub(super) async fn ask(&mut self, mut request: Request<Full<Bytes>>) -> Result<(Parts, Bytes), Refusal> {
        request.headers_mut().insert(HOST, self.address.host.clone());
        // Whoever gives up on an answer leaves none for the next one: then the connection is not put back.
        let mut kept = match self.kept.take().filter(|kept| !kept.is_closed()) {
            Some(kept) => kept,
            None => self.connect().await.map_err(|error| failed("not connected", &error))?,
        };
        let sent = async {
            kept.ready().await?;
            let (head, body) = kept.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>((head, body.collect().await?.to_bytes()))
        };
        let (head, body) = sent.await.map_err(|error| failed("no whole answer", &error))?;
        self.kept = Some(kept);
        if head.status.is_success() { Ok((head, body)) } else { Err(refusal(head.status, &body)) }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let stream = TcpStream::connect((self.address.authority.host(), self.address.port())).await?;
        stream.set_nodelay(true)?;
        let (kept, connection) = handshake(TokioIo::new(stream)).await?;
        // What breaks is told to whoever waits for an answer.
        tokio::spawn(async { drop(connection.await) });
        Ok(kept)
    }
}

fn failed(what: &'static str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Failed(format!("{what}: {error}").into())
}

/// A client's fault is a refusal, unless it only came too soon.
fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    #[derive(serde::Deserialize)]
    struct Problem<'a> {
        #[serde(borrow)]
        code: Cow<'a, str>,
    }

    let code = match serde_json::from_slice::<Problem<'_>>(body) {
        Ok(problem) => format!("{} {}", status.as_u16(), problem.code),
        Err(_) => status.as_u16().to_string(),
    };
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        Refusal::Refused(code.into())
    } else {
        Refusal::Failed(code.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_the_token_was_refused_and_a_problem_why() {
        let spent = refusal(StatusCode::UNAUTHORIZED, br#"{"type":"about:blank","code":"session_reused"}"#);
        assert!(matches!(spent, Refusal::Refused(code) if code == "401 session_reused"));
        assert!(matches!(refusal(StatusCode::BAD_REQUEST, b"no"), Refusal::Refused(code) if code == "400"));
        assert!(matches!(refusal(StatusCode::TOO_MANY_REQUESTS, b""), Refusal::Failed(_)));
        assert!(matches!(refusal(StatusCode::BAD_GATEWAY, b""), Refusal::Failed(_)));
    }
}
