//! `symbolon edge` in a process of its own, and what every command that opens an edge refuses to begin with.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::support::verifier::{Says, Verifier};
use crate::support::{Ask, Browser, MASTER_KEY, Process, assert_says, sentence, sign_in};

const HERE: [(&str, &str); 2] =
    [("SYMBOLON_EDGE_LISTEN", "localhost:0"), ("SYMBOLON_EDGE_PUBLIC_URL", "http://localhost:8080")];

fn command(dir: &Path, subcommand: &str, env: &[(&str, &str)]) -> Command {
    let mut command = Process::command(dir);
    command.arg(subcommand).envs(env.iter().copied());
    command
}

/// What only `dev` has, `there` says whether it is there.
async fn assert_demonstration(edge: &str, there: bool) {
    for path in ["/", "/scenes.js", "/tab", "/dev/state/0"] {
        assert_eq!(Ask::get(path).header("host", edge).of(edge).await.status == 200, there, "{path}");
    }
    for path in ["/dev/lose/1", "/dev/stop", "/dev/skip/1", "/dev/thief/copy", "/dev/thief/refresh/1"] {
        assert_eq!(Ask::new("POST", path).of(edge).await.status == 404, !there, "{path}");
    }
}

async fn service(dir: &Path) -> Process {
    Process::dev(dir, &[]).await
}

#[tokio::test]
async fn an_edge_alone_serves_browsers_in_front_of_services_elsewhere() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let behind = service(one.path()).await;
    let verifier = Verifier::start(Says::yes("carol")).await;
    let urls = format!("http://localhost:1,http://{}", behind.grpc);
    let mut env = HERE.to_vec();
    env.extend([("SYMBOLON_EDGE_ISSUER_URL", urls.as_str()), ("SYMBOLON_EDGE_VERIFIER_URL", &verifier.url)]);
    let edge = Process::start(command(other.path(), "edge", &env)).await;
    let mut browser = Browser::signed_in(&edge.edge, "carol").await;
    let refreshed = browser.ask(&edge.edge, &Ask::refresh()).await;
    assert_eq!(refreshed.json()["session"]["subject"], "carol");
    assert_demonstration(&edge.edge, false).await;
    assert_demonstration(&behind.edge, true).await;
    // It serves before it has the keys, and is ready when it has them.
    let ready = async {
        while !edge.get("/readyz").await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ready).await.expect("it never has the keys");
    let check = Ask::get("/auth/check").bearer(&refreshed.access_token());
    assert_eq!(check.of(&edge.edge).await.header("x-symbolon-subject"), Some("carol"));
    let metrics = edge.get("/metrics").await;
    let counted = r#"http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",http_route="/auth/refresh",url_scheme="http"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(!other.path().join("symbolon-data").exists(), "an edge keeps nothing");

    // An outage of the service does not unready it; it comes back by itself.
    behind.kill().await;
    assert!(edge.get("/readyz").await.starts_with("HTTP/1.1 200"));
    assert_eq!(check.of(&edge.edge).await.status, 200);
    let (status, said) = edge.terminate().await;
    assert!(status.success() && !said.contains("ERROR"), "{said}");
}

#[tokio::test]
async fn an_edge_that_has_never_reached_its_service_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let env = [&HERE[..], &[("SYMBOLON_EDGE_ISSUER_URL", "http://localhost:1")]].concat();
    let edge = Process::start(command(dir.path(), "edge", &env)).await;
    let answer = edge.get("/readyz").await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("the token service has not answered yet"),
        "{answer}"
    );
    assert!(edge.get("/livez").await.starts_with("HTTP/1.1 200"));
    // Without a verifier nobody signs in here.
    let login = Ask::login("alice", "alice").of(&edge.edge).await;
    assert_eq!(login.problem(), (404, "not_found".to_owned()));
}

