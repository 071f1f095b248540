//! `examples/react`, by Vite's own server and as it is built: a real Chromium plays the scenarios of
//! `tests/browser/react.js` in front of a real edge and the real `examples/resource`, and whatever stands behind Vite
//! beside the edge never sees the refresh cookie.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use symbolon_verifier::{Issuer, Verifier};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::browser::{dev, said};
use crate::example_resource::Resource;
use crate::support::front::JARS;
use crate::support::http::Connection;
use crate::support::{Application, Ask, Browser, Process, tools};

/// So many scenarios there are at least: who loses some has not made them right.
const AT_LEAST: usize = 10;

/// The application, installed and built by the first test that asks.
fn application() -> &'static PathBuf {
    static APPLICATION: OnceLock<PathBuf> = OnceLock::new();
    APPLICATION.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/react");
        let told = std::process::Command::new(script).arg(tools()).output().unwrap();
        assert!(told.status.success(), "tests/tools/react: {told:?}");
        String::from_utf8(told.stdout).unwrap().trim().into()
    })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Vite, in a process of its own. Killed when dropped.
struct Vite {
    /// `localhost:port`.
    address: String,
    _child: Child,
}

impl Vite {
    /// `vite` with these words, in front of an edge and of an API.
    async fn start(words: &[&str], port: u16, edge: &str, api: &str) -> Self {
        tokio::task::spawn_blocking(application).await.unwrap();
        let mut child = Command::new("node")
            .arg("node_modules/vite/bin/vite.js")
            .args(words)
            .args(["--port", &port.to_string()])
            .current_dir(application())
            .env("EDGE_URL", format!("http://{edge}"))
            .env("API_URL", format!("http://{api}"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = format!("localhost:{port}");
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        // Not by connecting until it works: on a port that nobody listens on yet, a connection may meet itself.
        let listening = async {
            while let Some(line) = said.next_line().await.unwrap() {
                if line.contains(&format!("http://{address}/")) {
                    return;
                }
            }
            panic!("Vite ended before it served");
        };
        tokio::time::timeout(Duration::from_secs(60), listening).await.expect("Vite does not listen");
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Self { address, _child: child }
    }

    /// What stands behind it as `/api` is shown of these Cookie headers; `None` if it is not asked.
    async fn passed_on(&self, api: &Application, ask: Ask, cookies: &[&str]) -> Option<Vec<String>> {
        let ask = cookies.iter().fold(ask, |ask, cookie| ask.header("cookie", cookie));
        let mut connection = Connection::open(&self.address).await;
        connection.write(&ask.bytes()).await;
        // After one that only asks to go on there is another.
        while connection.answer().await.is_some_and(|answer| answer.status == 100) {}
        api.saw_in("cookie")
    }
}

/// The application behind Vite, with an edge whose access tokens live so long, and examples/resource.
struct Played {
    vite: Vite,
    _running: (Process, Resource, TempDir),
}

impl Played {
    async fn start(words: &[&str], ttl: &str) -> Self {
        let port = free_port();
        let dir = tempfile::tempdir().unwrap();
        let edge = dev(dir.path(), &[], ttl, &format!("http://localhost:{port}")).await;
        let issuer = Issuer::new(format!("http://{}", edge.edge));
        let resource = Resource::of(Verifier::new(issuer, "api").start().await.unwrap()).await;
        let vite = Vite::start(words, port, &edge.edge, &resource.http).await;
        Self { vite, _running: (edge, resource, dir) }
    }
}

async fn play(words: &[&str]) {
    let [long, short] = [Played::start(words, "15m").await, Played::start(words, "2s").await];
    let mut command = Command::new("node");
    command
        .arg("tests/browser/run")
        .env("SYMBOLON_APP", format!("http://{}", long.vite.address))
        .env("SYMBOLON_APP_SHORT", format!("http://{}", short.vite.address));
    let said = said(command).await;
    let passed = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= AT_LEAST, "only {passed} were played:\n{said}");
}

/// R-EDGE-08
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_react_application_stays_signed_in_behind_vites_server() {
    play(&[]).await;
}

/// R-EDGE-08
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_react_application_stays_signed_in_as_it_is_built() {
    play(&["preview"]).await;
}

/// As its README says, and with Vite's origin as the edge's own.
#[tokio::test]
async fn the_edge_lives_behind_vite_under_its_own_url_and_under_vites() {
    for words in [&[][..], &["preview"]] {
        for under_vites in [false, true] {
            let [port, edge] = [free_port(), free_port()];
            let cookie = if under_vites { port } else { edge };
            let (listen, public) = (format!("localhost:{edge}"), format!("http://localhost:{cookie}"));
            let dir = tempfile::tempdir().unwrap();
            let env = [("SYMBOLON_EDGE_LISTEN", listen.as_str()), ("SYMBOLON_EDGE_PUBLIC_URL", &public)];
            let _server = Process::dev(dir.path(), &env).await;
            let application = Application::start().await;
            let api = format!("127.0.0.1:{}", application.port);
            let vite = Vite::start(words, port, &listen, &api).await;
            let mut browser = Browser::signed_in(&vite.address, "alice").await;
            assert!(browser.cookie().unwrap().starts_with(&format!("symbolon-{cookie}=sr1_")));
            let refresh = Ask::refresh().header("cookie", "theme=dark");
            assert_eq!(browser.ask(&vite.address, &refresh).await.json()["session"]["subject"], "alice");
            // Two of its name are the edge's business.
            let twice = Ask::refresh().header("cookie", format!("symbolon-{cookie}=x"));
            let refused = browser.clone().ask(&vite.address, &twice).await;
            assert_eq!(refused.problem(), (400, "duplicate_cookie".to_owned()));
            let keys = Ask::get("/.well-known/jwks.json").of(&vite.address).await;
            assert_eq!(keys.json()["keys"][0]["alg"], "EdDSA");
            assert_eq!(browser.ask(&vite.address, &Ask::page("POST", "/auth/logout")).await.status, 204);
            assert_eq!(application.saw_in("cookie"), None, "the application was asked for the edge");
        }
    }
}

/// R-EDGE-02
#[tokio::test]
async fn whatever_else_stands_in_the_jar_goes_through_vite_unharmed_and_the_refresh_cookie_does_not() {
    let [api, edge] = [Application::start().await, Application::start().await];
    let [api_at, edge_at] = [&api, &edge].map(|it| format!("127.0.0.1:{}", it.port));
    // Upstreams that would take what is the edge's, and that speak WebSocket, as somebody may add them.
    let config = r"
        import config from './vite.config.ts'
        const proxy = { '/au': 'http://127.0.0.1:1', ...config.server.proxy }
        proxy['/api/'].ws = true
        proxy['/'] = { ...proxy['/api/'], rewrite: undefined, bypass: ({ url }) => url.startsWith('/any') ? undefined : url }
        export default { ...config, server: { ...config.server, proxy }, preview: { ...config.preview, proxy } }";
    tokio::task::spawn_blocking(application).await.unwrap();
    std::fs::write(application().join("more.config.ts"), config).unwrap();
    for words in [&[][..], &["preview"]] {
        let vite =
            Vite::start(&[words, &["--config", "more.config.ts"]].concat(), free_port(), &edge_at, &api_at).await;
        let nothing = Vec::<String>::new;
        let one = |jar: &str| vec![jar.to_owned()];
        for (cookies, left) in JARS {
            let cookies: Vec<_> = cookies.iter().map(|header| header.replace('$', "symbolon-8080")).collect();
            let left = if left.is_empty() { nothing() } else { one(&left.replace('$', "symbolon-8080")) };
            let cookies: Vec<_> = cookies.iter().map(String::as_str).collect();
            let passed_on = vite.passed_on(&api, Ask::get("/api/orders"), &cookies).await;
            assert_eq!(passed_on, Some(left), "{words:?} {cookies:?}");
        }
        let several = &["symbolon-8080=x; a=1; symbolon-8080=y; symbolon-5173=z; c=3; symbolon-1="][..];
        // No browser sends the last two: rather no cookie than the wrong one.
        for (cookies, left) in [
            (several, one("a=1; c=3")),
            (&["a=1; renamed=sr1_x"], nothing()),
            (&["a=1, symbolon-8080=sr1_x"], nothing()),
        ] {
            let passed_on = vite.passed_on(&api, Ask::get("/api/orders"), cookies).await;
            assert_eq!(passed_on, Some(left), "{words:?} {cookies:?}");
        }
        let both = ["symbolon-8080=sr1_x; a=1"];
        // Asked in ways for which Vite's proxy does things differently.
        let get = |path: &str| Ask::get(path);
        let socket = get("/api/live").header("connection", "upgrade").header("upgrade", "websocket");
        for ask in [
            get("/any/orders"),
            get("/api/orders").header("expect", "100-continue"),
            Ask::new("POST", "/api/orders").body("{}"),
            get("/api/../auth/refresh"),
            socket,
        ] {
            assert_eq!(vite.passed_on(&api, ask.clone(), &both).await, Some(one("a=1")), "{words:?} {ask:?}");
        }
        // The edge sees it, where it needs it, and nobody else sees that.
        for (path, arrives) in [
            ("/auth/refresh", one("symbolon-8080=sr1_x; a=1")),
            ("/auth/../api/orders", one("symbolon-8080=sr1_x; a=1")),
            ("/.well-known/jwks.json", one("a=1")),
            ("/.well-known/openid-configuration?x", one("a=1")),
        ] {
            assert_eq!(vite.passed_on(&api, get(path), &both).await, None, "{words:?} {path}");
            assert_eq!(edge.saw_in("cookie"), Some(arrives), "{words:?} {path}");
        }
    }
}
