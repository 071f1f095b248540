//! One host behind a real proxy, with each recipe of `deploy/` for it: the edge sees the refresh cookie and the application
//! never does.

use std::time::Duration;

use futures_util::future::join_all;
use symbolon::edge::attempts::NETWORK;
use tempfile::TempDir;

use crate::support::front::{Front, Fronted, JARS, Ports, assert_edge_is_asked_first, free};
use crate::support::http::{Connection, raw};
use crate::support::http2::{HEADERS, Http2};
use crate::support::{Answer, Application, Ask, Browser, Process};

/// Whoever can take one cookie out of a jar.
const FRONTS: [Front; 3] = [Front::Nginx, Front::Caddy, Front::Envoy];

/// A proxy, and behind it the edge of a `symbolon dev` and an application.
struct Host {
    /// Where the proxy is: `127.0.0.1:port`.
    address: String,
    /// The cookie's name.
    name: String,
    application: Application,
    front: Fronted,
    /// For as long as it is asked.
    _running: (Process, TempDir),
}

impl Host {
    async fn start(front: Front, env: &[(&str, &str)]) -> Self {
        Self::start_with(front, env, |text| text).await
    }

    /// With a recipe that is changed first.
    async fn start_with(front: Front, env: &[(&str, &str)], change: impl Fn(String) -> String) -> Self {
        let [port, edge] = free();
        let application = Application::start().await;
        let dir = tempfile::tempdir().unwrap();
        let (listen, public) = (format!("localhost:{edge}"), format!("http://localhost:{port}"));
        let here = [("SYMBOLON_EDGE_LISTEN", listen.as_str()), ("SYMBOLON_EDGE_PUBLIC_URL", public.as_str())];
        let symbolon = Process::dev(dir.path(), &[&here, env].concat()).await;
        let ports = Ports { front: port, edge, application: application.port };
        let front = front.start_with(dir.path(), ports, change).await;
        let (address, name) = (format!("127.0.0.1:{port}"), format!("symbolon-{port}"));
        Self { address, name, application, front, _running: (symbolon, dir) }
    }

    /// The cookies the application is shown of these Cookie headers; a `$` stands for the name of ours. `None` if it is not
    /// asked.
    async fn passed_on(&self, path: &str, headers: &[&str]) -> Option<Vec<String>> {
        let named = |header: &&str| header.replace('$', &self.name);
        let ask = headers.iter().fold(Ask::get(path), |ask, header| ask.header("cookie", named(header)));
        raw(&self.address, &ask.bytes()).await.unwrap();
        let headers = self.application.saw_in("cookie")?;
        assert!(!headers.iter().any(|header| header.starts_with(';')), "{headers:?}");
        Some(cookies(&headers))
    }
}

/// Each by itself: a proxy may join headers, part them, and leave an empty one.
fn cookies<T: AsRef<str>>(headers: &[T]) -> Vec<String> {
    let cookies = headers.iter().flat_map(|header| header.as_ref().split(';')).map(str::trim);
    cookies.filter(|cookie| !cookie.is_empty()).map(str::to_owned).collect()
}

/// R-EDGE-01, R-EDGE-02
#[tokio::test]
async fn a_session_lives_behind_a_proxy_and_the_application_never_sees_its_cookie() {
    for front in FRONTS {
        let host = Host::start(front, &[]).await;
        let mut browser = Browser::signed_in(&host.address, "alice").await;
        assert_eq!(host.application.saw_in("cookie"), None, "{front:?} asked the application for the edge");
        for _ in 0..3 {
            let before = browser.cookie().unwrap().to_owned();
            let refreshed = browser.ask(&host.address, &Ask::refresh().header("cookie", "theme=dark")).await;
            assert_eq!((refreshed.status, refreshed.json()["session"]["subject"].as_str()), (200, Some("alice")));
            assert_ne!(browser.cookie().unwrap(), before);
            let page = Ask::get("/orders").header("cookie", browser.cookie().unwrap()).bytes();
            assert_eq!(raw(&host.address, &page).await.unwrap().body, "the application");
            assert_eq!(host.application.saw_in("cookie").map(|it| cookies(&it)), Some(Vec::new()), "{front:?}");
        }
        let jwks = Ask::get("/.well-known/jwks.json").of(&host.address).await;
        assert_eq!(jwks.json()["keys"][0]["alg"], "EdDSA");
        let twice = Ask::refresh().header("cookie", format!("{}=x; theme=dark", host.name));
        let refused = browser.clone().ask(&host.address, &twice).await;
        assert_eq!(refused.problem(), (400, "duplicate_cookie".to_owned()), "{front:?}");
        assert_eq!(browser.ask(&host.address, &Ask::page("POST", "/auth/logout")).await.status, 204);
        assert_eq!(host.application.saw_in("cookie"), None);
    }
}

