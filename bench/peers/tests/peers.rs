//! Every peer started as its README says: it rotates a token and refuses a spent one, and of four who present the same token
//! at once one is served, whose session the textbook ends.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};
use symbolon_peers::pb::auth_service_client::AuthServiceClient;
use symbolon_peers::pb::{IssueTokensRequest, RefreshTokensRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TONIC: &[&str] = &[env!("CARGO_BIN_EXE_peer-tonic")];
const AXUM: &[&str] = &[env!("CARGO_BIN_EXE_peer-axum")];
const AXUM_TEXTBOOK: &[&str] = &[env!("CARGO_BIN_EXE_peer-axum"), "--textbook"];
const FASTIFY: &[&str] = &["node", "node/fastify.js"];
const FASTIFY_TEXTBOOK: &[&str] = &["node", "node/fastify.js", "--textbook"];
const EXPRESS: &[&str] = &["node", "node/express.js"];

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_rotates_a_token_and_refuses_a_spent_one() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (root, dir) = (package.join("../.."), tempfile::tempdir().unwrap());
    let tools = root.join("target/tools");
    assert!(Command::new(root.join("tests/tools/install")).arg(&tools).status().unwrap().success());
    let npm = ["ci", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    assert!(Command::new("npm").args(npm).arg(package.join("node")).status().unwrap().success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut script = Command::new(root.join("tests/tools/postgres"));
    let (mut postgres, ready, _stdout) = start(script.arg(&tools).arg(dir.path()).arg(&port).stdin(Stdio::piped()));
    assert_eq!(ready, "ready");

    let postgres_url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let sqlite_url = format!("sqlite:{}", dir.path().join("peer.db").display());
    for command in [TONIC, AXUM, FASTIFY, AXUM_TEXTBOOK, FASTIFY_TEXTBOOK, EXPRESS] {
        try_out(command, &postgres_url).await;
    }
    for command in [TONIC, AXUM] {
        try_out(command, &sqlite_url).await;
        try_out(command, "memory:").await;
    }
    drop(postgres.stdin.take());
    postgres.wait().unwrap();
}

async fn try_out(command: &[&str], url: &str) {
    let mut process = Command::new(command[0]);
    let process = process.args(&command[1..]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let (peer, line, mut stdout) = start(process.env("DATABASE_URL", url).env("PORT", "0"));
    let mut peer = Peer(peer);
    let address = line.strip_prefix("listening on ").unwrap();
    let grpc = command == TONIC;
    let ends_family = command == EXPRESS || command.contains(&"--textbook");
    let who = format!("{command:?} {url}");

    let first = login(grpc, address).await;
    let second = refresh(grpc, address, &first).await.unwrap();
    let third = refresh(grpc, address, &second).await.unwrap();
    assert_eq!(refresh(grpc, address, &second).await, None, "{who}");
    assert_eq!(refresh(grpc, address, &third).await.is_none(), ends_family, "{who}");
    assert_eq!(refresh(grpc, address, "made up").await, None, "{who}");

    let token = login(grpc, address).await;
    let present = || refresh(grpc, address, &token);
    let (a, b, c, d) = tokio::join!(present(), present(), present(), present());
    let served: Vec<_> = [a, b, c, d].into_iter().flatten().collect();
    assert_eq!(served.len(), 1, "{who}");
    assert_eq!(refresh(grpc, address, &served[0]).await.is_none(), ends_family, "{who}");

    assert!(Command::new("kill").arg(peer.0.id().to_string()).status().unwrap().success(), "{who}");
    assert!(peer.0.wait().unwrap().success(), "{who}");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "{who}");
}

/// Does not outlive a test that failed.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

fn start(command: &mut Command) -> (Child, String, BufReader<ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut line) = (BufReader::new(child.stdout.take().unwrap()), String::new());
    stdout.read_line(&mut line).unwrap();
    (child, line.trim_end().to_owned(), stdout)
}

async fn login(grpc: bool, address: &str) -> String {
    if grpc {
        let mut client = AuthServiceClient::connect(format!("http://{address}")).await.unwrap();
        let request = IssueTokensRequest { subject: "anna".to_owned(), ..Default::default() };
        let pair = client.issue_tokens(request).await.unwrap().into_inner().tokens.unwrap();
        check(&pair.access_token);
        return pair.refresh_token;
    }
    let pair = post(address, "/login", &json!({ "subject": "anna" })).await.unwrap();
    check(pair["access_token"].as_str().unwrap());
    pair["refresh_token"].as_str().unwrap().to_owned()
}

fn check(access_token: &str) {
    let parts: Vec<_> = access_token.split('.').map(|part| BASE64.decode(part).unwrap()).collect();
    let [header, claims] = [0, 1].map(|at| serde_json::from_slice::<Value>(&parts[at]).unwrap());
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!([&claims["sub"], &claims["aud"], &claims["client_id"]], ["anna", "api", "web"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
}

/// The successor, or nothing if the token was refused as it should be.
async fn refresh(grpc: bool, address: &str, token: &str) -> Option<String> {
    if grpc {
        let mut client = AuthServiceClient::connect(format!("http://{address}")).await.unwrap();
        let request = RefreshTokensRequest { refresh_token: token.to_owned(), ..Default::default() };
        let answer = client.refresh_tokens(request).await;
        return match answer {
            Ok(answer) => Some(answer.into_inner().tokens.unwrap().refresh_token),
            Err(status) => {
                assert_eq!(status.code(), tonic::Code::Unauthenticated);
                None
            }
        };
    }
    let pair = post(address, "/refresh", &json!({ "refresh_token": token })).await?;
    Some(pair["refresh_token"].as_str().unwrap().to_owned())
}

async fn post(address: &str, path: &str, body: &Value) -> Option<Value> {
    let (mut stream, body) = (TcpStream::connect(address).await.unwrap(), body.to_string());
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json");
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(status == 200 || status == 401, "{answer}");
    (status == 200).then(|| serde_json::from_str(answer.rsplit("\r\n\r\n").next().unwrap()).unwrap())
}
