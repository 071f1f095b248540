//! BFF mode and the exchange, as a gateway asks it: no page sees a token, and an upstream is told who it is.

mod away;

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;

use crate::support::{Answer, Ask, Browser, Process, assert_says, sentence};

/// `dev --bff`, and where its exchange is.
struct Bff {
    server: Process,
    exchange: String,
    _dir: TempDir,
}

/// What the gateway's own page is to a browser.
const ORIGIN: &str = "http://localhost:8000";

impl Bff {
    async fn start(env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Process::command(dir.path());
        Process::say_dev(&mut command);
        command.arg("--bff").env("SYMBOLON_GATEWAY_LISTEN", "localhost:0").envs(env.iter().copied());
        let server = Process::start(command).await;
        let exchange = server.exchange().to_owned();
        Self { server, exchange, _dir: dir }
    }

    async fn signed_in(&self) -> Browser {
        Browser::signed_in(&self.server.edge, "alice").await
    }

    /// An edge of its own in front of the same service, and where its exchange is.
    async fn edge(&self, dir: &Path) -> (Process, String) {
        let mut edge = Process::command(dir);
        let issuer = format!("http://{}", self.server.grpc);
        edge.arg("edge").envs([
            ("SYMBOLON_EDGE_MODE", "bff"),
            ("SYMBOLON_EDGE_LISTEN", "localhost:0"),
            ("SYMBOLON_EDGE_PUBLIC_URL", ORIGIN),
            ("SYMBOLON_EDGE_ISSUER_URL", &issuer),
            ("SYMBOLON_GATEWAY_LISTEN", "127.0.0.1:0"),
        ]);
        let edge = Process::start(edge).await;
        let said = String::from_utf8(edge.output()).unwrap();
        let port = said.split_once("gateway=").unwrap().1.split([' ', '\n']).next().unwrap().to_owned();
        (edge, format!("127.0.0.1:{port}"))
    }

    /// Waits until this exchange knows the keys, and this browser's cookie.
    async fn until_served(&self, browser: &Browser, exchange: &str) {
        let served = async {
            while load(browser).of(exchange).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), served).await.expect("it never serves");
    }

    /// How many refreshes came to this.
    async fn counted(&self, outcome: &str) -> u32 {
        let metrics = self.server.get("/metrics").await;
        let line = format!("symbolon_refreshes_total{{outcome=\"{outcome}\"}} ");
        metrics.lines().find_map(|metric| metric.strip_prefix(&line)).map_or(0, |count| count.trim().parse().unwrap())
    }
}

fn load(browser: &Browser) -> Ask {
    Ask::at_gateway("GET", "/orders").header("cookie", format!("a=1; {}; b=2", browser.cookie().unwrap()))
}

fn identity(answer: &Answer) -> [Option<&str>; 3] {
    ["x-symbolon-subject", "x-symbolon-client", "x-symbolon-acr"].map(|name| answer.header(name))
}

/// R-EDGE-09
#[tokio::test]
async fn a_page_sees_no_token_and_its_cookie_is_worth_one_to_the_upstream() {
    let bff = Bff::start(&[]).await;
    let signed_in = Ask::login("alice", "alice").of(&bff.server.edge).await;
    let set = signed_in.header("set-cookie").unwrap();
    // The one golden header of this mode. Part of the first second is over.
    let (name, attributes) = (set.split('=').next().unwrap(), set.split_once("; ").unwrap().1);
    let attributes = attributes.replace("Max-Age=2591999", "Max-Age=2592000");
    assert_eq!((name, &*attributes), ("symbolon-8000", "Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax"));
    let body = signed_in.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["session"], "{body}");
    let mut browser = bff.signed_in().await;
    assert_eq!(browser.ask(&bff.server.edge, &Ask::refresh()).await.problem(), (404, "not_found".to_owned()));

    let first = load(&browser).of(&bff.exchange).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(identity(&first), [Some("alice"), Some("web"), Some("")]);
    assert_eq!(first.header("cookie"), Some("a=1; b=2"));
    assert_eq!(first.header("set-cookie"), None);
    let token = first.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    assert_eq!(Ask::get("/auth/check").bearer(&token).of(&bff.server.edge).await.status, 200);
    // Neither the database nor a signature for the next ones.
    for _ in 0..3 {
        let next = load(&browser).of(&bff.exchange).await;
        assert_eq!(next.header("authorization"), first.header("authorization"));
    }
    assert_eq!((bff.counted("current").await, bff.counted("rotated").await), (1, 0));
    assert_eq!(Ask::at_gateway("GET", "/").of(&bff.exchange).await.status, 401);
    let metrics = bff.server.get("/metrics").await;
    for line in
        [r#"symbolon_gateway_checks_total{answer="passed"} 4"#, r#"symbolon_gateway_checks_total{answer="refused"} 1"#]
    {
        assert!(metrics.contains(line), "{metrics}");
    }
}

