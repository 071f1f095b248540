//! From the sign-in to the end, behind every gateway.

use std::time::Duration;

use futures_util::future::join_all;
use prost_types::Duration as Seconds;
use symbolon::pb::auth::RevokeSessionRequest;
use symbolon::pb::auth::revoke_session_request::Target;
use tokio::process::Command;

use super::gateway::{GATEWAYS, Gated, Places, fetch, page_load, start};
use super::{all, assert_alice, assert_no_refresh_token};
use crate::browser::said;
use crate::support::front::{Front, free};
use crate::support::http::raw;
use crate::support::{Ask, Process};

#[tokio::test]
async fn a_session_that_ended_ends_at_every_gateway_and_a_service_that_is_away_is_no_users_fault() {
    join_all(GATEWAYS.map(async |gateway| {
        let mut gated = Gated::start(gateway, "15m").await;
        let load = |cookie: &str| fetch("GET", "/orders", "same-origin").header("cookie", cookie);
        let (_, short) = gated.sign_in(|request| request.session_ttl = Some(Seconds { seconds: 4, nanos: 0 })).await;
        let (session, revoked) = gated.sign_in(|_| ()).await;
        let (_, warm) = gated.sign_in(|_| ()).await;
        let (_, cold) = gated.sign_in(|_| ()).await;
        for cookie in [&short, &revoked, &warm] {
            assert_eq!(gated.ask(&load(cookie)).await.status, 200, "{gateway:?}");
        }

        let target = Some(Target::SessionId(session));
        let request = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
        gated.issuer().client().await.revoke_session(request).await.unwrap();
        until(gateway, Duration::from_secs(1), async || {
            gated.ask(&load(&revoked)).await.problem() == (401, "session_revoked".to_owned())
        })
        .await;
        let sent = gated.ask(&page_load("/orders", "same-origin").header("cookie", &revoked)).await;
        assert_eq!(sent.status, 302, "{gateway:?}");
        until(gateway, Duration::from_secs(8), async || {
            gated.ask(&load(&short)).await.problem() == (401, "session_expired".to_owned())
        })
        .await;

        gated.upstream.saw();
        // Not there, and there without a word: for that the edge waits, and the gateway for the edge.
        for killed in [false, true] {
            if killed {
                gated.kill_issuer().await;
            } else {
                gated.issuer().signal("-STOP").await;
            }
            for ask in [load(&cold), page_load("/orders", "none").header("cookie", &cold)] {
                let away = gated.ask(&ask).await;
                assert_eq!(away.problem(), (503, "issuer_unavailable".to_owned()), "{gateway:?} {killed}: {away:?}");
            }
        }
        assert_eq!(gated.upstream.saw().len(), 0, "{gateway:?}: it was asked");
        assert_eq!(gated.ask(&load(&warm)).await.status, 200, "{gateway:?}: what is known needs no service");

        gated.upstream.saw();
        gated.kill_edge().await;
        let unasked = gated.ask(&load(&warm)).await.status;
        let expected = match gateway {
            Front::Nginx | Front::Envoy => 503,
            Front::Caddy => 502,
            Front::Traefik => 500,
        };
        assert_eq!(unasked, expected, "{gateway:?}: nobody lets anybody in");
        assert_eq!(gated.upstream.saw().len(), 0, "{gateway:?}: it was asked");
    }))
    .await;
}

#[tokio::test]
async fn while_nothing_is_heard_of_revocations_it_is_as_configured() {
    join_all(GATEWAYS.map(async |gateway| {
        for (when_stale, expected) in [("open", 200), ("closed", 503)] {
            let gated = Gated::start_deaf(gateway, when_stale).await;
            let (session, cookie) = gated.sign_in(|_| ()).await;
            let load = fetch("GET", "/orders", "same-origin").header("cookie", &cookie);
            for context in ["cold", "warm"] {
                let answer = gated.ask(&load).await;
                let said = format!("{gateway:?} {when_stale} {context}");
                if expected == 200 {
                    assert_alice(&gated, &session, &answer, &said);
                } else {
                    assert_eq!(answer.problem(), (503, "issuer_unavailable".to_owned()), "{said}: {answer:?}");
                    assert_eq!(gated.upstream.saw().len(), 0, "{said}: it was asked");
                }
            }
        }
    }))
    .await;
}

/// Joined, two cookies are one that is broken, and who sent which cannot be told: nobody is let in, and it is said why.
#[tokio::test]
async fn an_envoy_that_joins_headers_lets_nobody_in() {
    let joined = |text: String| text.replace("encode_raw_headers: true", "encode_raw_headers: false");
    let gated = Gated::start_with(Front::Envoy, "15m", joined).await;
    let (_, cookie) = gated.sign_in(|_| ()).await;
    let answer = gated.ask(&fetch("GET", "/orders", "same-origin").header("cookie", &cookie)).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(gated.upstream.saw().len(), 0, "it was asked");
    gated.edge().says("set encode_raw_headers in ext_authz").await;
}

/// Waits for something that has to be so within a while.
async fn until(gateway: Front, patience: Duration, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(patience, waiting).await.is_ok(), "{gateway:?}: not within {patience:?}");
}

