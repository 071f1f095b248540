//! The edge never destroys a good cookie, whatever happens behind it. R-EDGE-04.

use std::collections::HashMap;
use std::time::Duration;

use symbolon::edge::Limits;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::support::alone::{Alone, Does, Impostor, LONGEST, frozen};
use crate::support::{Answer, Ask, Browser, Other, Process, Server};

const DOMAIN: &str = "symbolon.auth.v1";

fn told(code: Code, domain: &str, reason: &str) -> Does {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, domain, HashMap::new());
    Does::Grpc(Status::with_error_details(code, "x", details))
}

fn with_cookie(ask: Ask) -> Ask {
    ask.header("cookie", "symbolon-8080=sr1_x")
}

fn assert_kept(answer: &Answer, why: &str) {
    assert_eq!(answer.problem(), (503, "issuer_unavailable".to_owned()), "{why}");
    assert_eq!(answer.header("set-cookie"), None, "{why}");
    assert_eq!(answer.json()["retryable"], true, "{why}");
}

/// R-EDGE-04
#[tokio::test]
async fn what_stands_between_edge_and_service_says_nothing_about_a_session() {
    let impostor = Impostor::that(Does::Http(401)).await;
    let edge = Alone::before(std::slice::from_ref(&impostor.url)).await;
    let cases = [
        Does::Http(401),
        Does::Http(403),
        Does::Http(404),
        Does::Http(500),
        Does::Http(502),
        Does::Http(200),
        Does::Babbles,
        told(Code::Unauthenticated, DOMAIN, "CALLER_UNAUTHENTICATED"),
        told(Code::PermissionDenied, DOMAIN, "CALLER_NOT_PERMITTED"),
        told(Code::Unauthenticated, DOMAIN, "A_REASON_OF_TOMORROW"),
        told(Code::Unauthenticated, "proxy.example", "SESSION_REVOKED"),
        told(Code::PermissionDenied, DOMAIN, "SESSION_REVOKED"),
        told(Code::Internal, DOMAIN, "INTERNAL"),
        told(Code::Unimplemented, DOMAIN, "SESSION_EXPIRED"),
        Does::Grpc(Status::unauthenticated("a proxy's")),
        Does::Grpc(Status::permission_denied("a proxy's")),
        Does::Grpc(Status::not_found("a proxy's")),
        Does::Grpc(Status::aborted("a proxy's")),
        Does::Grpc(Status::resource_exhausted("a proxy's")),
        Does::Grpc(Status::unimplemented("a proxy's")),
    ];
    for does in cases {
        impostor.does(does.clone());
        for ask in [Ask::refresh(), Ask::page("POST", "/auth/logout")] {
            assert_kept(&with_cookie(ask).of(&edge.address).await, &format!("{does:?}"));
        }
    }
}

/// R-EDGE-04
#[tokio::test]
async fn a_session_that_is_called_dead_loses_its_cookie_no_sooner_than_a_sign_in() {
    let impostor = Impostor::that(Does::Hangs).await;
    let edge = Alone::before(std::slice::from_ref(&impostor.url)).await;
    for (reason, code) in [
        ("REFRESH_TOKEN_INVALID", "session_invalid"),
        ("REFRESH_TOKEN_REUSED", "session_reused"),
        ("SESSION_EXPIRED", "session_expired"),
        ("SESSION_REVOKED", "session_revoked"),
    ] {
        impostor.does(told(Code::Unauthenticated, DOMAIN, reason));
        let answer = with_cookie(Ask::refresh()).of(&edge.address).await;
        assert_eq!((answer.problem(), answer.header("set-cookie")), ((401, code.to_owned()), None));
    }
}

/// R-EDGE-04, R-OPS-06
#[tokio::test]
async fn a_refresh_that_is_limited_is_told_when_to_come_back_and_keeps_its_cookie() {
    let mut details = ErrorDetails::new();
    details.set_error_info("RATE_LIMITED", DOMAIN, HashMap::new());
    details.set_retry_info(Some(Duration::from_millis(1500)));
    let limited = Status::with_error_details(Code::ResourceExhausted, "x", details);
    let impostor = Impostor::that(Does::Grpc(limited)).await;
    let edge = Alone::before(std::slice::from_ref(&impostor.url)).await;
    for ask in [Ask::refresh(), Ask::page("POST", "/auth/logout")] {
        let answer = with_cookie(ask).of(&edge.address).await;
        assert_eq!((answer.problem(), answer.header("set-cookie")), ((429, "rate_limited".to_owned()), None));
        assert_eq!((answer.header("retry-after"), answer.json()["retry_after"].as_u64()), (Some("2"), Some(2)));
    }
}

/// R-EDGE-04
#[tokio::test]
async fn a_service_that_is_away_or_silent_costs_a_wait_and_no_cookie() {
    let (frozen, _kept) = frozen().await;
    let hanging = Impostor::that(Does::Hangs).await;
    let unavailable = Impostor::that(Does::Grpc(Status::unavailable("x"))).await;
    for (url, least, most) in [
        ("http://127.0.0.1:1", 1900, 3000),
        (unavailable.url.as_str(), 1900, 3000),
        (frozen.as_str(), 1900, 9000),
        (hanging.url.as_str(), 6900, 9000),
    ] {
        let edge = Alone::before(&[url.to_owned()]).await;
        let began = tokio::time::Instant::now();
        let ask = with_cookie(Ask::refresh());
        let answer = tokio::time::timeout(LONGEST, ask.of(&edge.address)).await.expect(url);
        assert_kept(&answer, url);
        let took = began.elapsed().as_millis();
        assert!((least..most).contains(&took), "{url}: {took} ms");
        // Nothing was fetched, so nothing can be decided or told.
        assert!(!edge.edge.is_ready());
        for ask in [Ask::get("/auth/check").bearer("a.b.c"), Ask::get("/.well-known/jwks.json")] {
            assert_eq!(ask.of(&edge.address).await.problem(), (503, "issuer_unavailable".to_owned()), "{url}");
        }
    }
}

