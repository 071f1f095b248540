//! `docs/verify/`: in every language the service lets in whom a good token names, and nobody else. R-TOK-02, R-REV-01,
//! R-REV-02.

mod check;
mod forged;

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon::pb::auth::revoke_session_request::Target;
use symbolon::pb::auth::{IssueTokensRequest, RevokeSessionRequest};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use self::forged::{Publisher, but, forgeries, own_key, signed};
use crate::support::{Answer, Ask, Process, claimed, entry, seconds, sign_in, tools};

/// The caller the service is, whose secret is its name.
const SERVICE: &str = "sc1_service";

/// How long whatever has to be noticed may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a service learns of revocations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Learns {
    ByAsking,
    ByStream,
}

/// The program, in a process of its own. Killed when dropped.
struct Service {
    address: String,
    _child: Child,
}

impl Service {
    async fn start(language: &str, dir: &Path, grpc: &str, issuer: &str, secret: &str) -> Self {
        let built = tools().join("services").join(language);
        let mut command = match language {
            "go" => Command::new(built.join("whoami")),
            "typescript" => Command::new("node"),
            "python" => Command::new(tools().join("python/bin/python")),
            _ => Command::new("java"),
        };
        match language {
            "typescript" => command.arg(built.join("whoami.js")),
            "python" => command.arg(built.join("whoami.py")),
            "java" => {
                let [classes, others] = ["target/classes", "target/dependency/*"].map(|path| built.join(path));
                command.args(["-cp", &format!("{}:{}", classes.display(), others.display()), "example.Whoami"])
            }
            _ => &mut command,
        };
        let told = dir.join(format!("{language}.log"));
        let mut child = command
            .env("ISSUER", issuer)
            .env("AUDIENCE", "api")
            .env("PORT", "0")
            .env("SYMBOLON_URL", format!("http://{grpc}"))
            .env("SYMBOLON_CALLER_TOKEN", secret)
            .env("SYMBOLON_PROTO", Path::new(env!("CARGO_MANIFEST_DIR")).join("proto"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&told).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, said.next_line()).await.expect("it said nothing").unwrap();
        let line = line.unwrap_or_else(|| panic!("it ended: {}", std::fs::read_to_string(&told).unwrap()));
        Self { address: line.strip_prefix("listening on ").unwrap().to_owned(), _child: child }
    }

    async fn ask(&self, path: &str, token: &str) -> Answer {
        Ask::get(path).bearer(token).of(&self.address).await
    }

    /// The status of a request with this token, whose challenge is as it should be.
    async fn judge(&self, token: &str) -> u16 {
        let answer = self.ask("/whoami", token).await;
        let (challenge, wait) = (answer.header("www-authenticate"), answer.header("retry-after"));
        let expected = match answer.status {
            401 => (Some("Bearer"), None),
            503 => (None, Some("1")),
            _ => (None, None),
        };
        assert_eq!((challenge, wait), expected, "{answer:?}");
        answer.status
    }

