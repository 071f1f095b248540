//! One host behind nginx, as `deploy/nginx.conf` has it: the edge sees the refresh cookie and the application never does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::join_all;
use symbolon::edge::attempts::NETWORK;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;

use crate::support::http::{Connection, raw};
use crate::support::http2::{HEADERS, Http2};
use crate::support::{Answer, Application, Ask, Browser, Process};

/// Installed by the first test that asks.
pub(crate) fn nginx() -> &'static PathBuf {
    static NGINX: OnceLock<PathBuf> = OnceLock::new();
    NGINX.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let told = Command::new(root.join("tests/tools/nginx")).arg(root.join("target/tools")).output().unwrap();
        assert!(told.status.success(), "tests/tools/nginx: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap().trim().into()
    })
}

/// nginx, and behind it the edge of a `symbolon dev` and an application.
struct Host {
    /// Where nginx is: `127.0.0.1:port`.
    address: String,
    /// The same for HTTP/2.
    http2: String,
    /// The cookie's name.
    name: String,
    application: Application,
    /// For as long as it is asked.
    _running: (Child, Process, TempDir),
}

impl Host {
    async fn start(env: &[(&str, &str)]) -> Self {
        let held = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, http2, edge] = held.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(held);
        let application = Application::start().await;
        let dir = tempfile::tempdir().unwrap();
        let (listen, public) = (format!("localhost:{edge}"), format!("http://localhost:{port}"));
        let here = [("SYMBOLON_EDGE_LISTEN", listen.as_str()), ("SYMBOLON_EDGE_PUBLIC_URL", public.as_str())];
        let symbolon = Process::dev(dir.path(), &[&here, env].concat()).await;

        let [address, http2] = [port, http2].map(|port| format!("127.0.0.1:{port}"));
        let nginx = Self::nginx(dir.path(), [&address, &http2], edge, application.port).await;
        Self { address, http2, name: format!("symbolon-{port}"), application, _running: (nginx, symbolon, dir) }
    }

    /// As `deploy/nginx.conf` has it, but for its addresses.
    async fn nginx(dir: &Path, [address, http2]: [&str; 2], edge: u16, application: u16) -> Child {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/nginx.conf")).unwrap();
        let replace = |text: String, named: &str, free: &str| {
            assert_eq!(text.matches(named).count(), 1, "{named} in deploy/nginx.conf");
            text.replace(named, free)
        };
        let text = replace(text, "listen 127.0.0.1:8000;", &format!("listen {address}; listen {http2} http2;"));
        let text = replace(text, "server 127.0.0.1:8080;", &format!("server 127.0.0.1:{edge};"));
        let text = replace(text, "server 127.0.0.1:3000;", &format!("server 127.0.0.1:{application};"));
        let file = dir.join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let nginx = tokio::process::Command::new(nginx())
            .arg("-p")
            .arg(dir)
            .arg("-c")
            .arg(file)
            // One process, which ends when it is killed.
            .args(["-e", "stderr", "-g", "master_process off;"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), listening).await.expect("nginx does not listen");
        nginx
    }

    /// What the application is shown of these Cookie headers; a `$` stands for the cookie's name.
    async fn passed_on(&self, path: &str, cookies: &[&str]) -> Option<Vec<String>> {
        let named = |cookie: &&str| cookie.replace('$', &self.name);
        let ask = cookies.iter().fold(Ask::get(path), |ask, cookie| ask.header("cookie", named(cookie)));
        raw(&self.address, &ask.bytes()).await.unwrap();
        self.application.saw_in("cookie")
    }
}

/// R-EDGE-01, R-EDGE-02
#[tokio::test]
async fn a_session_lives_behind_nginx_and_the_application_never_sees_its_cookie() {
    let host = Host::start(&[]).await;
    let mut browser = Browser::signed_in(&host.address, "alice").await;
    assert_eq!(host.application.saw_in("cookie"), None, "the application was asked for the edge");
    for _ in 0..3 {
        let before = browser.cookie().unwrap().to_owned();
        let refreshed = browser.ask(&host.address, &Ask::refresh().header("cookie", "theme=dark")).await;
        assert_eq!((refreshed.status, refreshed.json()["session"]["subject"].as_str()), (200, Some("alice")));
        assert_ne!(browser.cookie().unwrap(), before);
        let page = raw(&host.address, &Ask::get("/orders").header("cookie", browser.cookie().unwrap()).bytes()).await;
        assert_eq!(page.unwrap().body, "the application");
        assert_eq!(host.application.saw_in("cookie"), Some(Vec::new()));
    }
    assert_eq!(Ask::get("/.well-known/jwks.json").of(&host.address).await.json()["keys"][0]["alg"], "EdDSA");
    let twice = Ask::refresh().header("cookie", format!("{}=x; theme=dark", host.name));
    assert_eq!(browser.clone().ask(&host.address, &twice).await.problem(), (400, "duplicate_cookie".to_owned()));
    assert_eq!(browser.ask(&host.address, &Ask::page("POST", "/auth/logout")).await.status, 204);
    assert_eq!(host.application.saw_in("cookie"), None);
}