/// R-EDGE-09
#[tokio::test]
async fn ten_page_loads_with_one_cookie_that_is_due_rotate_it_once_on_one_edge_and_on_two() {
    let bff = Bff::start(&[("SYMBOLON_ACCESS_TOKEN_TTL", "3s")]).await;
    let dir = tempfile::tempdir().unwrap();
    let (_edge, elsewhere) = bff.edge(dir.path()).await;
    for exchanges in [vec![&bff.exchange], vec![&bff.exchange, &elsewhere]] {
        let mut browser = bff.signed_in().await;
        // Once everybody knows its token.
        for exchange in &exchanges {
            bff.until_served(&browser, exchange).await;
        }
        tokio::time::sleep(Duration::from_millis(2000)).await;
        let rotated = bff.counted("rotated").await;
        let ask = load(&browser);
        let answers = join_all((0..10).map(|number| ask.of(exchanges[number % exchanges.len()]))).await;
        for answer in &answers {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.header("set-cookie"), answers[0].header("set-cookie"));
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        }
        assert_eq!(bff.counted("rotated").await, rotated + 1);
        // One that was on its way with the spent cookie, and those that come with the next.
        assert_eq!(load(&browser).of(exchanges[0]).await.header("set-cookie"), answers[0].header("set-cookie"));
        browser.take(&answers[0]);
        let next = load(&browser).of(exchanges[0]).await;
        assert_eq!((next.status, next.header("set-cookie")), (200, None));
        assert_eq!(bff.counted("rotated").await, rotated + 1);
    }
}

/// R-EDGE-09
#[tokio::test]
async fn what_is_over_is_refused_at_once_and_what_cannot_be_decided_is_503() {
    let bff = Bff::start(&[]).await;
    let [mut browser, other] = [bff.signed_in().await, bff.signed_in().await];
    let ask = load(&browser);
    assert_eq!(ask.of(&bff.exchange).await.status, 200);
    assert_eq!(browser.ask(&bff.server.edge, &Ask::page("POST", "/auth/logout")).await.status, 204);
    let refused = async {
        loop {
            let answer = ask.of(&bff.exchange).await;
            if answer.status != 200 {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(1), refused).await.expect("it goes on");
    assert_eq!(refused.problem(), (401, "session_revoked".to_owned()));
    assert_eq!(identity(&refused), [Some(""); 3]);
    assert_eq!(load(&other).of(&bff.exchange).await.status, 200);

    // An edge whose service is gone knows one cookie and not the other.
    let dir = tempfile::tempdir().unwrap();
    let (_edge, elsewhere) = bff.edge(dir.path()).await;
    let unknown = bff.signed_in().await;
    bff.until_served(&other, &elsewhere).await;
    bff.server.kill().await;
    assert_eq!(load(&other).of(&elsewhere).await.status, 200);
    assert_eq!(load(&unknown).of(&elsewhere).await.problem(), (503, "issuer_unavailable".to_owned()));
}

/// R-EDGE-09: a cookie says who it is of, not who sent it.
#[tokio::test]
async fn what_may_change_something_has_to_come_from_a_page_of_ours() {
    let bff = Bff::start(&[]).await;
    let browser = bff.signed_in().await;
    let with = |method: &str, headers: &[(&str, &str)]| {
        let ask = Ask::at_gateway(method, "/orders").header("cookie", browser.cookie().unwrap());
        headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value))
    };
    let (ours, theirs) = (("origin", ORIGIN), ("origin", "https://evil.example"));
    let site = |site: &'static str| ("sec-fetch-site", site);
    let upgrade = ("upgrade", "websocket");
    for (method, headers, status) in [
        ("GET", &[][..], 200),
        ("HEAD", &[site("cross-site")], 200),
        ("GET", &[site("cross-site"), ("sec-fetch-mode", "navigate")], 200),
        ("OPTIONS", &[theirs], 200),
        ("POST", &[site("same-origin"), ours], 200),
        ("POST", &[site("same-site"), ours], 200),
        ("POST", &[ours], 200),
        ("POST", &[], 403),
        ("POST", &[theirs], 403),
        ("POST", &[site("same-site"), theirs], 403),
        ("POST", &[site("cross-site"), theirs], 403),
        ("POST", &[site("cross-site"), ours], 403),
        ("POST", &[site("none")], 403),
        ("DELETE", &[site("cross-site")], 403),
        ("PROPFIND", &[site("cross-site")], 403),
        ("GET", &[site("same-origin"), upgrade], 200),
        ("GET", &[ours, upgrade], 200),
        ("GET", &[upgrade], 403),
        ("GET", &[site("cross-site"), theirs, upgrade], 403),
    ] {
        let answer = with(method, headers).of(&bff.exchange).await;
        assert_eq!(answer.status, status, "{method} {headers:?}: {answer:?}");
        let code = (status != 200).then(|| answer.problem().1);
        assert_eq!(code.as_deref(), (status != 200).then_some("cross_site"));
    }
}

