//! Symbolon as a test plays it, without a socket: every call is handed to the test, which answers it when it likes.

use super::pb;
use std::convert::Infallible;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use tonic::body::Body;
use tonic::codegen::tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

pub(crate) type Event = Result<pb::WatchRevocationsResponse, Status>;

/// A call that waits for its answer.
pub(crate) enum Call {
    Watch { cursor: String, events: mpsc::UnboundedSender<Event> },
    Introspect { token: String, answer: oneshot::Sender<Result<bool, Status>> },
    Jwks { authorization: Option<String>, answer: oneshot::Sender<Result<pb::GetJwksResponse, Status>> },
}

/// The end a verifier is given.
#[derive(Clone)]
pub(crate) struct Fake(mpsc::UnboundedSender<Call>);

/// The end the test keeps.
pub(crate) struct Calls(mpsc::UnboundedReceiver<Call>);

pub(crate) fn fake() -> (Fake, Calls) {
    let (calls, received) = mpsc::unbounded_channel();
    (Fake(calls), Calls(received))
}

impl Calls {
    pub(crate) async fn next(&mut self) -> Call {
        self.0.recv().await.expect("nobody can call any more")
    }

    pub(crate) fn is_idle(&mut self) -> bool {
        self.0.try_recv().is_err()
    }

    pub(crate) async fn watch(&mut self) -> (String, mpsc::UnboundedSender<Event>) {
        match self.next().await {
            Call::Watch { cursor, events } => (cursor, events),
            Call::Introspect { .. } | Call::Jwks { .. } => panic!("not a call for the feed"),
        }
    }
}

impl Service<http::Request<Body>> for Fake {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let calls = self.0.clone();
        let gone = || Status::unavailable("the test has ended");
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "WatchRevocations" => {
                    let watch = service_fn(move |request: Request<pb::WatchRevocationsRequest>| {
                        let (events, stream) = mpsc::unbounded_channel();
                        let sent = calls.send(Call::Watch { cursor: request.into_inner().cursor, events });
                        std::future::ready(match sent {
                            Ok(()) => Ok(Response::new(UnboundedReceiverStream::new(stream))),
                            Err(_) => Err(gone()),
                        })
                    });
                    Grpc::new(ProstCodec::default()).server_streaming(watch, request).await
                }
                "IntrospectToken" => {
                    let introspect = service_fn(move |request: Request<pb::IntrospectTokenRequest>| {
                        let (answer, answered) = oneshot::channel();
                        let _ = calls.send(Call::Introspect { token: request.into_inner().token, answer });
                        async move {
                            let active = answered.await.map_err(|_| gone())??;
                            Ok(Response::new(pb::IntrospectTokenResponse { active, ..Default::default() }))
                        }
                    });
                    Grpc::new(ProstCodec::default()).unary(introspect, request).await
                }
                "GetJwks" => {
                    let jwks = service_fn(move |request: Request<pb::GetJwksRequest>| {
                        let (answer, answered) = oneshot::channel();
                        let authorization = request.metadata().get("authorization");
                        let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
                        let _ = calls.send(Call::Jwks { authorization, answer });
                        async move { answered.await.map_err(|_| gone())?.map(Response::new) }
                    });
                    Grpc::new(ProstCodec::default()).unary(jwks, request).await
                }
                other => panic!("{other} is not what a verifier calls"),
            })
        })
    }
}