/// R-EDGE-02
#[tokio::test]
async fn whatever_else_stands_in_the_jar_goes_on_to_the_application_unharmed() {
    let host = Host::start(&[]).await;
    let nothing = Vec::<String>::new;
    let one = |jar: &str| vec![jar.to_owned()];
    for (cookies, left) in [
        (&["$=sr1_x"][..], nothing()),
        (&["$="], nothing()),
        (&[" \t$ =\tsr1_x;"], nothing()),
        (&["__Host-Http-symbolon=sr1_x"], nothing()),
        (&["__HOST-HTTP-SYMBOLON=sr1_x"], nothing()),
        (&["a=1; b=2"], one("a=1; b=2")),
        (&["$=sr1_x; a=1; b=2"], one("a=1; b=2")),
        (&["a=1; $=sr1_x; b=2"], one("a=1; b=2")),
        (&["a=1; b=2; $=sr1_x"], one("a=1; b=2")),
        (&["a=1;$=sr1_x;b=2"], one("a=1;b=2")),
        // Two of the name, beside each other and apart, and three.
        (&["$=sr1_x; $=sr1_y"], nothing()),
        (&["a=1; $=sr1_x; $=sr1_y; b=2"], one("a=1; b=2")),
        (&["$=sr1_x; a=1; $=sr1_y"], one("a=1")),
        (&["$=sr1_x; a=1; $=sr1_y; b=2; $=sr1_z; c=3"], one("a=1; b=2; c=3")),
        (&["$=sr1_x; a=1; __Host-Http-symbolon=sr1_y"], one("a=1")),
        // In headers of their own.
        (&["a=1", "$=sr1_x", "b=2"], one("a=1; b=2")),
        (&["$=sr1_x", "$=sr1_y", "b=2"], one("b=2")),
        // Quotes hide nothing.
        (&["a=\"x; $=sr1_x; b=y\""], one("a=\"x; b=y\"")),
        // What only looks like it is somebody else's.
        (&["my$=1; $x=2; a=$=1; $; =3"], one("my$=1; $x=2; a=$=1; $; =3")),
        (&["a=b=c==; d=\"e f\"; g=%20; h"], one("a=b=c==; d=\"e f\"; g=%20; h")),
        // No browser sends these: rather no cookie than the wrong one.
        (&["$=1; $=2; $=3; $=4; a=1"], nothing()),
        (&["a=1; renamed=sr1_x"], nothing()),
        (&["a=1, $=sr1_x"], nothing()),
    ] {
        let left: Vec<_> = left.into_iter().map(|jar| jar.replace('$', &host.name)).collect();
        assert_eq!(host.passed_on("/orders", cookies).await, Some(left), "{cookies:?}");
    }
    // Wherever a path leads, and whichever of the two it is that it leads to.
    for (path, arrives) in [
        ("/", true),
        ("/auth", false),
        ("/authx", true),
        ("/Auth/refresh", true),
        ("//orders", true),
        ("/auth/../orders", true),
        ("/auth/..%2forders", true),
        ("/.well-known/acme-challenge/x", true),
        ("/.well-known/jwks.json/x", true),
        ("/auth/orders", false),
        ("//auth/refresh", false),
        ("/orders/../auth/refresh", false),
        ("/%61uth/refresh", false),
        ("/.well-known/jwks.json", false),
    ] {
        let left = host.passed_on(path, &["$=sr1_x; a=1"]).await;
        assert_eq!(left, arrives.then(|| one("a=1")), "{path}");
    }
}

/// R-EDGE-02
#[tokio::test]
async fn the_crumbs_of_http_2_are_one_jar() {
    let host = Host::start(&[]).await;
    let token = format!("{}=sr1_x", host.name);
    let crumbs = [("cookie", "a=1"), ("cookie", &token), ("cookie", "b=2"), ("cookie", &token)];
    let mut connection = Http2::connect(&host.http2).await;
    connection.begin_at(1, "/orders", &crumbs).await;
    connection.finish(1, b"").await;
    connection.wait_for(HEADERS, Duration::from_secs(20)).await.expect("no answer");
    assert_eq!(host.application.saw_in("cookie"), Some(vec!["a=1; b=2".to_owned()]));
}

/// R-EDGE-02, R-OBS-04
#[tokio::test]
async fn the_edge_hears_nothing_of_traces_and_discovery_nothing_of_cookies_from_a_page() {
    let [edge, application] = [Application::start().await, Application::start().await];
    let held = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let [address, http2] = held.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
    drop(held);
    let dir = tempfile::tempdir().unwrap();
    let _nginx = Host::nginx(dir.path(), [&address, &http2], edge.port, application.port).await;
    for (path, cookie) in [("/auth/refresh", Some("a=1")), ("/.well-known/jwks.json", None)] {
        let ask = Ask::get(path).header("cookie", "a=1").header("tracestate", "a=1");
        let ask = ask.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        raw(&address, &ask.bytes()).await.unwrap();
        let [headers] = edge.saw().try_into().unwrap();
        assert!(!headers.contains_key("traceparent") && !headers.contains_key("tracestate"), "{path}: {headers:?}");
        assert_eq!(headers.get("cookie").map(|it| it.to_str().unwrap()), cookie, "{path}");
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
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
async fn wrong_passwords_are_counted_by_the_address_nginx_saw_if_nginx_is_trusted_and_by_nginxs_own_if_not() {
    let trusting = Host::start(&[("SYMBOLON_EDGE_TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    assert!(exhaust(&trusting).await >= NETWORK.burst);
    let honest = || Ask::login("alice", "alice");
    assert_eq!(guess(&trusting, "127.0.0.3", "127.0.0.2", honest()).await.status, 200);
    // The application is told the same.
    guess(&trusting, "127.0.0.3", "198.51.100.1", Ask::get("/orders")).await;
    assert_eq!(trusting.application.saw_in("x-forwarded-for"), Some(vec!["127.0.0.3".to_owned()]));

    let trusting_nobody = Host::start(&[]).await;
    let mut rounds = 0;
    // One guess a second is given back: it may be just now.
    loop {
        exhaust(&trusting_nobody).await;
        let answer = guess(&trusting_nobody, "127.0.0.3", "198.51.100.1", honest()).await;
        if answer.code() == "rate_limited" {
            break;
        }
        rounds += 1;
        assert!(rounds < 10, "somebody else was never slowed down: {answer:?}");
    }
}
