//! Commands that call a service: through TLS, and saying who asks.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;

use crate::support::{Authority, Process, assert_says};

/// Runs `sessions list alice` with these arguments: whether it succeeded, and what it said.
async fn list(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Process::command(dir).args(["sessions", "list", "alice"]).args(arguments).output().await.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.success(), said)
}

async fn complaint(dir: &Path, arguments: &[&str]) -> String {
    let (succeeded, said) = list(dir, arguments).await;
    assert!(!succeeded && said.starts_with("error: "), "{said}");
    said
}

/// A folder with a server's and a caller's files in it, and the authority of both.
fn folder() -> (TempDir, Authority) {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    authority.server().write(dir.path(), "server");
    authority.client(&["spiffe://example.org/operator"]).write(dir.path(), "caller");
    Authority::new().client(&["spiffe://example.org/operator"]).write(dir.path(), "foreign");
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    std::fs::write(dir.path().join("other-ca.pem"), Authority::new().pem()).unwrap();
    (dir, authority)
}

#[tokio::test]
async fn a_command_reaches_a_service_in_tls_and_shows_a_certificate() {
    let (dir, _) = folder();
    let env = [
        ("SYMBOLON_GRPC_TLS_CERT_FILE", "server.pem"),
        ("SYMBOLON_GRPC_TLS_KEY_FILE", "server.key"),
        ("SYMBOLON_GRPC_TLS_CLIENT_CA_FILE", "ca.pem"),
    ];
    let server = Process::dev(dir.path(), &env).await;
    let url = format!("https://{}", server.grpc);
    let to = |arguments: &[&'static str]| [&["--server", &url], arguments].concat().into_iter().map(str::to_owned);
    let run = async |arguments: &[&'static str]| {
        let arguments: Vec<String> = to(arguments).collect();
        list(dir.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };
    for good in [vec![], vec!["--cert-file", "caller.pem", "--key-file", "caller.key"]] {
        let (succeeded, said) = run(&[&["--ca-file", "ca.pem"], good.as_slice()].concat()).await;
        assert!(succeeded && said.starts_with("SESSION "), "{said}");
    }
    let cases: [(&[&'static str], &[&str]); 5] = [
        (&[], &[&url, "is not reached", "UnknownIssuer", "--ca-file names a CA that the system does not know"]),
        (&["--ca-file", "other-ca.pem"], &["is not reached", "--ca-file has to name the CA"]),
        (&["--ca-file", "caller.key"], &["--ca-file: there is no certificate in caller.key, but a private key"]),
        (
            &["--ca-file", "ca.pem", "--cert-file", "caller.pem", "--key-file", "server.key"],
            &["--key-file: the key in server.key does not belong to the first certificate in caller.pem"],
        ),
        (
            &["--ca-file", "ca.pem", "--cert-file", "no.pem", "--key-file", "caller.pem"],
            &["--cert-file: cannot read no.pem", "\n--key-file: there is no private key in caller.pem"],
        ),
    ];
    for (arguments, parts) in cases {
        let (succeeded, said) = run(arguments).await;
        assert!(!succeeded, "{arguments:?}: {said}");
        assert_says(&said, parts);
    }
    let said = complaint(dir.path(), &["--server", &url.replace("https", "http")]).await;
    assert!(said.contains("perhaps the server wants TLS"), "{said}");
    // The server hangs up, and how much of the call was sent by then is a matter of luck.
    let foreign = ["--ca-file", "ca.pem", "--cert-file", "foreign.pem", "--key-file", "foreign.key"];
    let (succeeded, said) = run(&foreign).await;
    let hint = "does not believe the certificate in --cert-file";
    assert!(!succeeded && (said.contains(hint) || said.contains("is not reached")), "{said}");
}

#[tokio::test]
async fn arguments_that_do_not_go_together_are_named() {
    let (dir, _) = folder();
    let plain = ["--server", "http://localhost:1"];
    let said = complaint(dir.path(), &[&plain[..], &["--ca-file", "ca.pem"]].concat()).await;
    assert_says(&said, &["--ca-file needs --server https://"]);
    for url in ["localhost:1", "ftp://localhost", "", "https://"] {
        assert_says(&complaint(dir.path(), &["--server", url]).await, &["--server", "https://symbolon.example"]);
    }
    let (succeeded, said) = list(dir.path(), &["--cert-file", "caller.pem"]).await;
    assert!(!succeeded && said.contains("--key-file"), "{said}");
    for (content, why) in [("\nhunter2hunter2", "first line is empty"), ("hunter2\u{7}hunter2", "no header may have")] {
        std::fs::write(dir.path().join("token"), content).unwrap();
        let said = complaint(dir.path(), &[&plain[..], &["--token-file", "token"]].concat()).await;
        assert!(said.contains("--token-file token: ") && said.contains(why) && !said.contains("hunter2"), "{said}");
    }
    let said = complaint(dir.path(), &[&plain[..], &["--token-file", "no-token"]].concat()).await;
    assert_says(&said, &["--token-file no-token: No such file"]);
}

#[tokio::test]
async fn the_secret_in_a_file_is_sent_with_every_call() {
    let (dir, _) = folder();
    let heard: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let log = Arc::clone(&heard);
    let answer = move |headers: HeaderMap| async move {
        let sent = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        log.lock().unwrap().push(sent);
        [("content-type", "application/grpc"), ("grpc-status", "16"), ("grpc-message", "go away")]
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Routes::from(Router::new().fallback(answer));
    let serve = tonic::transport::Server::builder().add_routes(routes);
    let task = tokio::spawn(serve.serve_with_incoming(TcpListenerStream::new(listener)));

    std::fs::write(dir.path().join("token"), "  swordfish \r\nanother line\n").unwrap();
    let said = complaint(dir.path(), &["--server", &url, "--token-file", "token"]).await;
    assert!(said == "error: go away\n", "{said}");
    complaint(dir.path(), &["--server", &url]).await;
    assert_eq!(*heard.lock().unwrap(), [Some("Bearer swordfish".to_owned()), None]);
    task.abort();
}
