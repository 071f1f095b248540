//! The layer from outside: what it hands on, and the one answer to everything else.

use crate::forge::{AUDIENCE, HEADER, ISSUER, NOW, PAYLOAD, honest, jwks, token};
use crate::{Body, Claims, Issuer, Rejection, Verifier, VerifierLayer};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use std::convert::Infallible;
use tower::{ServiceBuilder, ServiceExt, service_fn};

/// Trusts the honest key, with the time and the leeways of the forge.
pub(crate) fn verifier() -> Verifier {
    let issuer = Issuer::new(ISSUER).keys(jwks());
    let builder = Verifier::new(issuer, AUDIENCE).exp_leeway(0).iat_leeway(5).clock(|| NOW);
    builder.build().unwrap()
}

fn blocking<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// What comes of a request behind the layer: the claims the service was shown, as `sub`, or the layer's own answer.
async fn ask(layer: VerifierLayer, request: Request<()>) -> Response<String> {
    let service = service_fn(async |request: Request<()>| {
        let sub = request.extensions().get::<Claims>().map_or("nobody", |claims| &claims.sub);
        Ok::<_, Infallible>(Response::new(sub.to_owned()))
    });
    let response: Response<Body<String>> =
        ServiceBuilder::new().layer(layer).service(service).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

fn bringing(authorization: HeaderValue) -> Request<()> {
    Request::get("/").header(header::AUTHORIZATION, authorization).body(()).unwrap()
}

fn bearing(token: &str) -> Request<()> {
    bringing(format!("Bearer {token}").parse().unwrap())
}

/// A forged token, through the layer: the one public answer, and its own reason in the one counter there is.
#[track_caller]
pub(crate) fn refused(name: &str, token: &str, reason: Rejection) {
    // A key of small order has not even got into the set.
    let weak = crate::forge::base64url(HEADER.replace("2026-01", "weak"));
    let reason = if token.starts_with(&weak) { Rejection::UnknownKey } else { reason };
    let value = format!("Bearer {token}").parse::<HeaderValue>();
    let Some(value) = value.ok().filter(|_| !token.starts_with(' ')) else {
        // What no header can hold, or what there is no part of the token, reaches it only by hand.
        assert_eq!(blocking(verifier().verify(token)), Err(reason.into()), "{name}");
        return;
    };
    for layer in [verifier().required(), verifier().optional()] {
        let recorder = DebuggingRecorder::new();
        let answer = metrics::with_local_recorder(&recorder, || blocking(ask(layer, bringing(value.clone()))));
        assert_public(&answer, name);
        assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"", "{name}");
        assert_eq!(counted(&recorder), [reason.label()], "{name}");
    }
}

fn assert_public(answer: &Response<String>, name: &str) {
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
    let detail = if answer.headers()[header::WWW_AUTHENTICATE] == "Bearer" {
        "an access token is missing"
    } else {
        "the access token is not valid"
    };
    let expected = serde_json::json!({
        "title": "Unauthorized", "status": 401, "code": "access_token_invalid", "detail": detail, "retryable": false,
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(answer.body()).unwrap(), expected, "{name}");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json", "{name}");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-store", "{name}");
}

/// The outcomes that were counted.
fn counted(recorder: &DebuggingRecorder) -> Vec<String> {
    let all = recorder.snapshotter().snapshot().into_vec();
    all.into_iter()
        .map(|(key, _, _, value)| {
            let (kind, key) = key.into_parts();
            assert_eq!(
                (kind, key.name(), value),
                (MetricKind::Counter, "symbolon_verifier_tokens_total", DebugValue::Counter(1))
            );
            let labels: Vec<_> = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
            assert_eq!((labels.len(), labels[0].0.as_str()), (1, "outcome"));
            labels[0].1.clone()
        })
        .collect()
}

#[tokio::test]
async fn the_claims_of_a_good_token_are_in_the_request() {
    for layer in [verifier().required(), verifier().optional()] {
        for scheme in ["Bearer ", "bearer ", "BEARER   "] {
            let value = format!("{scheme}{}", honest()).parse().unwrap();
            let answer = ask(layer.clone(), bringing(value)).await;
            assert_eq!((answer.status(), answer.body().as_str()), (StatusCode::OK, "alice"), "{scheme}");
        }
    }
}

#[test]
fn a_token_that_passes_is_counted_once() {
    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || blocking(ask(verifier().required(), bearing(&honest()))));
    assert_eq!(counted(&recorder), ["valid"]);
}

#[tokio::test]
async fn without_a_token_only_a_public_route_is_reached() {
    let requests = || [Request::new(()), bringing(HeaderValue::from_static("Basic YWxpY2U6YWxpY2U="))];
    for request in requests() {
        let answer = ask(verifier().required(), request).await;
        assert_public(&answer, "no token");
        assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer", "no error to who said nothing");
    }
    for request in requests() {
        let answer = ask(verifier().optional(), request).await;
        assert_eq!((answer.status(), answer.body().as_str()), (StatusCode::OK, "nobody"));
    }
}

/// R-JWS-05
#[tokio::test]
async fn what_a_broken_client_sends_is_401_on_every_route() {
    let values: [&[u8]; 10] = [
        b"Bearer",
        b"Bearer ",
        b"Bearer undefined",
        b"Bearer null",
        b"Bearer [object Object]",
        b"Bearer Bearer x",
        b"Bearer \xff\xfe",
        b"Bearer ..",
        b"Bearer \"\"",
        b"bearer eyJhbGciOiJub25lIn0.e30.",
    ];
    for value in values {
        for layer in [verifier().required(), verifier().optional()] {
            let answer = ask(layer, bringing(HeaderValue::from_bytes(value).unwrap())).await;
            assert_public(&answer, &String::from_utf8_lossy(value));
        }
    }
    let mut twice = bearing(&honest());
    twice.headers_mut().append(header::AUTHORIZATION, format!("Bearer {}", honest()).parse().unwrap());
    assert_public(&ask(verifier().required(), twice).await, "twice");
    let merged = format!("Bearer {0}, Bearer {0}", honest()).parse().unwrap();
    assert_public(&ask(verifier().required(), bringing(merged)).await, "merged by a proxy");
}

#[tokio::test]
async fn a_grpc_call_is_answered_in_grpc() {
    for kind in ["application/grpc", "application/grpc+proto"] {
        let forged = token(HEADER, PAYLOAD.replace("api.example", "other.example"));
        let mut request = bearing(&forged);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let answer = ask(verifier().required(), request).await;
        assert_eq!((answer.status(), answer.body().as_str()), (StatusCode::OK, ""));
        assert_eq!(answer.headers()["grpc-status"], "16");
        assert_eq!(answer.headers()["grpc-message"], "the access token is not valid");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/grpc");
    }
}

#[tokio::test]
async fn a_service_is_called_when_it_is_ready_and_not_its_clone() {
    // A service that fails unless it was polled itself.
    struct Polled(bool);
    impl Clone for Polled {
        fn clone(&self) -> Self {
            Self(false)
        }
    }
    impl tower_service::Service<Request<()>> for Polled {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<String>, Infallible>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            self.0 = true;
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request<()>) -> Self::Future {
            assert!(self.0, "called without being ready");
            std::future::ready(Ok(Response::new(String::new())))
        }
    }
    let service = ServiceBuilder::new().layer(verifier().required()).service(Polled(false));
    assert_eq!(service.oneshot(bearing(&honest())).await.unwrap().status(), StatusCode::OK);
}