/// R-EDGE-04
#[tokio::test]
async fn one_of_several_addresses_is_enough() {
    let server = Server::start().await;
    let (frozen, _kept) = frozen().await;
    let good = format!("http://{}", server.grpc);
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let proxy = Impostor::that(Does::Grpc(Status::unavailable("x"))).await;
    let edge = Alone::before(&["http://127.0.0.1:1".to_owned(), good, proxy.url.clone(), frozen]).await;
    edge.edge.ready().await;
    let began = tokio::time::Instant::now();
    for _ in 0..20 {
        let answer = browser.ask(&edge.address, &Ask::refresh()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // The frozen one is waited for once.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

/// R-EDGE-04
#[tokio::test]
async fn a_service_that_comes_back_in_time_is_noticed_by_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let service = Process::dev(dir.path(), &[]).await;
    let port = service.grpc.clone();
    let mut browser = Browser::signed_in(&service.edge, "alice").await;
    let name = browser.cookie().unwrap().split_once('=').unwrap().0.to_owned();
    let env = [("SYMBOLON_EDGE_COOKIE_NAME", name.as_str())];
    let edge = Alone::with(&[format!("http://{port}")], &env, Limits::default()).await;
    edge.edge.ready().await;
    assert_eq!(browser.ask(&edge.address, &Ask::refresh()).await.status, 200);
    service.terminate().await;
    let began = browser.clone();
    let away = tokio::spawn({
        let address = edge.address.clone();
        let mut browser = began.clone();
        async move { (browser.ask(&address, &Ask::refresh()).await, browser) }
    });
    let again = Process::dev(dir.path(), &[("SYMBOLON_GRPC_LISTEN", &port)]).await;
    let (answer, mut browser) = away.await.unwrap();
    // Back within the two seconds or not: the cookie is good.
    if answer.status != 200 {
        assert_kept(&answer, "it took longer than a person waits");
    }
    assert_eq!(browser.ask(&edge.address, &Ask::refresh()).await.status, 200);
    // What was fetched before stays good while the service is away.
    again.kill().await;
    assert!(edge.edge.is_ready());
    assert_eq!(Ask::get("/.well-known/jwks.json").of(&edge.address).await.status, 200);
    assert_kept(&browser.ask(&edge.address, &Ask::refresh()).await, "away for good");
}

/// R-EDGE-04
#[tokio::test]
async fn a_database_that_is_cut_costs_nobody_the_session() {
    let server = Server::start().await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let lock = Other::lock(&server.database()).await;
    assert_kept(&browser.ask(&server.edge, &Ask::refresh()).await, "refresh");
    assert_kept(&browser.ask(&server.edge, &Ask::page("POST", "/auth/logout")).await, "logout");
    let login = browser.ask(&server.edge, &Ask::login("bob", "bob")).await;
    assert_eq!((login.problem(), login.header("set-cookie")), ((503, "issuer_unavailable".to_owned()), None));
    lock.unlock().await;
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

/// R-EDGE-04
#[tokio::test]
async fn answers_that_arrive_in_the_wrong_order_leave_the_user_signed_in() {
    let server = Server::start().await;
    // A slow answer overtaken by a fast one: both tabs sent the same cookie, and the loser's answer comes last.
    let browser = Browser::signed_in(&server.edge, "alice").await;
    let [mut slow, mut fast] = [browser.clone(), browser.clone()];
    let ask = Ask::refresh();
    let (late, early) = tokio::join!(slow.ask(&server.edge, &ask), fast.ask(&server.edge, &ask));
    let mut jar = browser.clone();
    for answer in [early, late] {
        jar.take(&answer);
    }
    assert_eq!(jar.ask(&server.edge, &Ask::refresh()).await.status, 200);

    // Another tab signs in: the old session's end is told after the new cookie was set.
    let old = jar.clone();
    let mut tab = jar.clone();
    let signed_in = tab.ask(&server.edge, &Ask::login("alice", "alice")).await;
    let too_late = old.clone().ask(&server.edge, &Ask::refresh()).await;
    assert_eq!(too_late.code(), "session_revoked");
    for answer in [&signed_in, &too_late] {
        jar.take(answer);
    }
    assert_eq!(jar.ask(&server.edge, &Ask::refresh()).await.status, 200);

    // A stale answer after a newer cookie.
    let oldest = jar.clone();
    jar.ask(&server.edge, &Ask::refresh()).await;
    jar.ask(&server.edge, &Ask::refresh()).await;
    let stale = oldest.clone().ask(&server.edge, &Ask::refresh()).await;
    assert_eq!(stale.code(), "refresh_stale");
    jar.take(&stale);
    assert_eq!(jar.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

/// R-EDGE-04
#[tokio::test]
async fn ten_tabs_that_refresh_at_once_are_all_served() {
    let server = Server::start().await;
    let browser = Browser::signed_in(&server.edge, "alice").await;
    let tabs = (0..10).map(|_| {
        let (mut tab, edge) = (browser.clone(), server.edge.clone());
        async move { (tab.ask(&edge, &Ask::refresh()).await, tab) }
    });
    let answers = futures_util::future::join_all(tabs).await;
    let mut successors: Vec<_> = answers.iter().map(|(answer, _)| answer.cookie().unwrap()).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1, "{answers:?}");
}
