use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use symbolon::edge::{Limits, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What stands behind a proxy beside the edge: answers everything, and remembers the headers it was sent. Ends when
/// dropped.
pub(crate) struct Application {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    task: JoinHandle<()>,
}

impl Application {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<HeaderMap>>>::default();
        let noted = Arc::clone(&seen);
        let routes = Router::new().fallback(async move |headers: HeaderMap| {
            noted.lock().unwrap().push(headers);
            "the application"
        });
        let task = tokio::spawn(serve(vec![listener], routes, Limits::default(), false, std::future::pending()));
        Self { port, seen, task }
    }

    /// What it was sent since the last look.
    pub(crate) fn saw(&self) -> Vec<HeaderMap> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// All values of a header in the only request since the last look; `None` if there was no request.
    pub(crate) fn saw_in(&self, name: &str) -> Option<Vec<String>> {
        let mut seen = self.saw();
        assert!(seen.len() < 2, "more than one request: {seen:?}");
        let values =
            |headers: HeaderMap| headers.get_all(name).iter().map(|it| it.to_str().unwrap().to_owned()).collect();
        seen.pop().map(values)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}
