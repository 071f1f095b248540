//! `examples/express` signs users in by itself and sets the cookie; a real edge goes on with it.

use std::process::Stdio;

use symbolon::clock::{Clock, SystemClock};
use symbolon::time::Timestamp;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Answer, Ask, Browser, Process, Server, Settings, claimed, hash, tools};

/// Its caller's secret: in the form of one, so that `dev` looks at it.
const SECRET: &str = "sc1_express";

const MONTH: i64 = 2_592_000;

/// The program, in a process of its own. Killed when dropped.
struct Express {
    address: String,
    _child: Child,
}

impl Express {
    /// In front of this service, beside the edge that browsers know as `edge_url`.
    async fn start(grpc: &str, edge_url: &str, secret: &str) -> Self {
        // Starts the installation, which may take a while.
        tokio::task::spawn_blocking(tools).await.unwrap();
        let mut child = Command::new("node")
            .arg(format!("{}/examples/express/server.cjs", env!("CARGO_MANIFEST_DIR")))
            .env("NODE_PATH", tools().join("node_modules"))
            .env("SYMBOLON_URL", format!("http://{grpc}"))
            .env("SYMBOLON_CALLER_TOKEN", secret)
            .env("EDGE_URL", edge_url)
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = said.next_line().await.unwrap().expect("it ended before it served");
        let address = line.strip_prefix("sign in at http://").unwrap().trim_end_matches('/').to_owned();
        Self { address, _child: child }
    }

    /// The form, sent from a page of this origin.
    async fn sign_in_from(&self, origin: &str, username: &str, password: &str) -> Answer {
        let form = Ask::new("POST", "/sign-in").header("origin", origin);
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        form.body(format!("username={username}&password={password}")).of(&self.address).await
    }

    async fn sign_in(&self, username: &str, password: &str) -> Answer {
        self.sign_in_from("http://localhost:3000", username, password).await
    }
}

/// `dev` that asks this caller for its secret.
async fn dev() -> (Process, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let caller = format!(
        "[callers.express]\ntoken_sha256 = [\"{}\"]\npermissions = [\"issue\"]\nclients = [\"web\"]",
        hash(SECRET)
    );
    std::fs::write(dir.path().join("callers.toml"), caller).unwrap();
    let process = Process::dev(dir.path(), &[("SYMBOLON_CALLERS_FILE", "callers.toml")]).await;
    (process, dir)
}

/// The value and the lifetime of a cookie that otherwise reads exactly so.
fn value_and_lifetime(answer: &Answer, name: &str, secure: &str) -> (String, i64) {
    let header = answer.header("set-cookie").unwrap_or_else(|| panic!("{answer:?}"));
    let rest = header.strip_prefix(&format!("{name}=")).unwrap_or_else(|| panic!("{header}"));
    let (value, rest) = rest.split_once("; Path=/; Max-Age=").unwrap_or_else(|| panic!("{header}"));
    let lifetime = rest.strip_suffix(&format!("; HttpOnly;{secure} SameSite=Strict"));
    (value.to_owned(), lifetime.unwrap_or_else(|| panic!("{header}")).parse().unwrap())
}

/// R-EDGE-01
#[tokio::test]
async fn the_edge_goes_on_with_the_cookie_and_its_sign_out_ends_the_session() {
    let (edge, _dir) = dev().await;
    let port = edge.edge.strip_prefix("localhost:").unwrap();
    let express = Express::start(&edge.grpc, &format!("http://{}", edge.edge), SECRET).await;

    let signed_in = express.sign_in("carol", "carol").await;
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")));
    assert_eq!(signed_in.header("cache-control"), Some("no-store"));
    let (token, lifetime) = value_and_lifetime(&signed_in, &format!("symbolon-{port}"), "");
    assert!(token.starts_with("sr1_") && !signed_in.body.contains(&token));
    assert!((MONTH - 20..=MONTH).contains(&lifetime), "{lifetime}");

    let mut browser = Browser::default();
    browser.take(&signed_in);
    for _ in 0..2 {
        let refreshed = browser.ask(&edge.edge, &Ask::refresh()).await;
        let claims = claimed(&refreshed.access_token());
        assert_eq!((claims["sub"].as_str(), claims["amr"][0].as_str()), (Some("user-1"), Some("pwd")));
    }
    let stolen = browser.clone();
    assert_eq!(browser.ask(&edge.edge, &Ask::page("POST", "/auth/logout")).await.status, 204);
    assert_eq!(browser.cookie(), None);
    let refused = stolen.clone().ask(&edge.edge, &Ask::refresh()).await;
    assert_eq!(refused.problem(), (401, "session_revoked".to_owned()));
}

/// R-EDGE-01
#[tokio::test]
async fn on_https_the_cookie_is_the_one_of_the_public_contract_and_no_other_name_is_taken() {
    let server = Server::with(Settings::default().env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com")).await;
    // A session that began a while ago, so that a lifetime that is not reckoned from its end is seen.
    let ago = 1000;
    server.clock.set(Timestamp::from_seconds(SystemClock.now().seconds() - ago));
    let express = Express::start(&server.grpc, "https://auth.example.com", "").await;
    let signed_in = express.sign_in("carol", "carol").await;
    let (token, lifetime) = value_and_lifetime(&signed_in, "__Host-Http-symbolon", " Secure;");
    assert!((MONTH - ago - 20..=MONTH - ago).contains(&lifetime), "{lifetime}");

    for name in ["symbolon-443", "symbolon", "__Host-symbolon", "__host-http-symbolon"] {
        let other = Ask::refresh().header("cookie", format!("{name}={token}")).of(&server.edge).await;
        assert_eq!(other.problem(), (401, "no_session".to_owned()), "{name}");
    }
    // Set twice, by a backend that also sets one with another path, it is nobody's.
    let both = format!("__Host-Http-symbolon={token}; __Host-Http-symbolon={token}");
    let twice = Ask::refresh().header("cookie", both).of(&server.edge).await;
    assert_eq!(twice.problem(), (400, "duplicate_cookie".to_owned()));

    let mut browser = Browser::default();
    browser.take(&signed_in);
    let refreshed = browser.ask(&server.edge, &Ask::refresh()).await;
    assert_eq!(refreshed.json()["session"]["subject"], "user-1");
}

#[tokio::test]
async fn whoever_it_does_not_know_and_whoever_comes_from_elsewhere_gets_no_cookie() {
    let (edge, _dir) = dev().await;
    let express = Express::start(&edge.grpc, &format!("http://{}", edge.edge), SECRET).await;
    for (username, password) in [("carol", "wrong"), ("nobody", "carol"), ("", ""), ("carol", "carol&username=carol")] {
        let answer = express.sign_in(username, password).await;
        assert_eq!((answer.status, answer.cookie()), (401, None), "{username}/{password}");
    }
    let elsewhere = express.sign_in_from("https://evil.example", "carol", "carol").await;
    assert_eq!((elsewhere.status, elsewhere.cookie()), (403, None));
    assert_eq!(express.sign_in("carol", "carol").await.status, 303);
}

#[tokio::test]
async fn with_a_wrong_secret_it_signs_nobody_in_and_says_nothing_of_why() {
    let (edge, _dir) = dev().await;
    let express = Express::start(&edge.grpc, &format!("http://{}", edge.edge), "sc1_another").await;
    let answer = express.sign_in("carol", "carol").await;
    assert_eq!((answer.status, answer.cookie()), (503, None));
    assert!(!answer.body.contains("CALLER") && !answer.body.contains("another"), "{}", answer.body);
}