/// R-EDGE-02
#[tokio::test]
async fn whatever_else_stands_in_the_jar_goes_on_to_the_application_unharmed() {
    for front in FRONTS {
        let host = Host::start(front, &[]).await;
        for (headers, left) in JARS {
            let left = cookies(&[left.replace('$', &host.name)]);
            assert_eq!(host.passed_on("/orders", headers).await, Some(left), "{front:?}: {headers:?}");
        }
        // No browser sends these: rather no cookie than the wrong one.
        for headers in [&["$=1; $=2; $=3; $=4; a=1"][..], &["a=1; renamed=sr1_x"], &["a=1, $=sr1_x"]] {
            let left = host.passed_on("/orders", headers).await.unwrap();
            assert!(left.is_empty() || left == ["a=1"], "{front:?}: {headers:?} is {left:?}");
        }
    }
}

/// R-EDGE-02
#[tokio::test]
async fn wherever_a_path_leads_the_application_sees_no_refresh_cookie() {
    for front in FRONTS {
        let host = Host::start(front, &[]).await;
        let left = || vec!["a=1".to_owned()];
        for (path, arrives) in [
            ("/", true),
            ("/orders?next=/auth/refresh", true),
            ("/authx", true),
            ("/.well-known/acme-challenge/x", true),
            ("/.well-known/jwks.json/x", true),
            ("/auth/refresh", false),
            ("/auth/orders", false),
            ("/.well-known/jwks.json", false),
            ("/.well-known/oauth-authorization-server", false),
            ("/.well-known/openid-configuration", false),
        ] {
            let seen = host.passed_on(path, &["$=sr1_x; a=1"]).await;
            assert_eq!(seen, arrives.then(left), "{front:?}: {path}");
        }
        // Spelled so, a path is each proxy's own business, but not what comes with it.
        for path in [
            "/auth",
            "/Auth/refresh",
            "//orders",
            "/auth/../orders",
            "/auth/..%2forders",
            "/auth/%2e%2e/orders",
            "//auth/refresh",
            "/orders/../auth/refresh",
            "/%61uth/refresh",
        ] {
            let seen = host.passed_on(path, &["$=sr1_x; a=1"]).await;
            assert!(seen.is_none() || seen == Some(left()), "{front:?}: {path} is {seen:?}");
        }
    }
}

/// R-EDGE-02
#[tokio::test]
async fn the_crumbs_of_http_2_are_one_jar() {
    for front in FRONTS {
        let host = Host::start(front, &[]).await;
        let token = format!("{}=sr1_x", host.name);
        let crumbs = [("cookie", "a=1"), ("cookie", &token), ("cookie", "b=2"), ("cookie", &token)];
        let mut connection = Http2::connect(&host.front.http2).await;
        connection.begin_at(1, "/orders", &crumbs).await;
        connection.finish(1, b"").await;
        connection.wait_for(HEADERS, Duration::from_secs(20)).await.expect("no answer");
        let seen = host.application.saw_in("cookie").map(|it| cookies(&it));
        assert_eq!(seen, Some(vec!["a=1".to_owned(), "b=2".to_owned()]), "{front:?}");
    }
}

/// R-EDGE-02, R-OBS-04
#[tokio::test]
async fn the_edge_hears_nothing_of_traces_and_discovery_nothing_of_cookies_from_a_page() {
    for front in FRONTS {
        let [edge, application] = [Application::start().await, Application::start().await];
        let [port] = free();
        let dir = tempfile::tempdir().unwrap();
        let ports = Ports { front: port, edge: edge.port, application: application.port };
        let _front = front.start(dir.path(), ports).await;
        for (path, cookie) in [("/auth/refresh", Some("a=1")), ("/.well-known/jwks.json", None)] {
            let ask = Ask::get(path).header("cookie", "a=1").header("tracestate", "a=1");
            let ask = ask.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
            raw(&format!("127.0.0.1:{port}"), &ask.bytes()).await.unwrap();
            let [headers] = edge.saw().try_into().unwrap();
            let traced = headers.contains_key("traceparent") || headers.contains_key("tracestate");
            assert!(!traced, "{front:?} {path}: {headers:?}");
            assert_eq!(headers.get("cookie").map(|it| it.to_str().unwrap()), cookie, "{front:?} {path}");
            assert_eq!(headers["x-forwarded-for"], "127.0.0.1", "{front:?} {path}");
            assert_eq!(headers["x-forwarded-proto"], "http", "{front:?} {path}");
            assert_eq!(headers["host"], "localhost:8080", "{front:?} {path}");
        }
    }
}

