//! Servers that are told to stop: what is under way ends well, whoever does not leave is left, and replicas that are replaced
//! one after the other under load fail nobody.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use symbolon::pb::auth::WatchRevocationsRequest;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::{MASTER_KEY, Postgres, Process, sign_in, soaking, tools};

/// How HTTP/2 begins: without what follows, nobody can say whether a call comes.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// R-RPC-05: those who say nothing, those who stopped in the middle, and those who do not read.
#[tokio::test]
async fn idle_and_stuck_clients_do_not_keep_a_server_from_ending_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let mut idle = server.client().await;
    idle.issue_tokens(sign_in("alice")).await.unwrap();
    // Held to the end, and never read.
    let _unread = server.client().await.watch_revocations(WatchRevocationsRequest::default()).await.unwrap();
    let mut stuck = Vec::new();
    for sent in [&b""[..], &PREFACE[..10], PREFACE, &[PREFACE, &[0, 0, 9, 1]].concat()] {
        for address in [&server.grpc, &server.edge] {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection.write_all(sent).await.unwrap();
            stuck.push(connection);
        }
    }
    let told = Instant::now();
    let (status, said) = server.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(told.elapsed() < Duration::from_secs(12), "{:?}", told.elapsed());
}

/// A port for each: the same after a restart, as behind a name.
fn ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

async fn replica(dir: &Path, url: &str, port: u16) -> Process {
    let listen = format!("127.0.0.1:{port}");
    let env = [("SYMBOLON_DATABASE_URL", url), ("SYMBOLON_MASTER_KEYS", MASTER_KEY), ("SYMBOLON_GRPC_LISTEN", &listen)];
    Process::dev(dir, &env).await
}

/// R-RPC-05: with the retry policy that is published, and a client that honours it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_are_replaced_one_by_one_under_load_and_no_call_fails() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let ports = ports(3);
    let mut replicas = Vec::new();
    for port in &ports {
        replicas.push(replica(dir.path(), &url, *port).await);
    }
    let addresses: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let mut users = Command::new(tools().join("python/bin/python"))
        .arg(root.join("tests/tools/roll.py"))
        .args([root.join("proto"), root.join("deploy/grpc-service-config.json")])
        .arg(format!("ipv4:{}", addresses.join(",")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(users.stdout.take().unwrap()).lines();
    assert_eq!(said.next_line().await.unwrap().as_deref(), Some("began"));
    for _ in 0..if soaking() { 20 } else { 2 } {
        for (place, port) in ports.iter().enumerate() {
            let (status, said) = replicas.remove(place).terminate().await;
            assert_eq!(status.code(), Some(0), "{said}");
            replicas.insert(place, replica(dir.path(), &url, *port).await);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    drop(users.stdin.take());
    let told: Value = serde_json::from_str(&said.next_line().await.unwrap().unwrap()).unwrap();
    let (calls, failed) = (told["calls"].as_u64().unwrap(), told["failed"].as_array().unwrap());
    println!("{calls} calls while every replica was replaced");
    assert!(failed.is_empty(), "{} of {calls}: {failed:?}", failed.len());
    assert!(calls > 200, "{calls} calls are no load");
}
