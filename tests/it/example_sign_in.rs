//! `examples/express` and `examples/axum` sign users in by themselves and set the cookie; a real edge goes on with it.

use std::process::Stdio;

use symbolon::clock::{Clock, SystemClock};
use symbolon::pb::auth::{RevokeReason, Session};
use symbolon::time::Timestamp;
use symbolon_example_axum::{Settings as AxumSettings, serve};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::support::{Answer, Ask, Browser, Process, Server, Settings, claimed, hash, tools};

/// The caller's secret: in the form of one, so that `dev` looks at it.
const SECRET: &str = "sc1_example";

const MONTH: i64 = 2_592_000;

/// Which of the two.
#[derive(Clone, Copy, Debug)]
enum Program {
    Express,
    Axum,
}

const PROGRAMS: [Program; 2] = [Program::Express, Program::Axum];

/// One of the programs, serving. Ends when dropped.
struct Backend {
    address: String,
    running: Running,
}

enum Running {
    Process { _child: Child },
    Task(JoinHandle<()>),
}

impl Program {
    /// In front of this service, beside the edge that browsers know as `edge_url`.
    async fn start(self, grpc: &str, edge_url: &str, secret: &str) -> Backend {
        let symbolon_url = format!("http://{grpc}");
        match self {
            Self::Express => Backend::express(&symbolon_url, edge_url, secret).await,
            Self::Axum => Backend::axum(symbolon_url, edge_url, secret).await,
        }
    }
}

impl Backend {
    async fn express(symbolon_url: &str, edge_url: &str, secret: &str) -> Self {
        // Starts the installation, which may take a while.
        tokio::task::spawn_blocking(tools).await.unwrap();
        let mut child = Command::new("node")
            .arg(format!("{}/examples/express/server.cjs", env!("CARGO_MANIFEST_DIR")))
            .env("NODE_PATH", tools().join("node_modules"))
            .env("SYMBOLON_URL", symbolon_url)
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
        Self { address, running: Running::Process { _child: child } }
    }

    async fn axum(symbolon_url: String, edge_url: &str, secret: &str) -> Self {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let settings = AxumSettings {
            symbolon_url,
            caller_token: (!secret.is_empty()).then(|| secret.to_owned()),
            client_id: "web".to_owned(),
            edge_url: edge_url.parse().unwrap(),
            public_url: "http://localhost:3000".parse().unwrap(),
        };
        let task = tokio::spawn(async move { serve(settings, listener).await.unwrap() });
        Self { address, running: Running::Task(task) }
    }

    /// The form, sent from a page of this origin.
    async fn sign_in_from(&self, origin: &str, username: &str, password: &str) -> Answer {
        form(username, password).header("origin", origin).of(&self.address).await
    }

    async fn sign_in(&self, username: &str, password: &str) -> Answer {
        self.sign_in_from("http://localhost:3000", username, password).await
    }

    /// Once more, by a browser that sends these cookies along.
    async fn sign_in_again(&self, cookies: &str) -> Answer {
        let ask = form("carol", "carol").header("origin", "http://localhost:3000").header("cookie", cookies);
        ask.of(&self.address).await
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Running::Task(task) = &self.running {
            task.abort();
        }
    }
}

fn form(username: &str, password: &str) -> Ask {
    let form = Ask::new("POST", "/sign-in").header("content-type", "application/x-www-form-urlencoded");
    form.body(format!("username={username}&password={password}"))
}