/// R-EDGE-09
#[tokio::test]
async fn whoever_is_nobody_is_sent_to_the_sign_in_or_told_so() {
    let bff = Bff::start(&[]).await;
    let browser = bff.signed_in().await;
    let navigate = |target: &str| Ask::at_gateway("GET", target).header("sec-fetch-mode", "navigate");
    for (target, location) in [
        ("/orders?x=1&y=2", "/sign-in?return_to=%2Forders%3Fx%3D1%26y%3D2"),
        ("//evil.example/", "/sign-in?return_to=%2F"),
        ("https://evil.example/", "/sign-in?return_to=%2F"),
        ("/\\evil.example", "/sign-in?return_to=%2F"),
    ] {
        let answer = navigate(target).of(&bff.exchange).await;
        assert_eq!((answer.status, answer.header("location")), (302, Some(location)), "{target}");
        assert_eq!(identity(&answer), [Some(""); 3]);
    }
    let nobody = (401, "no_session".to_owned());
    assert_eq!(Ask::at_gateway("GET", "/").of(&bff.exchange).await.problem(), nobody);
    assert_eq!(
        Ask::at_gateway("POST", "/").header("sec-fetch-mode", "navigate").of(&bff.exchange).await.problem(),
        nobody
    );
    let made_up = Ask::at_gateway("GET", "/").header("cookie", "symbolon-8000=sr1_x");
    assert_eq!(made_up.of(&bff.exchange).await.problem(), (401, "session_invalid".to_owned()));
    let two = load(&browser).header("cookie", "symbolon-8000=sr1_y");
    assert_eq!(two.of(&bff.exchange).await.problem(), (400, "duplicate_cookie".to_owned()));
    // Without the gateway's word nothing is known of the request.
    let silent = Ask::get("/exchange").header("cookie", browser.cookie().unwrap());
    assert_eq!(silent.of(&bff.exchange).await.problem(), (400, "bad_request".to_owned()));
    let twice = load(&browser).header("x-forwarded-method", "GET");
    assert_eq!(twice.of(&bff.exchange).await.problem(), (400, "bad_request".to_owned()));
}

/// R-EDGE-09
#[tokio::test]
async fn a_bearer_token_is_checked_and_routes_say_what_they_need() {
    let bff = Bff::start(&[]).await;
    let browser = bff.signed_in().await;
    let exchanged = load(&browser).of(&bff.exchange).await;
    let token = exchanged.header("authorization").unwrap();
    let bearer = Ask::at_gateway("POST", "/orders").header("authorization", token);
    let answer = bearer.of(&bff.exchange).await;
    assert_eq!((answer.status, answer.header("authorization")), (200, Some(token)));
    assert_eq!(answer.header("cookie"), Some(""));
    let invalid = (401, "access_token_invalid".to_owned());
    assert_eq!(bearer.clone().header("authorization", token).of(&bff.exchange).await.problem(), invalid);
    let undefined = Ask::at_gateway("GET", "/").header("authorization", "Bearer undefined");
    assert_eq!(undefined.of(&bff.exchange).await.problem(), invalid);
    // A client's own beside a cookie does not count.
    let both = load(&browser).header("authorization", "Bearer undefined").of(&bff.exchange).await;
    assert_eq!((both.status, both.header("authorization")), (200, Some(token)));

    for (query, status) in [
        ("?audience=api", 200),
        ("?audience=other", 403),
        ("?scope=admin", 403),
        ("?acr=aal2", 403),
        ("?audience=", 400),
        ("?aud=api", 400),
    ] {
        let ask =
            Ask::get(&format!("/exchange{query}")).header("x-forwarded-method", "GET").header("x-forwarded-uri", "/");
        assert_eq!(ask.header("cookie", browser.cookie().unwrap()).of(&bff.exchange).await.status, status, "{query}");
    }
}

