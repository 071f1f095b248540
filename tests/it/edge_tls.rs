//! An edge and the service it calls, over TLS: who the edge is there, and what its own rejected credential does to a
//! browser, which is nothing. R-EDGE-04, R-SEC-02.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::verifier::{Says, Verifier};
use crate::support::{Answer, Ask, Authority, Browser, MASTER_KEY, Process, entry};

/// What an edge needs to do all it does.
const EDGE: &str = "permissions = [\"issue\", \"refresh\", \"revoke\", \"list\"]\nclients = [\"web\"]";

const SECRET: &str = "sc1_edge";
const SPIFFE: &str = "spiffe://example.org/edge";

/// A folder with everybody's files, `serve` in it over TLS, and a verifier that says yes.
struct Service {
    dir: TempDir,
    process: Process,
    verifier: Verifier,
}

/// The callers: one with the secret, one with the certificate, one that may not refresh.
fn callers() -> String {
    let by_certificate = format!("[callers.by-certificate]\nsan = [\"{SPIFFE}\"]\n{EDGE}\n");
    let may_not = entry("sc1_may_not", &EDGE.replace("\"refresh\", ", ""));
    by_secret(SECRET) + &by_certificate + &may_not.replace("callers.sc1_may_not", "callers.may-not")
}

fn by_secret(secret: &str) -> String {
    entry(secret, EDGE).replace(&format!("callers.{secret}"), "callers.by-secret")
}

fn declare(dir: &Path, callers: &str) {
    std::fs::write(dir.join("callers.toml"), callers).unwrap();
}

/// `serve` on a database that is made for it.
async fn serve(dir: &Path, env: Env<'_>) -> tokio::process::Command {
    let usual = [
        ("SYMBOLON_ISSUER", "https://auth.example.com"),
        ("SYMBOLON_DATABASE_URL", "sqlite:symbolon.db"),
        ("SYMBOLON_MASTER_KEYS", MASTER_KEY),
        ("SYMBOLON_CALLERS_FILE", "callers.toml"),
    ];
    let migrated = Process::command(dir).args(["migrate", "up"]).envs([usual[1]]).output().await.unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let mut command = Process::command(dir);
    command.arg("serve").envs(usual).envs(env.iter().copied());
    command
}

impl Service {
    async fn start() -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        authority.server().write(dir.path(), "server");
        authority.client(&[SPIFFE]).write(dir.path(), "edge");
        authority.expired_client(&[SPIFFE]).write(dir.path(), "expired");
        let foreign = Authority::new();
        foreign.client(&[SPIFFE]).write(dir.path(), "foreign");
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(dir.path().join("foreign-ca.pem"), foreign.pem()).unwrap();
        declare(dir.path(), &callers());
        let tls = [
            ("SYMBOLON_GRPC_TLS_CERT_FILE", "server.pem"),
            ("SYMBOLON_GRPC_TLS_KEY_FILE", "server.key"),
            ("SYMBOLON_GRPC_TLS_CLIENT_CA_FILE", "ca.pem"),
        ];
        let process = Process::start(serve(dir.path(), &tls).await).await;
        Self { dir, process, verifier: Verifier::start(Says::yes("carol")).await }
    }

    /// An edge in a process of its own, which believes the CA in `ca` and shows what `credential` says.
    async fn edge(&self, ca: &str, credential: Env<'_>) -> Process {
        let url = format!("https://{}", self.process.grpc);
        let mut command = Process::command(self.dir.path());
        command.arg("edge").envs(credential.iter().copied()).envs([
            ("SYMBOLON_EDGE_LISTEN", "localhost:0"),
            ("SYMBOLON_EDGE_PUBLIC_URL", "http://localhost:8080"),
            ("SYMBOLON_EDGE_ISSUER_URL", &url),
            ("SYMBOLON_EDGE_ISSUER_CA_FILE", ca),
            ("SYMBOLON_EDGE_VERIFIER_URL", &self.verifier.url),
        ]);
        Process::start(command).await
    }
}

/// Settings.
type Env<'a> = &'a [(&'a str, &'a str)];

const TOKEN: &str = "SYMBOLON_EDGE_ISSUER_TOKEN";
const BY_SECRET: [(&str, &str); 1] = [(TOKEN, SECRET)];

