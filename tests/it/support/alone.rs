use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use symbolon::cli::{World, build_edge};
use symbolon::clock::ManualClock;
use symbolon::config::{self, Profile};
use symbolon::edge::issuer::{Issuer, channel};
use symbolon::edge::{self, Edge, Limits};
use symbolon::time::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::Endpoint;

use super::{BEGINNING, Dice};

/// An edge without a service of its own, in front of whatever is at some addresses. Ends when dropped.
pub(crate) struct Alone {
    /// `127.0.0.1:port`; browsers call it `http://localhost:8080` all the same.
    pub(crate) address: String,
    pub(crate) edge: Arc<Edge>,
    tasks: [JoinHandle<()>; 2],
}

impl Alone {
    pub(crate) async fn before(urls: &[String]) -> Self {
        Self::with(urls, &[], Limits::default()).await
    }

    pub(crate) async fn with(urls: &[String], env: &[(&str, &str)], limits: Limits) -> Self {
        let usual = [
            ("SYMBOLON_EDGE_LISTEN", "localhost:0"),
            ("SYMBOLON_EDGE_PUBLIC_URL", "http://localhost:8080"),
            ("SYMBOLON_EDGE_ISSUER_URL", "http://localhost:1"),
        ];
        let env: BTreeMap<_, _> =
            usual.iter().chain(env).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let no_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
        let config = config::load(Profile::Edge, None, &env, no_file, |_| Vec::new()).unwrap().config;
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(BEGINNING)));
        let world = World::of(clock, Arc::new(Dice::seeded(2)));
        let endpoints = urls.iter().map(|url| Endpoint::from_shared(url.clone()).unwrap().connect_lazy());
        let issuer = Issuer::new(endpoints.map(channel).collect(), None);
        let edge = Arc::new(build_edge(&config, Profile::Edge, issuer, world).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let followed = Arc::clone(&edge);
        let routes = edge::routes(Arc::clone(&edge));
        let tasks = [
            tokio::spawn(async move { followed.follow_issuer().await }),
            tokio::spawn(edge::serve(vec![listener], routes, limits, edge.hsts(), std::future::pending())),
        ];
        Self { address, edge, tasks }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Something at a gRPC address that is no token service, or not a good one. Ends when dropped.
pub(crate) struct Impostor {
    pub(crate) url: String,
    does: Arc<Mutex<Does>>,
    task: JoinHandle<()>,
}

/// What it does with every call.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Answers with an HTTP status, as a proxy does.
    Http(u16),
    /// Answers with a gRPC status.
    Grpc(Status),
    /// Never answers.
    Hangs,
    /// Answers OK with this message.
    Answers(Vec<u8>),
    /// Answers OK with a message that is not one.
    Babbles,
}

impl Impostor {
    pub(crate) async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let does = Arc::new(Mutex::new(does));
        let doing = Arc::clone(&does);
        let answer = move || {
            let does = doing.lock().unwrap().clone();
            async move {
                match does {
                    Does::Http(status) => axum::http::Response::builder()
                        .status(status)
                        .header("content-type", "text/html")
                        .body(axum::body::Body::from("<h1>a proxy's page</h1>"))
                        .unwrap(),
                    Does::Grpc(status) => status.into_http(),
                    Does::Hangs => std::future::pending().await,
                    Does::Answers(message) => {
                        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                        let body = [&[0], length.as_slice(), &message].concat();
                        let ok = Status::new(tonic::Code::Ok, "").into_http::<axum::body::Body>();
                        let (mut head, _) = ok.into_parts();
                        let trailers = std::mem::take(&mut head.headers);
                        head.headers.insert("content-type", "application/grpc".parse().unwrap());
                        let frames =
                            [Ok(Frame::data(Bytes::from(body))), Ok::<_, std::io::Error>(Frame::trailers(trailers))];
                        let body = axum::body::Body::new(StreamBody::new(futures_util::stream::iter(frames)));
                        axum::http::Response::from_parts(head, body)
                    }
                    Does::Babbles => axum::http::Response::builder()
                        .header("content-type", "application/grpc")
                        .body(axum::body::Body::from(vec![0, 0, 0, 0, 3, 0xff, 0xff, 0xff]))
                        .unwrap(),
                }
            }
        };
        let routes = tonic::service::Routes::from(Router::new().fallback(answer));
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_routes(routes);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { url, does, task }
    }

    pub(crate) fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listener that accepts and says nothing, as a frozen machine does.
pub(crate) async fn frozen() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}

/// Longer than the edge tries again and waits for an answer.
pub(crate) const LONGEST: Duration = Duration::from_secs(9);