/// R-EDGE-09
#[tokio::test]
async fn sessions_are_seen_and_ended_by_the_cookie() {
    let bff = Bff::start(&[]).await;
    let [mut browser, other] = [bff.signed_in().await, bff.signed_in().await];
    let listed = browser.ask(&bff.server.edge, &Ask::get("/auth/sessions")).await.json();
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let others = sessions.iter().find(|session| session["current"] == false).unwrap()["session_id"].as_str().unwrap();
    let end = Ask::page("DELETE", &format!("/auth/sessions/{others}"));
    assert_eq!(browser.ask(&bff.server.edge, &end).await.status, 204);
    let mut other = other;
    let refused = other.ask(&bff.server.edge, &Ask::get("/auth/sessions")).await;
    assert_eq!(refused.problem(), (401, "session_revoked".to_owned()));
    // Without a token in `Authorization`, or with one: it is the cookie that counts.
    assert_eq!(Ask::get("/auth/sessions").of(&bff.server.edge).await.problem(), (401, "no_session".to_owned()));
    let all = browser.ask(&bff.server.edge, &Ask::page("POST", "/auth/logout-all")).await;
    assert_eq!(all.status, 204);
    assert!(all.header("set-cookie").unwrap().contains("Max-Age=0"));
}

/// R-EDGE-09
#[tokio::test]
async fn an_exchange_that_could_not_rotate_or_is_reached_by_others_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let refused = async |env: &[(&str, &str)]| {
        let mut command = Process::command(dir.path());
        Process::say_dev(&mut command);
        sentence({
            command.envs(env.iter().copied());
            command
        })
        .await
    };
    let undeclared = refused(&[("SYMBOLON_EDGE_MODE", "bff")]).await;
    assert_says(&undeclared, &["rotation_when_due = true", "[clients.web]", "SYMBOLON_CLIENTS_FILE"]);
    let gateway = refused(&[("SYMBOLON_GATEWAY_LISTEN", "localhost:0")]).await;
    assert_says(&gateway, &["rotation_when_due = true"]);
    std::fs::write(
        dir.path().join("clients.toml"),
        "[clients.web]\naudience = [\"api\"]\nrotation_when_due = true\nleeway = \"5s\"\n",
    )
    .unwrap();
    let reached = refused(&[("SYMBOLON_CLIENTS_FILE", "clients.toml"), ("SYMBOLON_GATEWAY_LISTEN", "0.0.0.0:0")]).await;
    assert_says(&reached, &["SYMBOLON_GATEWAY_LISTEN", "not a loopback address", "beside the gateway"]);
}

/// R-EDGE-09: whatever a proxy takes for a yes is one.
#[tokio::test]
async fn nothing_else_is_answered_where_gateways_ask() {
    let bff = Bff::start(&[]).await;
    for path in [
        "/",
        "/exchange/",
        "/auth/check",
        "/x",
        "/envoy.service.auth.v3.Authorization/Check",
        "/envoy.service.auth.v3.Authorization/x",
    ] {
        for method in ["GET", "POST"] {
            let answer = Ask::new(method, path).header("content-type", "application/json").of(&bff.exchange).await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
}

/// R-EDGE-09: the service has spent the cookie, whatever becomes of the request.
#[tokio::test]
async fn a_refusal_brings_the_next_cookie_too() {
    let bff = Bff::start(&[("SYMBOLON_ACCESS_TOKEN_TTL", "3s")]).await;
    let browser = bff.signed_in().await;
    tokio::time::sleep(Duration::from_millis(2000)).await;
    let ask = Ask::get("/exchange?scope=admin").header("x-forwarded-method", "GET").header("x-forwarded-uri", "/");
    let refused = ask.header("cookie", browser.cookie().unwrap()).of(&bff.exchange).await;
    assert_eq!(refused.problem(), (403, "access_token_insufficient".to_owned()));
    assert!(refused.header("set-cookie").unwrap().starts_with("symbolon-8000=sr1_"), "{refused:?}");
    assert_eq!(refused.header("cache-control"), Some("private, no-store"));
}

/// R-EDGE-09: two answers in a row are lost, and the one that is repeated has run out.
#[tokio::test]
async fn a_repeat_whose_access_token_has_run_out_signs_nobody_out() {
    let bff = Bff::start(&[("SYMBOLON_ACCESS_TOKEN_TTL", "3s")]).await;
    let mut browser = bff.signed_in().await;
    let mut answers = Vec::new();
    for pause in [2, 6, 6] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        let answer = load(&browser).of(&bff.exchange).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answers.push(answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned());
    }
    assert_eq!((bff.counted("recovered").await, bff.counted("repeated").await), (1, 1));
    assert!(answers[0] == answers[1] && answers[1] != answers[2], "{answers:?}");
    browser.take(&load(&browser).of(&bff.exchange).await);
    assert_eq!(load(&browser).of(&bff.exchange).await.status, 200);
}
