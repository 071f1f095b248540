//! The HTTP server under the edge: its limits, its refusals, and heads that want to be two requests. R-EDGE-07.

use std::time::Duration;

use symbolon::edge::Limits;
use tokio::time::{Instant, timeout};

use crate::support::alone::Alone;
use crate::support::http::{Connection, raw};
use crate::support::{Ask, Browser, Server};

/// R-EDGE-07
#[tokio::test]
async fn a_head_over_16_kib_is_refused_with_a_problem_and_a_smaller_one_is_read() {
    let server = Server::start().await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let cookie = browser.cookie().unwrap().to_owned();
    let padded = |bytes: usize| Ask::refresh().header("cookie", &cookie).header("x-padding", "x".repeat(bytes));
    let small = padded(15_000).of(&server.edge).await;
    assert_eq!(small.status, 200);
    browser.take(&small);
    let jar: String = (0..20).map(|number| format!("cookie-{number}={}; ", "x".repeat(3000))).collect();
    let many = (0..150).fold(Ask::refresh(), |ask, number| ask.header(&format!("x-{number}"), "1"));
    for ask in [padded(16_384), padded(60_000), padded(2_000_000), Ask::refresh().header("cookie", jar + &cookie), many]
    {
        let answer = ask.of(&server.edge).await;
        assert_eq!(answer.problem(), (431, "bad_request".to_owned()));
        assert_eq!((answer.header("set-cookie"), answer.header("cache-control")), (None, Some("no-store")));
    }
    let long = Ask::get(&format!("/auth/check?audience={}", "x".repeat(100_000))).of(&server.edge).await;
    assert!(matches!(long.status, 414 | 431), "{long:?}");
    assert_eq!(long.code(), "bad_request");
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

/// R-EDGE-07
#[tokio::test]
async fn a_body_over_8_kib_is_refused_however_it_is_sent() {
    let server = Server::start().await;
    let json = |bytes: usize| format!("{{\"username\":\"{}\"}}", "x".repeat(bytes - 15));
    let login = |body: String| Ask::page("POST", "/auth/login").header("content-type", "application/json").body(body);
    assert_eq!(login(json(8192)).of(&server.edge).await.code(), "credentials_rejected");
    for bytes in [8193, 100_000, 2_000_000] {
        assert_eq!(login(json(bytes)).of(&server.edge).await.problem(), (413, "bad_request".to_owned()), "{bytes}");
    }
    for path in ["/auth/refresh", "/auth/logout", "/auth/logout-all"] {
        let ask = Ask::page("POST", path).header("content-type", "application/json").body("x".repeat(9000));
        assert_eq!(ask.of(&server.edge).await.problem(), (413, "bad_request".to_owned()), "{path}");
    }
    let head = Ask::page("POST", "/auth/login")
        .header("content-type", "application/json")
        .header("transfer-encoding", "chunked");
    let mut chunked = head.bytes();
    for _ in 0..9 {
        chunked.extend(b"3e8\r\n");
        chunked.extend([b'x'; 1000]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    assert_eq!(raw(&server.edge, &chunked).await.unwrap().problem(), (413, "bad_request".to_owned()));
}

#[tokio::test]
async fn what_is_no_http_is_refused_with_a_problem_and_the_connection_ends() {
    let server = Server::start().await;
    let mut garbage: Vec<&[u8]> = vec![
        b"GARBAGE\r\n\r\n",
        b"POST /auth/refresh HTTP/1.1\nhost : a\r\n\r\n",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\n folded: b\r\n\r\n",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\na\0b: c\r\n\r\n",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\nx",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\ncontent-length: 1, 2\r\n\r\nxx",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n",
        b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n",
        b"POST /auth/refresh HTTP/3.0\r\nhost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for bytes in garbage.drain(..) {
        let mut connection = Connection::open(&server.edge).await;
        connection.write(bytes).await;
        let answer = connection.answer().await.unwrap_or_else(|| panic!("{}", bytes.escape_ascii()));
        assert_eq!(answer.problem(), (400, "bad_request".to_owned()), "{}", bytes.escape_ascii());
        assert!(connection.answer().await.is_none(), "{}", bytes.escape_ascii());
    }
}

/// The two ways to say how long a body is, at once: whoever stands in front may have believed the other one.
#[tokio::test]
async fn a_request_within_a_request_is_not_answered() {
    let server = Server::start().await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let hidden =
        String::from_utf8(Ask::page("POST", "/auth/logout").header("cookie", browser.cookie().unwrap()).bytes());
    let hidden = hidden.unwrap();
    let page = "host: a\r\nsec-fetch-site: same-origin\r\nx-symbolon-csrf: 1\r\ncontent-type: application/json\r\n";
    let smuggled = [
        format!(
            "POST /auth/refresh HTTP/1.1\r\n{page}content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
            hidden.len() + 5
        ),
        format!(
            "POST /auth/refresh HTTP/1.1\r\n{page}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("POST /auth/refresh HTTP/1.0\r\n{page}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!(
            "POST /auth/refresh HTTP/1.1\r\n{page}content-length: 0\r\ncontent-length: {}\r\n\r\n{hidden}",
            hidden.len()
        ),
    ];
    for bytes in smuggled {
        let mut connection = Connection::open(&server.edge).await;
        connection.write(bytes.as_bytes()).await;
        let mut answers = 0;
        while let Some(answer) = connection.answer().await {
            assert_ne!(answer.status, 204, "the hidden request was done: {bytes}");
            answers += 1;
        }
        assert!(answers <= 1, "{bytes}");
    }
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

/// R-EDGE-07
#[tokio::test]
async fn other_methods_are_refused_and_told_which_there_are() {
    let server = Server::start().await;
    let routes = [
        ("/auth/login", "POST"),
        ("/auth/refresh", "POST"),
        ("/auth/logout", "POST"),
        ("/auth/logout-all", "POST"),
        ("/auth/sessions", "GET,HEAD"),
        ("/auth/sessions/x", "DELETE"),
        ("/auth/check", "GET,HEAD"),
        ("/.well-known/jwks.json", "GET,HEAD"),
        ("/.well-known/oauth-authorization-server", "GET,HEAD"),
        ("/.well-known/openid-configuration", "GET,HEAD"),
    ];
    for (path, allowed) in routes {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            if !allowed.contains(method) {
                let answer = Ask::page(method, path).of(&server.edge).await;
                assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{method} {path}");
                assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
            }
        }
    }
    for path in [
        "/",
        "/auth",
        "/auth/",
        "/auth/login/",
        "/auth/Login",
        "/auth//login",
        "/auth/sessions/a/b",
        "/%2e%2e/auth/login",
    ] {
        let answer = Ask::page("POST", path).of(&server.edge).await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

fn brief() -> Limits {
    let span = Duration::from_millis;
    Limits { greeting: span(300), idle: span(1200), connections: 2, ..Limits::default() }
}

/// R-EDGE-07
#[tokio::test]
async fn a_connection_that_does_not_begin_in_time_or_is_idle_too_long_ends() {
    let limits = Limits::default();
    assert_eq!((limits.greeting, limits.idle), (Duration::from_secs(5), Duration::from_secs(75)));
    let edge = Alone::with(&["http://127.0.0.1:1".to_owned()], &[], brief()).await;
    let lasts = async |connection: &mut Connection| {
        let began = Instant::now();
        assert!(connection.answer().await.is_none());
        began.elapsed().as_millis()
    };
    let mut silent = Connection::open(&edge.address).await;
    let took = lasts(&mut silent).await;
    assert!((250..1000).contains(&took), "{took} ms");

    let mut slow = Connection::open(&edge.address).await;
    slow.write(b"POST /auth/refresh HTTP/1.1\r\nhost: a\r\nx-").await;
    let took = lasts(&mut slow).await;
    assert!((250..1000).contains(&took), "{took} ms");

    let mut idle = Connection::open(&edge.address).await;
    idle.write(&Ask::refresh().bytes()).await;
    assert_eq!(idle.answer().await.unwrap().code(), "no_session");
    tokio::time::sleep(Duration::from_millis(600)).await;
    idle.write(&Ask::refresh().bytes()).await;
    assert_eq!(idle.answer().await.unwrap().code(), "no_session", "it is kept between requests");
    let took = lasts(&mut idle).await;
    assert!((1000..3000).contains(&took), "{took} ms");
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let edge = Alone::with(&["http://127.0.0.1:1".to_owned()], &[], brief()).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(&edge.address).await;
        connection.write(&Ask::refresh().bytes()).await;
        assert_eq!(connection.answer().await.unwrap().code(), "no_session");
        open.push(connection);
    }
    let mut third = Connection::open(&edge.address).await;
    third.write(&Ask::refresh().bytes()).await;
    assert!(timeout(Duration::from_millis(300), third.answer()).await.is_err(), "there was room for a third");
    open.pop();
    assert_eq!(third.answer().await.unwrap().code(), "no_session");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::start().await;
    let head =
        Ask::page("POST", "/auth/login").header("content-type", "application/json").header("content-length", "10");
    let mut connection = Connection::open(&server.edge).await;
    connection.write(&head.bytes()).await;
    let began = Instant::now();
    assert_eq!(connection.answer().await.unwrap().problem(), (400, "bad_request".to_owned()));
    assert!((4000..8000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}
