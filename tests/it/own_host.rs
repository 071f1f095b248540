//! The edge on a host of its own beside the application's, behind a Traefik as `deploy/traefik.yaml` has it: pages of the
//! listed origin sign in across the two hosts, and the cookie goes to the edge's and nowhere else.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::front::{Front, Fronted, Ports, assert_edge_is_asked_first, free};
use crate::support::http::{Connection, raw};
use crate::support::{Answer, Application, Ask, Browser, Process, tools};

/// Both hosts on one Traefik, in front of a `symbolon dev` and of an application.
struct Hosts {
    /// Where Traefik is: `127.0.0.1:port`.
    address: String,
    port: u16,
    /// For as long as it is asked.
    _running: (Fronted, Process, TempDir),
}

impl Hosts {
    async fn start(application: u16, change: impl Fn(String) -> String) -> Self {
        let [port, edge] = free();
        let dir = tempfile::tempdir().unwrap();
        let [listen, public] = [format!("localhost:{edge}"), format!("http://auth.example.localhost:{port}")];
        let pages = format!("http://app.example.localhost:{port}");
        let env = [
            ("SYMBOLON_EDGE_LISTEN", listen.as_str()),
            ("SYMBOLON_EDGE_PUBLIC_URL", &public),
            ("SYMBOLON_EDGE_ALLOWED_ORIGINS", &pages),
            ("SYMBOLON_EDGE_TRUSTED_PROXIES", "127.0.0.1/32"),
        ];
        let symbolon = Process::dev(dir.path(), &env).await;
        let ports = Ports { front: port, edge, application };
        let front = Front::Traefik.start_with(dir.path(), ports, change).await;
        let hosts = Self { address: format!("127.0.0.1:{port}"), port, _running: (front, symbolon, dir) };
        // It listens before it knows the way.
        let ready = async {
            while hosts.ask(&hosts.at("auth", "GET", "/auth/check")).await.status == 404 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ready).await.expect("Traefik leads nowhere");
        hosts
    }

    /// A request to a host, of no page.
    fn at(&self, host: &str, method: &str, path: &str) -> Ask {
        Ask::new(method, path).header("host", format!("{host}.example.localhost:{}", self.port))
    }

    /// A request to the edge from a page of this host, as a browser sends it.
    fn by_page(&self, host: &str, method: &str, path: &str) -> Ask {
        let origin = format!("http://{host}.example.localhost:{}", self.port);
        let ask = self.at("auth", method, path).header("origin", origin);
        ask.header("sec-fetch-site", "same-site").header("x-symbolon-csrf", "1")
    }

    fn login(&self, host: &str) -> Ask {
        self.by_page(host, "POST", "/auth/login").json(&json!({ "username": "alice", "password": "alice" }))
    }

    async fn ask(&self, ask: &Ask) -> Answer {
        raw(&self.address, &ask.bytes()).await.unwrap()
    }
}

/// R-EDGE-06
#[tokio::test]
async fn pages_of_the_listed_host_sign_in_at_the_edges_and_others_do_not() {
    let application = Application::start().await;
    let hosts = Hosts::start(application.port, |text| text).await;
    let app = format!("http://app.example.localhost:{}", hosts.port);

    let preflight = hosts.by_page("app", "OPTIONS", "/auth/login").without("x-symbolon-csrf");
    let preflight = preflight.header("access-control-request-method", "POST");
    let preflight =
        hosts.ask(&preflight.header("access-control-request-headers", "content-type,x-symbolon-csrf")).await;
    assert_eq!(preflight.status, 204);
    let mut browser = Browser::default();
    let signed_in = browser.ask(&hosts.address, &hosts.login("app")).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    for answer in [&preflight, &signed_in] {
        assert_eq!(answer.header("access-control-allow-origin"), Some(app.as_str()));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    }
    // Without a Domain a browser sends it to this host only.
    let cookie = signed_in.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("symbolon-{}=sr1_", hosts.port)), "{cookie}");
    assert!(!cookie.to_lowercase().contains("domain") && cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
    let refresh = hosts.by_page("app", "POST", "/auth/refresh");
    assert_eq!(browser.ask(&hosts.address, &refresh).await.json()["session"]["subject"], "alice");

    let stranger = hosts.ask(&hosts.login("evil")).await;
    assert_eq!(stranger.problem(), (403, "origin_not_allowed".to_owned()));
    assert_eq!((stranger.header("access-control-allow-origin"), stranger.cookie()), (None, None));
    assert_eq!(application.saw().len(), 0, "the application was asked for the edge");
}