/// A guess from an address, which says that it is at `forwarded`.
async fn guess(host: &Host, from: &str, forwarded: &str, ask: Ask) -> Answer {
    let mut connection = Connection::from(from, &host.address).await;
    connection.write(&ask.header("x-forwarded-for", forwarded).bytes()).await;
    connection.answer().await.unwrap()
}

/// Guesses from 127.0.0.2, many at once, each with another account and another forged address, until one is refused.
/// Answers how many were not.
async fn exhaust(host: &Host) -> u32 {
    // One a second is given back: one after the other, they would never be too many for a machine that is slow enough.
    const AT_ONCE: u32 = 10;
    for first in (0..NETWORK.burst * 3).step_by(AT_ONCE as usize) {
        let guesses = (first..first + AT_ONCE).map(async |number| {
            let ask = Ask::login(&format!("user-{number}"), "wrong");
            guess(host, "127.0.0.2", &format!("198.51.100.{}", number % 250), ask).await
        });
        let answers = join_all(guesses).await;
        let judged = answers.iter().filter(|answer| answer.code() == "credentials_rejected").count();
        let refused = answers.iter().filter(|answer| answer.code() == "rate_limited").count();
        assert_eq!(judged + refused, answers.len(), "{answers:?}");
        if refused > 0 {
            return first + u32::try_from(judged).unwrap();
        }
    }
    panic!("nobody was slowed down");
}

/// R-OPS-06
#[tokio::test]
async fn wrong_passwords_are_counted_by_the_address_a_proxy_saw_if_it_is_trusted_and_by_its_own_if_not() {
    for front in FRONTS {
        let trusting = Host::start(front, &[("SYMBOLON_EDGE_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
        assert!(exhaust(&trusting).await >= NETWORK.burst, "{front:?}");
        let honest = || Ask::login("alice", "alice");
        assert_eq!(guess(&trusting, "127.0.0.3", "127.0.0.2", honest()).await.status, 200, "{front:?}");
        // The application is told the same.
        let told = Some(vec!["127.0.0.3".to_owned()]);
        guess(&trusting, "127.0.0.3", "198.51.100.1", Ask::get("/orders")).await;
        assert_eq!(trusting.application.saw_in("x-forwarded-for"), told, "{front:?}");
        // A client may call the header one for this connection only, which a proxy drops: not what it wrote itself.
        let dropping = Ask::get("/orders").header("connection", "keep-alive, X-Forwarded-For");
        let answer = guess(&trusting, "127.0.0.3", "198.51.100.1", dropping).await;
        let refused = answer.status == 400;
        let seen = trusting.application.saw_in("x-forwarded-for");
        assert!(if refused { seen.is_none() } else { seen == told }, "{front:?}: {seen:?}, {answer:?}");

        let trusting_nobody = Host::start(front, &[]).await;
        let mut rounds = 0;
        // One guess a second is given back: it may be just now.
        loop {
            exhaust(&trusting_nobody).await;
            let answer = guess(&trusting_nobody, "127.0.0.3", "198.51.100.1", honest()).await;
            if answer.code() == "rate_limited" {
                break;
            }
            rounds += 1;
            assert!(rounds < 10, "{front:?}: somebody else was never slowed down: {answer:?}");
        }
    }
}

/// The lines of the Caddyfile that are there for who wants them.
#[tokio::test]
async fn caddy_asks_the_edge_for_an_application_that_verifies_nothing() {
    let wanted = |text: String| {
        let (before, rest) = text.split_once("\t\t# forward_auth").unwrap();
        let (block, after) = rest.split_once("# }\n").unwrap();
        format!("{before}forward_auth{}}}\n{after}", block.replace("# ", ""))
    };
    let host = Host::start_with(Front::Caddy, &[], wanted).await;
    let token = Ask::login("alice", "alice").of(&host.address).await.access_token();
    assert_edge_is_asked_first(&host.address, "localhost", &host.application, &token).await;
}