/// `dev` that asks this caller, who may do so much, for its secret.
async fn dev(permissions: &str) -> (Process, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let caller = format!(
        "[callers.example]\ntoken_sha256 = [\"{}\"]\npermissions = [{permissions}]\nclients = [\"web\"]",
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
    let (edge, _dir) = dev(r#""issue", "revoke""#).await;
    let port = edge.edge.strip_prefix("localhost:").unwrap();
    for program in PROGRAMS {
        let backend = program.start(&edge.grpc, &format!("http://{}", edge.edge), SECRET).await;
        let page = Ask::get("/").of(&backend.address).await;
        assert!(page.status == 200 && page.body.contains(&format!("fetch(\"http://{}\"", edge.edge)), "{page:?}");

        let signed_in = backend.sign_in("carol", "carol").await;
        assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")), "{program:?}");
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
}

/// R-EDGE-01
#[tokio::test]
async fn on_https_the_cookie_is_the_one_of_the_public_contract_and_no_other_name_is_taken() {
    let server = Server::with(Settings::default().env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com")).await;
    // Sessions that began a while ago, so that a lifetime that is not reckoned from its end is seen.
    let ago = 1000;
    server.clock.set(Timestamp::from_seconds(SystemClock.now().seconds() - ago));
    for program in PROGRAMS {
        let backend = program.start(&server.grpc, "https://auth.example.com", "").await;
        let signed_in = backend.sign_in("carol", "carol").await;
        let (token, lifetime) = value_and_lifetime(&signed_in, "__Host-Http-symbolon", " Secure;");
        assert!((MONTH - ago - 20..=MONTH - ago).contains(&lifetime), "{program:?}: {lifetime}");

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
}

/// The session a sign-in began, as the service has it now.
async fn session(server: &Server, signed_in: &Answer) -> Session {
    let cookie = signed_in.cookie().unwrap_or_else(|| panic!("{signed_in:?}"));
    let id = server.introspect(cookie.split_once('=').unwrap().1).await.sid;
    server.session(&id).await.unwrap()
}

#[tokio::test]
async fn who_signs_in_again_ends_the_session_before_and_no_other() {
    let server = Server::with(Settings::default().env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com")).await;
    server.clock.set(SystemClock.now());
    for program in PROGRAMS {
        let backend = program.start(&server.grpc, "https://auth.example.com", "").await;
        let first = backend.sign_in("carol", "carol").await;
        let begun = session(&server, &first).await;
        let old = first.cookie().unwrap();
        // Neither a wrong password nor two cookies of the name, nor one of another, ends what there is.
        let wrong = form("carol", "wrong").header("origin", "http://localhost:3000").header("cookie", &old);
        assert_eq!(wrong.of(&backend.address).await.status, 401, "{program:?}");
        for cookies in [format!("{old}; {old}"), format!("my{old}; a={old}"), "__Host-Http-symbolon=".to_owned()] {
            assert_eq!(backend.sign_in_again(&cookies).await.status, 303, "{program:?}: {cookies}");
        }
        // Nor does a token that is nobody's keep anybody out.
        assert_eq!(backend.sign_in_again("__Host-Http-symbolon=sr1_x").await.status, 303, "{program:?}");
        let still = server.session(&begun.session_id).await.unwrap();
        assert_eq!(still.revoke_time, None, "{program:?}");

        let second = backend.sign_in_again(&format!("a=1; {old}; b=2")).await;
        assert_eq!(second.status, 303, "{program:?}");
        let ended = server.session(&begun.session_id).await.unwrap();
        assert_eq!(ended.revoke_reason(), RevokeReason::Superseded, "{program:?}");
        let now = session(&server, &second).await;
        assert_ne!(now.session_id, begun.session_id);
        assert_eq!(now.revoke_time, None, "{program:?}");
    }
}

#[tokio::test]
async fn a_caller_who_may_not_revoke_signs_users_in_all_the_same() {
    let (edge, _dir) = dev(r#""issue""#).await;
    for program in PROGRAMS {
        let backend = program.start(&edge.grpc, &format!("http://{}", edge.edge), SECRET).await;
        let first = backend.sign_in("carol", "carol").await.cookie().unwrap();
        let second = backend.sign_in_again(&first).await;
        assert_eq!(second.status, 303, "{program:?}");
        assert_ne!(second.cookie(), Some(first), "{program:?}");
    }
}

#[tokio::test]
async fn whoever_it_does_not_know_and_whoever_comes_from_elsewhere_gets_no_cookie() {
    let (edge, _dir) = dev(r#""issue", "revoke""#).await;
    for program in PROGRAMS {
        let backend = program.start(&edge.grpc, &format!("http://{}", edge.edge), SECRET).await;
        for (username, password) in
            [("carol", "wrong"), ("nobody", "carol"), ("", ""), ("carol", "carol&username=carol"), ("carol", "%FF")]
        {
            let answer = backend.sign_in(username, password).await;
            assert_eq!((answer.status, answer.cookie()), (401, None), "{program:?}: {username}/{password}");
        }
        let long = backend.sign_in("carol", &"x".repeat(9000)).await;
        assert_eq!((long.status, long.cookie()), (413, None), "{program:?}");
        for origin in ["https://evil.example", "null", "http://localhost:3001", "http://localhost:3000.evil.example"] {
            let elsewhere = backend.sign_in_from(origin, "carol", "carol").await;
            assert_eq!((elsewhere.status, elsewhere.cookie()), (403, None), "{program:?}: {origin}");
        }
        let without = form("carol", "carol").of(&backend.address).await;
        assert_eq!((without.status, without.cookie()), (403, None), "{program:?}");
        assert_eq!(backend.sign_in("carol", "carol").await.status, 303);
    }
}

#[tokio::test]
async fn with_a_wrong_secret_or_no_issuer_it_signs_nobody_in_and_says_nothing_of_why() {
    let (edge, _dir) = dev(r#""issue", "revoke""#).await;
    let url = format!("http://{}", edge.edge);
    let mut backends = Vec::new();
    for program in PROGRAMS {
        let backend = program.start(&edge.grpc, &url, "sc1_another").await;
        let answer = backend.sign_in("carol", "carol").await;
        assert_eq!((answer.status, answer.cookie()), (503, None), "{program:?}");
        assert!(answer.body.contains("Try again later.") && !answer.body.contains("CALLER"), "{}", answer.body);
        backends.push(program.start(&edge.grpc, &url, SECRET).await);
    }
    for backend in &backends {
        assert_eq!(backend.sign_in("carol", "carol").await.status, 303);
    }
    edge.kill().await;
    for backend in &backends {
        let answer = backend.sign_in("carol", "carol").await;
        assert_eq!((answer.status, answer.cookie()), (503, None));
        assert!(answer.body.contains("Try again later.") && !answer.body.contains("127.0.0.1"), "{}", answer.body);
    }
}
