//! What one caller can take from everybody else is bounded: size, headers, calls, connections, time.

use std::time::Duration;

use symbolon::pb::auth::IntrospectTokenRequest;
use symbolon::rpc::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::http;
use tonic::{Code, Request};

use crate::support::http2::{GOAWAY, HEADERS, Http2, PING, RST_STREAM, SETTINGS};
use crate::support::{Bounded, Server, reason, redeem, sign_in};

/// Long enough for a busy machine; nothing waits that long if all is well.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long something is watched for not happening.
const A_WHILE: Duration = Duration::from_millis(300);

const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const REFUSED_STREAM: u32 = 7;

#[tokio::test]
async fn a_message_of_64_kib_is_read_and_one_byte_more_is_not() {
    let server = Server::start().await;
    // A tag of one byte and a length of three stand before the text.
    let token = "x".repeat(64 * 1024 - 4);
    let read = server.refresh(&token).await.unwrap_err();
    assert_eq!(reason(&read), "REFRESH_TOKEN_INVALID");
    let refused = server.refresh(&format!("{token}x")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, ""));
    server.issue("alice").await;
}

#[tokio::test]
async fn headers_of_more_than_16_kib_are_refused_and_the_next_call_is_served() {
    let server = Server::start().await;
    let with = |bytes: usize| {
        let mut request = Request::new(sign_in("alice"));
        request.metadata_mut().insert("x-much", "x".repeat(bytes).parse().unwrap());
        request
    };
    server.client().issue_tokens(with(15 * 1024)).await.unwrap();
    let refused = server.client().issue_tokens(with(17 * 1024)).await.unwrap_err();
    assert_eq!(reason(&refused), "", "{refused}");
    server.client().issue_tokens(with(15 * 1024)).await.unwrap();
}

#[tokio::test]
async fn every_connection_is_told_128_streams_and_16_kib_of_headers() {
    let server = Server::start().await;
    let told = async |address: &str| {
        let settings = Http2::connect(address).await.settings().await;
        (settings[&MAX_CONCURRENT_STREAMS], settings[&MAX_HEADER_LIST_SIZE])
    };
    assert_eq!(told(&server.grpc).await, (128, 16 * 1024));
    // Not because somebody else's defaults are the same.
    let bounded = Bounded::by(Limits { streams: 3, header_list: 2048, ..Limits::default() }).await;
    assert_eq!(told(&bounded.grpc).await, (3, 2048));
}

#[tokio::test]
async fn the_129th_call_at_a_time_on_one_connection_is_refused() {
    let server = Server::start().await;
    let mut connection = Http2::connect(&server.grpc).await;
    connection.settings().await;
    let streams: Vec<u32> = (0..129).map(|call| 2 * call + 1).collect();
    for stream in &streams {
        connection.begin(*stream, "GetJwks", &[]).await;
    }
    let refused = connection.wait_for(RST_STREAM, PATIENCE).await.unwrap();
    assert_eq!((refused.stream, refused.error_code()), (streams[128], REFUSED_STREAM));
    // The others wait for their message, and one that gets it is answered.
    connection.finish(streams[127], b"").await;
    assert_eq!(connection.wait_for(HEADERS, PATIENCE).await.unwrap().stream, streams[127]);
}

#[tokio::test]
async fn nothing_is_compressed_and_a_compressed_message_is_refused() {
    let server = Server::start().await;
    let mut request = Request::new(sign_in("alice"));
    request.metadata_mut().insert("grpc-accept-encoding", "gzip,deflate,zstd,identity".parse().unwrap());
    let answer = server.client().issue_tokens(request).await.unwrap();
    assert!(answer.metadata().get("grpc-encoding").is_none_or(|encoding| encoding == "identity"));
    assert!(answer.metadata().get("grpc-accept-encoding").is_none());

    let compressed = http::Request::post(format!("http://{}/symbolon.auth.v1.AuthService/GetJwks", server.grpc))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", "gzip")
        // One byte, said to be compressed.
        .body(Body::new("\u{1}\0\0\0\u{1}x".to_owned()))
        .unwrap();
    let mut channel = server.channel();
    std::future::poll_fn(|cx| GrpcService::poll_ready(&mut channel, cx)).await.unwrap();
    let refused = GrpcService::call(&mut channel, compressed).await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], (Code::Unimplemented as i32).to_string());
}

