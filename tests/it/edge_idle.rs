//! What a connection costs that is kept and says nothing: browsers and proxies keep thousands.

use crate::support::http::Connection;
use crate::support::{Ask, Process, many_files, soaking};

/// For each connection, at the most.
const COST: u64 = 20 * 1024;

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
    let server = Process::with_many_files(dir.path(), &[]).await;
    let port = server.edge.strip_prefix("localhost:").unwrap().to_owned();
    // What it allocates once.
    drop(kept(&port, 10).await);

    let before = server.resident();
    let mut connections = kept(&port, count).await;
    let cost = server.resident().saturating_sub(before) / u64::try_from(count).unwrap();
    println!("{count} connections, {cost} bytes each");
    assert!(cost <= COST, "{cost} bytes a connection");
    // It has kept them all, and there is room for others.
    for connection in &mut connections {
        ask(connection).await;
    }
    ask(&mut kept(&port, 1).await[0]).await;
}