/// R-EDGE-01, R-OPS-07
#[tokio::test]
async fn an_edge_that_could_not_work_is_refused_at_start_and_by_config_check() {
    let dir = tempfile::tempdir().unwrap();
    let edge = |env: &[(&str, &str)]| {
        let url = [("SYMBOLON_EDGE_ISSUER_URL", "http://localhost:1")];
        sentence(command(dir.path(), "edge", &[&HERE[..], &url, env].concat()))
    };
    let public = |url| ("SYMBOLON_EDGE_PUBLIC_URL", url);
    let https = public("https://auth.example.com");
    assert_says(
        &edge(&[https, ("SYMBOLON_EDGE_COOKIE_PATH", "/auth")]).await,
        &["SYMBOLON_EDGE_COOKIE_PATH is /auth", "__Host-Http-symbolon", "path is /"],
    );
    assert_says(&edge(&[("SYMBOLON_EDGE_COOKIE_NAME", "__Host-x")]).await, &["__Host-x", "SYMBOLON_EDGE_PUBLIC_URL"]);
    assert_says(&edge(&[("SYMBOLON_EDGE_HSTS", "on")]).await, &["SYMBOLON_EDGE_HSTS", "http"]);
    assert_says(&edge(&[("SYMBOLON_EDGE_LISTEN", "0.0.0.0:0")]).await, &["SYMBOLON_EDGE_LISTEN is 0.0.0.0:0", "https"]);
    let far = |setting| (setting, "http://verifier.example:50052");
    for setting in ["SYMBOLON_EDGE_VERIFIER_URL", "SYMBOLON_EDGE_ISSUER_URL"] {
        assert_says(&edge(&[far(setting)]).await, &[setting, "http://verifier.example:50052", "use https"]);
    }
    let missing = sentence_lines(command(dir.path(), "edge", &[])).await;
    assert_says(&missing, &["SYMBOLON_EDGE_LISTEN", "SYMBOLON_EDGE_PUBLIC_URL", "SYMBOLON_EDGE_ISSUER_URL"]);

    let serve = [("SYMBOLON_ISSUER", "https://id.example"), ("SYMBOLON_MASTER_KEYS", MASTER_KEY), HERE[0]];
    assert_says(&sentence(command(dir.path(), "serve", &serve)).await, &["edge.public_url: missing"]);
    let wrong = [&serve[..], &[https, ("SYMBOLON_EDGE_COOKIE_PATH", "/auth")]].concat();
    assert_says(&sentence(command(dir.path(), "serve", &wrong)).await, &["SYMBOLON_EDGE_COOKIE_PATH"]);
    let mut check = Process::command(dir.path());
    check.args(["config", "check"]).envs(wrong.iter().copied());
    assert_says(&sentence(check).await, &["SYMBOLON_EDGE_COOKIE_PATH"]);
}

/// What a command complains of, in more than one line.
async fn sentence_lines(mut command: Command) -> String {
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn serve_opens_an_edge_when_it_is_told_where() {
    let dir = tempfile::tempdir().unwrap();
    assert!(service(dir.path()).await.terminate().await.0.success());
    let keys = dir.path().join("symbolon-data/master-keys").display().to_string();
    let verifier = Verifier::start(Says::yes("carol")).await;
    let mut env = vec![
        ("SYMBOLON_ISSUER", "http://localhost:8080"),
        ("SYMBOLON_MASTER_KEYS_FILE", keys.as_str()),
        ("SYMBOLON_EDGE_VERIFIER_URL", verifier.url.as_str()),
    ];
    let closed = Process::start(command(dir.path(), "serve", &env)).await;
    assert_eq!(closed.edge, "localhost:");
    assert!(closed.terminate().await.0.success());
    env.extend(HERE);
    let open = Process::start(command(dir.path(), "serve", &env)).await;
    let mut browser = Browser::signed_in(&open.edge, "carol").await;
    assert_eq!(browser.ask(&open.edge, &Ask::refresh()).await.status, 200);
    assert_demonstration(&open.edge, false).await;
    assert!(open.terminate().await.0.success());
}

#[tokio::test]
async fn dev_is_an_edge_under_every_name_of_this_machine_with_two_users() {
    let dir = tempfile::tempdir().unwrap();
    let server = service(dir.path()).await;
    let port = server.edge.strip_prefix("localhost:").unwrap().to_owned();
    for host in ["127.0.0.1", "[::1]"] {
        for user in ["alice", "bob"] {
            Browser::signed_in(&format!("{host}:{port}"), user).await;
        }
    }
    for (user, password) in [("alice", "bob"), ("alice", ""), ("", ""), ("carol", "carol"), ("Alice", "alice")] {
        let answer = Ask::login(user, password).of(&server.edge).await;
        assert_eq!(answer.code(), "credentials_rejected", "{user}/{password}");
    }
    let cookie = Browser::signed_in(&server.edge, "alice").await.cookie().unwrap().to_owned();
    assert!(cookie.starts_with(&format!("symbolon-{port}=")), "{cookie}");
    assert_says(&server.banner, &[&format!("http://localhost:{port}/auth"), "alice/alice", "curl -i"]);
}

/// What stands in the database would else happen tomorrow.
#[tokio::test]
async fn dev_that_has_skipped_goes_on_from_there_when_it_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = service(dir.path()).await;
    let skip = Ask::page("POST", "/dev/skip/600").header("host", &first.edge);
    assert_eq!(skip.of(&first.edge).await.status, 204);
    let issued = first.client().await.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    assert!(first.terminate().await.0.success());

    let second = service(dir.path()).await;
    let state = Ask::get("/dev/state/0").header("host", &second.edge).of(&second.edge).await;
    assert_eq!(state.json()["skipped"], 600);
    let check = Ask::get("/auth/check").bearer(&issued.tokens.unwrap().access_token);
    assert_eq!(check.of(&second.edge).await.status, 200, "its tokens are of the future");
}