fn shows(file: &str) -> [(&'static str, String); 2] {
    [
        ("SYMBOLON_EDGE_ISSUER_CERT_FILE", format!("{file}.pem")),
        ("SYMBOLON_EDGE_ISSUER_KEY_FILE", format!("{file}.key")),
    ]
}

fn assert_kept(answer: &Answer, why: &str) {
    assert_eq!(answer.problem(), (503, "issuer_unavailable".to_owned()), "{why}");
    assert_eq!((answer.header("set-cookie"), &answer.json()["retryable"]), (None, &true.into()), "{why}");
}

/// R-EDGE-04
#[tokio::test]
async fn an_edge_with_a_secret_or_a_certificate_serves_browsers_over_tls() {
    let service = Service::start().await;
    let shown = shows("edge");
    let shown = shown.each_ref().map(|(name, value)| (*name, value.as_str()));
    for credential in [&BY_SECRET[..], &shown[..]] {
        let edge = service.edge("ca.pem", credential).await;
        let mut browser = Browser::signed_in(&edge.edge, "carol").await;
        let refreshed = browser.ask(&edge.edge, &Ask::refresh()).await;
        assert_eq!((refreshed.status, refreshed.json()["session"]["subject"].as_str()), (200, Some("carol")));
        let token = refreshed.access_token();
        let sessions = Ask::get("/auth/sessions").bearer(&token).of(&edge.edge).await;
        assert_eq!((sessions.status, &sessions.json()["sessions"][0]["current"]), (200, &true.into()));
        assert_eq!(Ask::get("/auth/check").bearer(&token).of(&edge.edge).await.status, 200);
        assert_eq!(browser.ask(&edge.edge, &Ask::page("POST", "/auth/logout")).await.status, 204);
        assert_eq!(browser.cookie(), None);
    }
}

/// R-EDGE-04
#[tokio::test]
async fn an_edge_whose_own_credential_is_refused_costs_nobody_the_session() {
    let service = Service::start().await;
    let good = service.edge("ca.pem", &BY_SECRET).await;
    let mut browser = Browser::signed_in(&good.edge, "carol").await;
    let [expired, foreign] = ["expired", "foreign"].map(shows);
    let [expired, foreign] = [&expired, &foreign].map(|it| it.each_ref().map(|(name, value)| (*name, value.as_str())));
    let cases: [(&str, &str, Env); 6] = [
        ("a wrong secret", "ca.pem", &[(TOKEN, "sc1_typo")]),
        ("no credential", "ca.pem", &[]),
        ("a certificate that is over", "ca.pem", &expired),
        ("another authority's certificate", "ca.pem", &foreign),
        ("a service of an authority that the edge does not know", "foreign-ca.pem", &BY_SECRET),
        ("without the permission `refresh`", "ca.pem", &[(TOKEN, "sc1_may_not")]),
    ];
    for (why, ca, credential) in cases {
        let bad = service.edge(ca, credential).await;
        assert_kept(&browser.ask(&bad.edge, &Ask::refresh()).await, why);
        if !why.contains("permission") {
            assert_kept(&browser.ask(&bad.edge, &Ask::page("POST", "/auth/logout")).await, why);
            let login = Ask::login("carol", "carol").of(&bad.edge).await;
            assert_kept(&login, why);
        }
        assert_eq!(browser.ask(&good.edge, &Ask::refresh()).await.status, 200, "after {why}");
    }
}

/// Refreshes until the answer has this status.
async fn until(edge: &Process, browser: &mut Browser, status: u16) -> Answer {
    let seen = async {
        loop {
            let answer = browser.ask(&edge.edge, &Ask::refresh()).await;
            if answer.status == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen)
        .await
        .unwrap_or_else(|_| panic!("it was never answered {status}"))
}

/// R-EDGE-04
#[tokio::test]
async fn a_secret_that_is_taken_away_and_given_back_while_it_runs_costs_nobody_the_session() {
    let service = Service::start().await;
    let edge = service.edge("ca.pem", &BY_SECRET).await;
    let mut browser = Browser::signed_in(&edge.edge, "carol").await;
    declare(service.dir.path(), &callers().replace(&by_secret(SECRET), &by_secret("sc1_next")));
    assert_kept(&until(&edge, &mut browser, 503).await, "taken away");
    declare(service.dir.path(), &callers());
    until(&edge, &mut browser, 200).await;
}

/// R-OPS-07
#[tokio::test]
async fn the_edge_in_the_process_of_serve_may_do_what_its_entry_says_or_else_what_an_edge_does() {
    let dir = tempfile::tempdir().unwrap();
    let verifier = Verifier::start(Says::yes("carol")).await;
    let here = [
        ("SYMBOLON_EDGE_LISTEN", "localhost:0"),
        ("SYMBOLON_EDGE_PUBLIC_URL", "http://localhost:8080"),
        ("SYMBOLON_EDGE_VERIFIER_URL", verifier.url.as_str()),
    ];
    let of_edge = |permissions: &str| {
        declare(dir.path(), &format!("[callers.edge]\npermissions = [{permissions}]\nclients = [\"web\"]\n"));
    };
    // Without an entry it may do what an edge does.
    declare(dir.path(), &by_secret(SECRET));
    let server = Process::start(serve(dir.path(), &here).await).await;
    let mut browser = Browser::signed_in(&server.edge, "carol").await;
    let token = browser.ask(&server.edge, &Ask::refresh()).await.access_token();
    let sessions = async || Ask::get("/auth/sessions").bearer(&token).of(&server.edge).await;
    let has_become = async |status: u16| {
        let seen = async {
            while sessions().await.status != status {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen).await.expect("its entry changes nothing");
    };
    has_become(200).await;

    // With one, what that says and no more; what others may is not its own.
    of_edge("\"refresh\"");
    has_become(503).await;
    assert_kept(&sessions().await, "list");
    assert_kept(&browser.ask(&server.edge, &Ask::page("POST", "/auth/logout")).await, "revoke");
    assert_kept(&Ask::login("carol", "carol").of(&server.edge).await, "issue");
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
    of_edge("\"issue\", \"revoke\"");
    assert_kept(&until(&server, &mut browser, 503).await, "refresh");
    declare(dir.path(), &by_secret(SECRET));
    has_become(200).await;
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
    assert_eq!(browser.ask(&server.edge, &Ask::page("POST", "/auth/logout")).await.status, 204);
}
