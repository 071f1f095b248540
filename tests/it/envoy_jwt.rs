//! A service behind an Envoy that verifies access tokens with the edge's keys, as `deploy/envoy-jwt.yaml` has it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon::pb::auth::IssueTokensRequest;
use tokio::process::{Child, Command};

use crate::support::http::raw;
use crate::support::{Application, Ask, Process, part, sign_in, tools};

/// Envoy with the file as it stands, but for its ports.
fn envoy(dir: &Path, ports: &[(&str, &str)]) -> Child {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/envoy-jwt.yaml")).unwrap();
    let text = ports.iter().fold(text, |text, (named, free)| {
        let named = format!("port_value: {named} }}");
        assert_eq!(text.matches(&named).count(), 1, "{named} in deploy/envoy-jwt.yaml");
        text.replace(&named, &format!("port_value: {free} }}"))
    });
    let file = dir.join("envoy.yaml");
    std::fs::write(&file, text).unwrap();
    Command::new(tools().join("python/bin/envoy"))
        .args(["--use-dynamic-base-id", "--log-level", "error", "-c"])
        .arg(file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn token(server: &Process, request: IssueTokensRequest) -> String {
    server.client().await.issue_tokens(request).await.unwrap().into_inner().tokens.unwrap().access_token
}

/// The status of a request with this token, or `None` while nobody listens.
async fn asked(address: &str, token: Option<&str>) -> Option<u16> {
    tokio::net::TcpStream::connect(address).await.ok()?;
    let ask = Ask::get("/orders").header("x-symbolon-subject", "mallory");
    let ask = token.iter().fold(ask, |ask, token| ask.bearer(token));
    Some(raw(address, &ask.bytes()).await?.status)
}

/// Waits until a token is answered so.
async fn until(address: &str, token: &str, status: u16) {
    let seen = async {
        while asked(address, Some(token)).await != Some(status) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen)
        .await
        .unwrap_or_else(|_| panic!("it was never answered {status}"));
}

/// R-TOK-02
#[tokio::test]
async fn an_envoy_lets_good_tokens_through_and_no_other() {
    let [dir, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (server, stranger) = (Process::dev(dir.path(), &[]).await, Process::dev(other.path(), &[]).await);
    let application = Application::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let edge = server.edge.strip_prefix("localhost:").unwrap();
    let _envoy = envoy(dir.path(), &[("8000", &free), ("8080", edge), ("3000", &application.port.to_string())]);
    let address = format!("127.0.0.1:{free}");

    let good = token(&server, sign_in("alice")).await;
    until(&address, &good, 200).await;
    // The service sees whose it is, and not who the client says it is.
    let seen = application.saw();
    let seen = |name| seen[0].get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(seen("x-symbolon-subject"), ["alice"]);
    assert_eq!(seen("authorization"), [&format!("Bearer {good}")]);

    let brief = prost_types::Duration { seconds: 8, nanos: 0 };
    let brief = token(&server, IssueTokensRequest { access_token_ttl: Some(brief), ..sign_in("alice") }).await;
    assert_eq!(asked(&address, Some(&brief)).await, Some(200));
    let elsewhere = token(&server, IssueTokensRequest { audience: vec!["other".to_owned()], ..sign_in("alice") }).await;
    assert_eq!(asked(&address, Some(&elsewhere)).await, Some(403), "for another service");
    let both = vec!["other".to_owned(), "api".to_owned()];
    let both = token(&server, IssueTokensRequest { audience: both, ..sign_in("alice") }).await;
    assert_eq!(asked(&address, Some(&both)).await, Some(200), "for two");

    // A token of the same issuer's name with another's key, one whose words were changed, one that is not signed.
    let foreign = token(&stranger, sign_in("alice")).await;
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let changed = URL_SAFE_NO_PAD.encode(part(&good, 1).replace("alice", "admin"));
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let forgeries = [
        foreign.clone(),
        format!("{header}.{changed}.{signature}"),
        format!("{header}.{payload}.{}", foreign.rsplit('.').next().unwrap()),
        format!("{header}.{payload}."),
        format!("{unsigned}.{payload}."),
        "sr1_x".to_owned(),
        String::new(),
    ];
    for forged in &forgeries {
        assert_eq!(asked(&address, Some(forged)).await, Some(401), "{forged}");
    }
    assert_eq!(asked(&address, None).await, Some(401), "none");
    until(&address, &brief, 401).await;
    assert_eq!(asked(&address, Some(&good)).await, Some(200));

    // The keys are in its memory.
    server.kill().await;
    assert_eq!(asked(&address, Some(&good)).await, Some(200));
    application.saw();
    assert_eq!(raw(&address, &Ask::get("/healthz").bytes()).await.unwrap().status, 200);
    assert_eq!(application.saw_in("authorization"), Some(Vec::new()));
}
