//! A service that verifies nothing, behind an nginx that asks the edge, as `docs/verify/nginx.conf` has it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use symbolon::pb::auth::IssueTokensRequest;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::issued;
use crate::support::front::nginx;
use crate::support::http::raw;
use crate::support::{Answer, Application, Ask, Process, seconds, sign_in};

/// nginx with the file as it stands, but for its ports.
async fn started(dir: &Path, address: &str, edge: &str, application: u16) -> Child {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify/nginx.conf")).unwrap();
    let ports = [
        ("listen 127.0.0.1:8000;", format!("listen {address};")),
        ("server 127.0.0.1:8080;", format!("server {edge};")),
        ("server 127.0.0.1:3000;", format!("server 127.0.0.1:{application};")),
    ];
    let text = ports.iter().fold(text, |text, (named, free)| {
        assert_eq!(text.matches(named).count(), 1, "{named} in docs/verify/nginx.conf");
        text.replace(named, free)
    });
    let file = dir.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let child = Command::new(tokio::task::spawn_blocking(nginx).await.unwrap())
        .arg("-p")
        .arg(dir)
        .arg("-c")
        .arg(file)
        // One process, which ends when it is killed.
        .args(["-e", "stderr", "-g", "master_process off;"])
        .stdin(Stdio::null())
        .stderr(std::fs::File::create(dir.join("nginx.log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let listening = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), listening).await.expect("nginx does not listen");
    child
}

/// A request of somebody who would like to be somebody else.
async fn ask(address: &str, token: &str) -> Answer {
    let names = ["subject", "session", "client", "scope", "acr"];
    let ask = names.iter().fold(Ask::get("/orders"), |ask, name| ask.header(&format!("x-symbolon-{name}"), "forged"));
    raw(address, &ask.bearer(token).header("connection", "close").bytes()).await.unwrap()
}

#[tokio::test]
async fn a_service_behind_nginx_is_told_who_it_is_and_asked_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (server, application) = (Process::dev(dir.path(), &[]).await, Application::start().await);
    let address =
        format!("127.0.0.1:{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let _nginx = started(dir.path(), &address, &server.edge, application.port).await;

    let scope = vec!["read".to_owned()];
    let (good, session) = issued(&server, IssueTokensRequest { scope, ..sign_in("alice") }).await;
    assert_eq!(ask(&address, &good).await.body, "the application");
    let seen = application.saw();
    let seen = |name: &str| seen[0].get_all(name).iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!([seen("x-symbolon-subject"), seen("x-symbolon-session")], [["alice"], [session.as_str()]]);
    assert_eq!([seen("x-symbolon-client"), seen("x-symbolon-scope")], [["web"], ["read"]]);
    // Empty, nginx leaves it out.
    assert_eq!(seen("x-symbolon-acr"), [""; 0]);

    let files = IssueTokensRequest { audience: vec!["files".to_owned()], ..sign_in("alice") };
    assert_eq!(ask(&address, &issued(&server, files).await.0).await.status, 403, "for others");
    let brief = IssueTokensRequest { access_token_ttl: seconds(1), ..sign_in("alice") };
    let (brief, _) = issued(&server, brief).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (why, token) in [("over", brief.as_str()), ("cut", &good[..good.len() - 4]), ("none", "undefined")] {
        let answer = ask(&address, token).await;
        assert_eq!(answer.status, 401, "{why}");
    }
    assert_eq!(application.saw().len(), 0, "it was asked");

    server.kill().await;
    let undecided = ask(&address, &good).await;
    assert_eq!((undecided.status, undecided.header("retry-after")), (503, Some("1")));
    assert_eq!(application.saw().len(), 0, "it was asked");
}