#[tokio::test]
async fn a_connection_past_its_age_is_asked_to_leave_and_its_call_is_answered() {
    let bounded = Bounded::by(Limits { connection_age: Duration::from_secs(1), ..Limits::default() }).await;
    let mut connection = Http2::connect(&bounded.grpc).await;
    connection.settings().await;
    connection.begin(1, "GetJwks", &[]).await;
    let goaway = connection.wait_for(GOAWAY, PATIENCE).await.expect("GOAWAY");
    let no_error = 0_u32.to_be_bytes();
    assert_eq!(goaway.payload[4..8], no_error);
    connection.finish(1, b"").await;
    let answer = connection.wait_for(HEADERS, PATIENCE).await.unwrap();
    assert_eq!(answer.stream, 1);
}

#[test]
fn connections_live_for_half_an_hour_give_or_take_a_tenth() {
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let age = |drawn: u8| Limits::default().with_drawn_age(drawn).connection_age;
    assert_eq!((age(0), age(255)), (minutes(27), minutes(33)));
    assert!((0..=255).all(|drawn| (minutes(27)..=minutes(33)).contains(&age(drawn))));
    let different: std::collections::BTreeSet<_> = (0..=255).map(age).collect();
    assert!(different.len() >= 20, "replicas started together leave together: {different:?}");
}

#[tokio::test]
async fn a_silent_peer_is_asked_whether_it_is_there_and_dropped_if_it_does_not_say_so() {
    let limits = Limits::default();
    assert_eq!((limits.keepalive_interval.as_secs(), limits.keepalive_timeout.as_secs()), (30, 10));
    let short = Duration::from_millis(200);
    let bounded = Bounded::by(Limits { keepalive_interval: short, keepalive_timeout: short, ..limits }).await;
    let mut connection = Http2::connect(&bounded.grpc).await;
    connection.settings().await;
    let ping = connection.wait_for(PING, PATIENCE).await.expect("a PING");
    assert!(!ping.is_ack());
    let ended = tokio::time::timeout(PATIENCE, async { while connection.frame().await.is_some() {} }).await;
    assert!(ended.is_ok(), "a peer that says nothing is kept");
}

#[tokio::test]
async fn a_connection_too_many_is_served_when_another_leaves() {
    let bounded = Bounded::by(Limits { connections: 2, ..Limits::default() }).await;
    let mut first = Http2::connect(&bounded.grpc).await;
    let mut second = Http2::connect(&bounded.grpc).await;
    first.settings().await;
    second.settings().await;
    let mut third = Http2::connect(&bounded.grpc).await;
    assert!(third.wait_for(SETTINGS, A_WHILE).await.is_none(), "the third of two connections is served");
    drop(first);
    assert!(third.wait_for(SETTINGS, PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_peer_that_does_not_begin_loses_its_place_and_one_that_began_does_not() {
    assert_eq!(Limits::default().greeting, Duration::from_secs(5));
    let bounded =
        Bounded::by(Limits { connections: 1, greeting: Duration::from_millis(300), ..Limits::default() }).await;
    for said in ["", "PRI * HTTP/2.0\r\n"] {
        let mut silent = TcpStream::connect(&bounded.grpc).await.unwrap();
        silent.write_all(said.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut next = Http2::connect(&bounded.grpc).await;
        assert!(next.wait_for(SETTINGS, PATIENCE).await.is_some(), "{said:?} keeps a place for ever");
        tokio::time::sleep(Duration::from_millis(600)).await;
        next.begin(1, "GetJwks", &[]).await;
        next.finish(1, b"").await;
        assert!(next.wait_for(HEADERS, PATIENCE).await.is_some());
    }
}

#[tokio::test]
async fn a_peer_that_sends_garbage_takes_nothing_with_it() {
    let server = Server::start().await;
    for _ in 0..3 {
        let mut connection = Http2::connect(&server.grpc).await;
        connection.settings().await;
        connection.send(HEADERS, 4, 1, &[0xff; 40]).await;
        assert!(connection.wait_for(GOAWAY, PATIENCE).await.is_some());
    }
    server.issue("alice").await;
}

#[tokio::test]
async fn an_empty_and_a_huge_token_are_judged_within_the_limits() {
    let server = Server::start().await;
    assert_eq!(server.client().refresh_tokens(redeem("")).await.unwrap_err().code(), Code::InvalidArgument);
    let token = "sr1_".to_owned() + &"A".repeat(60_000);
    assert_eq!(reason(&server.refresh(&token).await.unwrap_err()), "REFRESH_TOKEN_INVALID");
    let judged = server.client().introspect_token(IntrospectTokenRequest { token }).await.unwrap().into_inner();
    assert!(!judged.active);
}