#[tokio::test]
async fn ten_page_loads_with_a_cookie_that_is_due_are_signed_in_and_rotate_it_once() {
    for gateway in GATEWAYS {
        let gated = Gated::start(gateway, "3s").await;
        let (session, cookie) = gated.sign_in(|_| ()).await;
        let load = page_load("/orders", "same-origin").header("cookie", &cookie);
        let missing = page_load("/status/404", "same-origin").header("cookie", &cookie);
        let first = gated.ask(&load).await;
        if gateway != Front::Traefik {
            assert_eq!(all(&first, "cache-control"), ["public, max-age=600"], "{gateway:?}: {first:?}");
        }
        assert_eq!(all(&first, "set-cookie"), ["theme=dark"], "{gateway:?}: {first:?}");
        assert_alice(&gated, &session, &first, "not due");
        let before = gated.rotations().await;
        tokio::time::sleep(Duration::from_secs(3)).await;

        let answers = join_all((0..10).map(|number| gated.ask(if number % 2 == 0 { &load } else { &missing }))).await;
        let mut set = Vec::new();
        for answer in &answers {
            assert!([200, 404].contains(&answer.status), "{gateway:?}: {answer:?}");
            assert_eq!(answer.body, "the application", "{gateway:?}: {answer:?}");
            assert_eq!(all(answer, "cache-control"), ["private, no-store"], "{gateway:?}: {answer:?}");
            let cookies = all(answer, "set-cookie");
            assert!(cookies.len() == 2 && cookies.contains(&"theme=dark"), "{gateway:?}: {cookies:?}");
            set.extend(cookies.into_iter().filter(|cookie| *cookie != "theme=dark").map(str::to_owned));
        }
        assert_eq!(gated.rotations().await, before + 1, "{gateway:?}");
        for seen in gated.upstream.saw() {
            assert_eq!(seen.all("x-symbolon-subject"), ["alice"], "{gateway:?}");
            assert_no_refresh_token(&seen, "a rotation");
        }
        let values: Vec<_> = set.iter().map(|cookie| cookie.split(';').next().unwrap()).collect();
        assert!(values.windows(2).all(|pair| pair[0] == pair[1]) && values[0] != cookie, "{gateway:?}: {values:?}");
        assert!(set[0].ends_with("; HttpOnly; SameSite=Lax"), "{gateway:?}: {set:?}");
        let next = gated.ask(&page_load("/orders", "same-origin").header("cookie", values[0])).await;
        assert_alice(&gated, &session, &next, "with the next cookie");
    }
}

/// `dev --bff` behind a gateway, as README.md beside the recipes says: where a browser finds it, and what is running.
async fn demonstration(gateway: Front, env: &[(&str, &str)]) -> (String, impl Sized) {
    let [front, edge, exchange] = free();
    let dir = tempfile::tempdir().unwrap();
    let mut command = Process::command(dir.path());
    Process::say_dev(&mut command);
    command.arg("--bff").envs(env.iter().copied()).envs([
        ("SYMBOLON_EDGE_LISTEN", format!("localhost:{edge}")),
        ("SYMBOLON_GATEWAY_LISTEN", format!("localhost:{exchange}")),
    ]);
    let service = Process::start(command).await;
    let gateway = start(gateway, dir.path(), Places { front, edge, exchange, application: edge }, |text| text).await;
    (front.to_string(), (gateway, service, dir))
}

/// As a person in a real browser meets it: tests/browser/bff.js.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_lives_behind_a_gateway_without_a_token() {
    let (front, _running) = demonstration(Front::Nginx, &[("SYMBOLON_ACCESS_TOKEN_TTL", "3s")]).await;
    let mut played = Command::new("node");
    played.arg("tests/browser/run").env("SYMBOLON_BFF", format!("http://localhost:{front}"));
    let said = said(played).await;
    assert!(said.contains("4 passed, 0 failed"), "{said}");
}

#[tokio::test]
async fn the_demonstration_signs_in_and_out_through_every_gateway() {
    for gateway in GATEWAYS {
        let (front, _running) = demonstration(gateway, &[]).await;
        let address = format!("127.0.0.1:{front}");
        let ask = async |ask: Ask| raw(&address, &ask.bytes()).await.unwrap();
        let sent = ask(page_load("/orders", "none")).await;
        assert_eq!(sent.header("location"), Some("/sign-in?return_to=%2Forders"), "{gateway:?}: {sent:?}");
        let page = ask(page_load(sent.header("location").unwrap(), "none")).await;
        assert!(page.status == 200 && page.body.contains("Nobody is signed in"), "{gateway:?}: {page:?}");
        for file in ["/public/upstream.js", "/public/page.css"] {
            assert!(page.body.contains(file), "{gateway:?}: {page:?}");
            assert_eq!(ask(Ask::get(file)).await.status, 200, "{gateway:?} {file}");
        }
        let signed_in = ask(Ask::login("alice", "alice")).await;
        assert_eq!(signed_in.status, 200, "{gateway:?}: {signed_in:?}");
        assert!(!signed_in.body.contains("access_token"), "{gateway:?}: {signed_in:?}");
        let cookie = signed_in.cookie().unwrap();
        assert!(cookie.starts_with("symbolon-8000=sr1_"), "{gateway:?}: {cookie}");
        let page = ask(page_load("/orders", "same-origin").header("cookie", &cookie)).await;
        assert!(page.body.contains("<dd>alice</dd>") && page.body.contains("an access token"), "{gateway:?}: {page:?}");
        assert_eq!(ask(Ask::page("POST", "/auth/logout").header("cookie", &cookie)).await.status, 204, "{gateway:?}");
        until(gateway, Duration::from_secs(1), async || {
            ask(page_load("/orders", "same-origin").header("cookie", &cookie)).await.status == 302
        })
        .await;
    }
}
