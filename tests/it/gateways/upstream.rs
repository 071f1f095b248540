//! What stands behind a gateway.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An upstream that remembers what it was asked, calls all its answers public, sets a cookie of its own, answers `/status/404`
/// so, and echoes whatever comes over a connection that is upgraded. Ends when dropped.
pub(super) struct Upstream {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// One request as it came.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Upstream {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let noted = Arc::clone(&seen);
        let routes = Router::new().fallback(async move |mut request: Request| {
            let upgrade = hyper::upgrade::on(&mut request);
            let (Parts { method, uri, headers, .. }, body) = request.into_parts();
            let upgrades = headers.contains_key(header::UPGRADE);
            let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
            let (method, target) = (method.to_string(), uri.to_string());
            let status = target.strip_prefix("/status/").map_or(StatusCode::OK, |status| status.parse().unwrap());
            noted.lock().unwrap().push(Seen { method, target, headers, body });
            if upgrades { echo(upgrade) } else { public(status) }
        });
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { port, seen, task }
    }

    /// What it was asked since the last look.
    pub(super) fn saw(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The only request since the last look.
    pub(super) fn saw_one(&self) -> Seen {
        let [seen] = self.saw().try_into().unwrap();
        seen
    }
}

impl Seen {
    /// All values of a header that say something.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let values = self.headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned());
        values.filter(|value| !value.is_empty()).collect()
    }
}

fn public(status: StatusCode) -> Response {
    let headers = [(header::CACHE_CONTROL, "public, max-age=600"), (header::SET_COOKIE, "theme=dark")];
    (status, headers, "the application").into_response()
}

fn echo(upgrade: hyper::upgrade::OnUpgrade) -> Response {
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
