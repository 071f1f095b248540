//! Many processes that come at once to an empty PostgreSQL: the schema is made once, and one key signs.

use std::path::Path;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::process::Command;

use crate::support::{MASTER_KEY, Postgres, Process, declare_backend, redeem, sign_in, soaking};

const PROCESSES: usize = 5;

fn command(dir: &Path, url: &str, words: &[&str]) -> Command {
    let callers = declare_backend(dir);
    let mut command = Process::command(dir);
    command
        .args(words)
        .env("SYMBOLON_DATABASE_URL", url)
        .env(callers.0, callers.1)
        .env("SYMBOLON_ISSUER", "http://localhost:8080")
        .env("SYMBOLON_MASTER_KEYS", MASTER_KEY);
    command
}

async fn column(url: &str, sql: &str) -> Vec<String> {
    let connection = sea_orm::Database::connect(url).await.unwrap();
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    connection.close().await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// What each of the processes prints, all started at once.
async fn at_once(dir: &Path, url: &str, words: &[&str]) -> Vec<String> {
    let outputs = join_all((0..PROCESSES).map(|_| {
        let mut command = command(dir, url, words);
        async move { command.output().await.unwrap() }
    }));
    let said = outputs.await.into_iter().map(|output| {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{complaint}");
        assert!(!complaint.contains("ERROR") && !complaint.contains("WARN"), "{complaint}");
        String::from_utf8(output.stdout).unwrap()
    });
    said.collect()
}

/// Starts the servers all at once, and answers them when each of them serves and says that it is ready.
async fn all_ready(dir: &Path, url: &str) -> Vec<Process> {
    let servers = join_all((0..PROCESSES).map(|_| Process::start(command(dir, url, &["serve"])))).await;
    for server in &servers {
        let answer = server.get("/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // What a fail-over of this database would lose.
        let said = String::from_utf8_lossy(&server.output()).into_owned();
        assert!(said.contains("does not replicate synchronously"), "{said}");
    }
    servers
}

/// One key signs, and one waits to.
const STATES: &str = "SELECT state FROM signing_keys ORDER BY state";

/// R-OPS-04, R-KEY-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_that_migrate_at_once_take_each_step_once_and_five_that_serve_sign_with_one_key() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..if soaking() { 50 } else { 3 } {
        let url = Postgres::shared().database().await;
        let said = at_once(dir.path(), &url, &["migrate", "up"]).await;
        let (took, idle): (Vec<_>, Vec<_>) = said.iter().partition(|said| said.starts_with("took m"));
        assert_eq!((took.len(), idle.len()), (1, PROCESSES - 1), "{said:?}");
        assert!(idle.iter().all(|said| said.trim() == "nothing to do"), "{said:?}");
        let steps = column(&url, "SELECT version FROM seaql_migrations ORDER BY version").await;
        let named: Vec<_> = took[0].lines().map(|line| line.strip_prefix("took ").unwrap().to_owned()).collect();
        assert_eq!(steps, named);
        assert_eq!(at_once(dir.path(), &url, &["migrate", "status"]).await, vec!["current\n"; PROCESSES]);

        let servers = all_ready(dir.path(), &url).await;
        assert_eq!(column(&url, STATES).await, ["active", "pending"]);
        // What one of them signs and mints, the next one takes, and so on.
        let issued = servers[0].as_caller("backend").await.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
        let mut tokens = issued.tokens.unwrap();
        for server in &servers[1..] {
            let mut client = server.as_caller("backend").await;
            let token = tokens.access_token;
            let request = symbolon::pb::auth::IntrospectTokenRequest { token };
            assert!(client.introspect_token(request).await.unwrap().into_inner().active);
            let refreshed = client.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap().into_inner();
            tokens = refreshed.tokens.unwrap();
        }
    }
}

/// R-OPS-04
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_that_migrate_and_serve_at_once_on_an_empty_database_share_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let servers = join_all((0..PROCESSES).map(|_| Process::replica(dir.path(), &url))).await;
    let migrated = servers.iter().filter(|server| server.banner.contains("(migrated, ")).count();
    assert_eq!(migrated, 1);
    assert_eq!(column(&url, STATES).await, ["active", "pending"]);
    for server in &servers {
        server.client().await.issue_tokens(sign_in("alice")).await.unwrap();
    }
    assert_eq!(column(&url, "SELECT subject FROM sessions").await.len(), PROCESSES);
}