/// R-EDGE-02, R-OBS-04, R-OPS-06
#[tokio::test]
async fn each_host_leads_to_its_own_and_only_what_traefik_saw_is_believed() {
    let (application, edge) = (Application::start().await, Application::start().await);
    let hosts = Hosts::start(application.port, |text| text).await;
    for path in ["/", "/auth/refresh", "/.well-known/jwks.json"] {
        let ask = hosts.at("app", "GET", path).header("cookie", "a=1; b=2").header("x-forwarded-for", "198.51.100.1");
        let mut connection = Connection::from("127.0.0.3", &hosts.address).await;
        connection.write(&ask.bytes()).await;
        assert_eq!(connection.answer().await.unwrap().body, "the application", "{path}");
        let [seen] = application.saw().try_into().unwrap();
        assert_eq!([&seen["cookie"], &seen["x-forwarded-for"]], ["a=1; b=2", "127.0.0.3"], "{path}");
    }
    assert_eq!(hosts.ask(&hosts.at("auth", "GET", "/.well-known/jwks.json")).await.status, 200);
    assert_eq!(hosts.ask(&hosts.at("other", "GET", "/")).await.status, 404);
    assert_eq!(application.saw().len(), 0);

    // What the edge is told, seen with another in its place.
    let [port] = free();
    let dir = tempfile::tempdir().unwrap();
    let ports = Ports { front: port, edge: edge.port, application: application.port };
    let _front = Front::Traefik.start(dir.path(), ports).await;
    let traced = hosts.at("auth", "POST", "/auth/refresh").header("tracestate", "a=1").header("cookie", "a=1");
    let traced = traced.header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let traced = traced.header("x-forwarded-for", "198.51.100.1").bytes();
    let arrived = async {
        loop {
            raw(&format!("127.0.0.1:{port}"), &traced).await.unwrap();
            if let Some(headers) = edge.saw().pop() {
                return headers;
            }
        }
    };
    let headers = tokio::time::timeout(Duration::from_secs(20), arrived).await.unwrap();
    assert!(!headers.contains_key("traceparent") && !headers.contains_key("tracestate"), "{headers:?}");
    assert_eq!([&headers["cookie"], &headers["x-forwarded-for"]], ["a=1", "127.0.0.1"]);
}

/// The line of the recipe that is there for who wants it.
#[tokio::test]
async fn traefik_asks_the_edge_for_an_application_that_verifies_nothing() {
    let application = Application::start().await;
    let wanted = |text: String| text.replace("# middlewares: [signed-in]", "middlewares: [signed-in]");
    let hosts = Hosts::start(application.port, wanted).await;
    let token = hosts.ask(&hosts.login("app")).await.access_token();
    let app = format!("app.example.localhost:{}", hosts.port);
    assert_edge_is_asked_first(&hosts.address, &app, &application, &token).await;
}

/// R-EDGE-08: in a real Chromium, which knows what a site is and which host a cookie is for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_beside_the_edges_host_stays_signed_in_and_its_host_never_sees_the_cookie() {
    let [application] = free();
    let hosts = Hosts::start(application, |text| text).await;
    let mut command = Command::new("node");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/own_host/page.js"));
    command.env("SYMBOLON_TOOLS", tools()).kill_on_drop(true);
    command.env("APPLICATION_PORT", application.to_string()).env("HOSTS_PORT", hosts.port.to_string());
    let ended = tokio::time::timeout(Duration::from_secs(120), command.output()).await;
    let output = ended.expect("it hangs").unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("signed in across two hosts"), "{said}");
}
