//! What a connection costs that is kept and says nothing: browsers and proxies keep thousands.

use tokio::process::Command;

use crate::support::http::Connection;
use crate::support::{Ask, Process, soaking};

/// For each connection, at the most.
const COST: u64 = 20 * 1024;

/// Lets this process have as many files as it may.
async fn many_files() {
    let id = std::process::id().to_string();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let most = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let most = most.split_whitespace().rev().nth(1).unwrap();
    let raised = Command::new("prlimit").args(["--pid", &id, &format!("--nofile={most}:{most}")]).status().await;
    assert!(raised.unwrap().success());
}

/// The resident memory of a process, in bytes.
fn resident(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Connections that have been answered once and are kept.
async fn kept(port: &str, count: usize) -> Vec<Connection> {
    let mut kept = Vec::with_capacity(count);
    for number in 0..count {
        // One address has ports for some 28,000, and not all are free.
        let source = format!("127.0.0.{}", 2 + number / 2000);
        let mut connection = Connection::from(&source, &format!("127.0.0.1:{port}")).await;
        ask(&mut connection).await;
        kept.push(connection);
    }
    kept
}

async fn ask(connection: &mut Connection) {
    connection.write(&Ask::refresh().bytes()).await;
    assert_eq!(connection.answer().await.expect("it was not kept").problem(), (401, "no_session".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_cost_less_than_200_mib() {
    let count = if soaking() { 10_000 } else { 1000 };
    many_files().await;
    let dir = tempfile::tempdir().unwrap();
    let wrapper = ["bash", "-c", "ulimit -n \"$(ulimit -Hn)\"; exec \"$0\" \"$@\""];
    let mut command = Process::command_under(dir.path(), &wrapper);
    Process::say_dev(&mut command);
    let server = Process::start(command).await;
    let port = server.edge.strip_prefix("localhost:").unwrap().to_owned();
    // What it allocates once.
    drop(kept(&port, 10).await);

    let before = resident(&server);
    let mut connections = kept(&port, count).await;
    let cost = resident(&server).saturating_sub(before) / u64::try_from(count).unwrap();
    println!("{count} connections, {cost} bytes each");
    assert!(cost <= COST, "{cost} bytes a connection");
    // It has kept them all, and there is room for others.
    for connection in &mut connections {
        ask(connection).await;
    }
    ask(&mut kept(&port, 1).await[0]).await;
}