    async fn until(&self, token: &str, status: u16) {
        let begun = Instant::now();
        loop {
            let judged = self.judge(token).await;
            if judged == status {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{judged} and never {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How often the issuer was asked for its judgement.
async fn asked(server: &Process) -> u64 {
    let metrics = server.get("/metrics").await;
    let lines = metrics.lines().filter(|line| line.contains(r#"calls_total{method="IntrospectToken""#));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// A token and its session's id.
async fn issued(server: &Process, request: IssueTokensRequest) -> (String, String) {
    let issued = server.client().await.issue_tokens(request).await.unwrap().into_inner();
    (issued.tokens.unwrap().access_token, issued.session.unwrap().session_id)
}

async fn revoke(server: &Process, session_id: String) {
    let request = RevokeSessionRequest { target: Some(Target::SessionId(session_id)), ..Default::default() };
    assert!(server.client().await.revoke_session(request).await.unwrap().into_inner().revoked);
}

/// Builds the service. False where its toolchain is missing, but not in CI, where nothing may be left out.
async fn built(language: &'static str) -> bool {
    let build = move || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let told = std::process::Command::new(root.join("tests/tools/build_service"))
            .arg(language)
            .arg(tools())
            .output()
            .unwrap();
        let missing = told.status.code() == Some(127) && std::env::var_os("CI").is_none();
        assert!(told.status.success() || missing, "{}", String::from_utf8_lossy(&told.stderr));
        !missing
    };
    // It may take a while, outside of any time limit.
    tokio::task::spawn_blocking(build).await.unwrap()
}

async fn lets_in_whom_a_good_token_names_and_nobody_else(language: &'static str, learns: Learns) {
    if !built(language).await {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let publisher = Publisher::start().await;
    let declared =
        entry(SERVICE, "permissions = [\"introspect\", \"watch\"]\naudience = [\"api\"]\nclients = [\"web\"]");
    std::fs::write(dir.path().join("callers.toml"), declared).unwrap();
    let env = [("SYMBOLON_CALLERS_FILE", "callers.toml"), ("SYMBOLON_ISSUER", publisher.issuer.as_str())];
    let server = Process::dev(dir.path(), &env).await;
    publisher.edge.set(server.edge.clone()).unwrap();
    let start = async |secret| Service::start(language, dir.path(), &server.grpc, &publisher.issuer, secret).await;
    let service = start(SERVICE).await;
    let (good, _) = issued(&server, sign_in("alice")).await;

    // Without the keys nobody is refused, and nobody let in.
    assert_eq!(service.judge(&good).await, 503, "the keys are not to be had");
    publisher.away.store(false, Ordering::SeqCst);
    service.until(&good, 200).await;
    let answer = service.ask("/whoami", &good).await;
    assert_eq!((&answer.json()["sub"], &answer.json()["sid"]), (&json!("alice"), &claimed(&good)["sid"]));
    let brief = IssueTokensRequest { access_token_ttl: seconds(4), ..sign_in("alice") };
    let (brief, _) = issued(&server, brief).await;
    assert_eq!(service.judge(&brief).await, 200);

    // Scopes.
    assert_eq!(service.ask("/orders", &good).await.status, 403);
    for (scope, status) in [("orders:read", 200), ("orders:readall", 403)] {
        let scope = vec!["profile".to_owned(), scope.to_owned()];
        let (scoped, _) = issued(&server, IssueTokensRequest { scope, ..sign_in("alice") }).await;
        assert_eq!(service.ask("/orders", &scoped).await.status, status);
    }

    // What is forged, and what is for others.
    let mut forgeries = forgeries(&good, &publisher.issuer);
    if learns == Learns::ByStream {
        // Nothing that is told would ever be about it.
        let own = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "own" });
        let claims = but(&claimed(&good), "sid", Value::Null);
        forgeries.push(("no session", signed(&own_key(), &own, &claims)));
    }
    let before = asked(&server).await;
    let known_to_the_issuer_only = if learns == Learns::ByAsking { 401 } else { 200 };
    assert_eq!(service.judge(&forgeries[0].1).await, known_to_the_issuer_only, "or the others prove nothing");
    for (why, forged) in &forgeries[1..] {
        assert_eq!(service.judge(forged).await, 401, "{why}");
    }
    assert_eq!(asked(&server).await - before, u64::from(learns == Learns::ByAsking), "calls for forged tokens");
    assert_eq!(Ask::get("/whoami").of(&service.address).await.status, 401);
    assert_eq!(Ask::get("/whoami").header("authorization", &good).of(&service.address).await.status, 401, "no scheme");
    for (audience, status) in [(&["files"][..], 401), (&["files", "api"][..], 200)] {
        let audience = audience.iter().map(|name| (*name).to_owned()).collect();
        let (other, _) = issued(&server, IssueTokensRequest { audience, ..sign_in("alice") }).await;
        assert_eq!(service.judge(&other).await, status);
    }

    // What is revoked, and what is over.
    let (revoked, session) = issued(&server, sign_in("alice")).await;
    assert_eq!(service.judge(&revoked).await, 200);
    let begun = Instant::now();
    revoke(&server, session).await;
    match learns {
        Learns::ByAsking => assert_eq!(service.judge(&revoked).await, 401),
        Learns::ByStream => service.until(&revoked, 401).await,
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(service.judge(&good).await, 200);
    service.until(&brief, 401).await;

    // The keys are in its memory.
    publisher.away.store(true, Ordering::SeqCst);
    assert_eq!(service.judge(&good).await, 200);
    // Whoever may not ask knows nothing.
    publisher.away.store(false, Ordering::SeqCst);
    let stranger = start("sc1_stranger").await;
    assert_eq!((stranger.judge(&good).await, stranger.judge("undefined").await), (503, 401));
    publisher.away.store(true, Ordering::SeqCst);

    // The issuer is away, and back.
    let (last, last_session) = issued(&server, sign_in("alice")).await;
    let grpc = server.grpc.clone();
    server.kill().await;
    let unheard = if learns == Learns::ByAsking { 503 } else { 200 };
    assert_eq!(service.judge(&good).await, unheard);
    assert_eq!(service.judge(&revoked).await, if learns == Learns::ByAsking { 503 } else { 401 });
    let server = Process::dev(dir.path(), &[&env[..], &[("SYMBOLON_GRPC_LISTEN", &grpc)]].concat()).await;
    revoke(&server, last_session).await;
    service.until(&good, 200).await;
    service.until(&last, 401).await;
    assert_eq!((service.judge(&revoked).await, service.judge(&good).await), (401, 200));
}

#[tokio::test]
async fn a_service_in_go_lets_in_whom_a_good_token_names_and_nobody_else() {
    lets_in_whom_a_good_token_names_and_nobody_else("go", Learns::ByStream).await;
}

#[tokio::test]
async fn a_service_in_typescript_lets_in_whom_a_good_token_names_and_nobody_else() {
    lets_in_whom_a_good_token_names_and_nobody_else("typescript", Learns::ByStream).await;
}

#[tokio::test]
async fn a_service_in_python_lets_in_whom_a_good_token_names_and_nobody_else() {
    lets_in_whom_a_good_token_names_and_nobody_else("python", Learns::ByAsking).await;
}

#[tokio::test]
async fn a_service_in_java_lets_in_whom_a_good_token_names_and_nobody_else() {
    lets_in_whom_a_good_token_names_and_nobody_else("java", Learns::ByAsking).await;
}

/// The one in TypeScript is tried with what `tests/tools` installs.
#[test]
fn the_packages_of_the_service_in_typescript_are_those_it_is_tried_with() {
    let read = |path: &str| -> Value {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (own, installed) = (read("docs/verify/typescript/package.json"), read("tests/tools/package.json"));
    for list in ["dependencies", "devDependencies"] {
        for (name, version) in own[list].as_object().unwrap() {
            assert_eq!(installed["dependencies"][name], *version, "{name}");
        }
    }
}
