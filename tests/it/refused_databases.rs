//! A PostgreSQL that cannot be used: a sentence says what to do about it, soon, and shows no password.

use std::path::Path;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::Instant;

use crate::support::{MASTER_KEY, Postgres, Process, assert_says, sentence, soaking};

const PASSWORD: &str = "correct-horse-battery";

/// How long a database may take to be refused: its own deadline, and the start of a process on a busy machine.
const DEADLINE: Duration = Duration::from_secs(8);

fn command(dir: &Path, url: &str, words: &[&str]) -> Command {
    let mut command = Process::command(dir);
    command
        .args(words)
        .env("SYMBOLON_LOG", "error")
        .env("SYMBOLON_DATABASE_URL", url)
        .env("SYMBOLON_ISSUER", "http://localhost:8080")
        .env("SYMBOLON_EDGE_LISTEN", "localhost:0")
        .env("SYMBOLON_EDGE_PUBLIC_URL", "http://localhost:8080")
        .env("SYMBOLON_MASTER_KEYS", MASTER_KEY);
    command
}

/// Every command that opens the database refuses this one, and says these things.
async fn assert_refused(url: &str, commands: &[&[&str]], parts: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    for words in commands {
        let begun = Instant::now();
        let sentence = sentence(command(dir.path(), url, words)).await;
        assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
        assert!(!sentence.contains(PASSWORD), "{sentence}");
        assert_says(&sentence, parts);
    }
}

const EVERY: [&[&str]; 4] = [&["serve"], &["dev"], &["migrate", "up"], &["migrate", "status"]];
const SERVE: [&[&str]; 1] = [&["serve"]];

async fn execute(url: &str, statements: &[&str]) {
    let connection = sea_orm::Database::connect(url).await.unwrap();
    for sql in statements {
        connection.execute_unprepared(sql).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// The URL for another user, with a password.
fn of(url: &str, user: &str) -> String {
    url.replace("postgres://postgres@", &format!("postgres://{user}:{PASSWORD}@"))
}

/// A database with the schema.
async fn migrated() -> String {
    let url = Postgres::shared().database().await;
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path(), &url, &["migrate", "up"]).output().await.unwrap();
    assert!(output.status.success());
    url
}

/// R-OPS-07
#[tokio::test]
async fn a_url_of_another_kind_is_told_which_kinds_there_are() {
    for url in ["mysql://alice:correct-horse-battery@host/db", "host=h password=correct-horse-battery", "http://host"] {
        assert_refused(url, &EVERY, &["SYMBOLON_DATABASE_URL", "sqlite:", "postgres://"]).await;
    }
    let port = format!("postgres://alice:{PASSWORD}@localhost:notaport/db");
    assert_refused(&port, &EVERY, &["SYMBOLON_DATABASE_URL"]).await;
}

/// R-OPS-07
#[tokio::test]
async fn a_database_or_a_user_that_does_not_exist_is_named() {
    let url = of(&Postgres::shared().url("nowhere"), "postgres");
    assert_refused(&url, &EVERY, &["/nowhere", "CREATE DATABASE"]).await;
    let url = of(&Postgres::shared().url("postgres"), "nobody");
    assert_refused(&url, &EVERY, &["user and password of SYMBOLON_DATABASE_URL"]).await;
}

/// R-OPS-04
#[tokio::test]
async fn a_database_without_the_schema_or_with_a_newer_one_names_the_command() {
    let url = Postgres::shared().database().await;
    assert_refused(&of(&url, "postgres"), &SERVE, &["lacks m", "`symbolon migrate up`"]).await;
    let url = migrated().await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_future', 1)";
    execute(&url, &[newer]).await;
    let commands: [&[&str]; 3] = [&["serve"], &["dev"], &["migrate", "up"]];
    assert_refused(&of(&url, "postgres"), &commands, &["m29991231_000001_future", "newer than this program"]).await;
}

/// R-OPS-07
#[tokio::test]
async fn a_user_without_rights_is_told_which_to_grant() {
    let url = migrated().await;
    let bare = Postgres::shared().database().await;
    execute(&url, &[&format!("CREATE ROLE without_rights LOGIN PASSWORD '{PASSWORD}'")]).await;
    // No table may be read, then all may be read and none written.
    assert_refused(&of(&url, "without_rights"), &SERVE, &["GRANT", "permission denied"]).await;
    execute(&url, &["GRANT SELECT ON ALL TABLES IN SCHEMA public TO without_rights"]).await;
    assert_refused(&of(&url, "without_rights"), &SERVE, &["GRANT", "permission denied"]).await;
    // Nor may one be made.
    let commands: [&[&str]; 2] = [&["migrate", "up"], &["dev"]];
    assert_refused(&of(&bare, "without_rights"), &commands, &["GRANT", "permission denied"]).await;
    execute(&url, &[&format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", bare.rsplit('/').next().unwrap())]).await;
    assert_refused(&of(&bare, "without_rights"), &EVERY, &["GRANT", "permission denied"]).await;
}

/// R-OPS-07
#[tokio::test]
async fn a_server_without_connections_to_give_is_named() {
    let url = migrated().await;
    execute(&url, &["CREATE ROLE crowded LOGIN CONNECTION LIMIT 0"]).await;
    assert_refused(&of(&url, "crowded"), &SERVE, &["no connection left to give", "raise"]).await;
}

/// R-OPS-07, R-OPS-12
#[tokio::test]
async fn a_server_that_takes_no_writes_is_told_from_the_primary() {
    let url = migrated().await;
    let name = url.rsplit('/').next().unwrap();
    execute(&url, &[&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")]).await;
    assert_refused(&of(&url, "postgres"), &EVERY, &["read-only or in recovery", "primary"]).await;
}

/// R-OPS-07, R-OPS-12
#[tokio::test]
async fn a_standby_is_told_from_the_primary() {
    let mut postgres = Postgres::start();
    let url = postgres.database().await;
    postgres.kill();
    postgres.stand_by();
    postgres.restart();
    assert_refused(&of(&url, "postgres"), &SERVE, &["read-only or in recovery", "primary"]).await;
}

/// R-OPS-07, R-OPS-12
#[tokio::test]
async fn a_host_that_never_answers_costs_the_deadline_and_not_the_process() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let accept = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(silent.accept().await.unwrap());
        }
    });
    let url = format!("postgres://alice:{PASSWORD}@127.0.0.1:{port}/db");
    let commands = if soaking() { &EVERY[..] } else { &EVERY[..1] };
    assert_refused(&url, commands, &[&format!("127.0.0.1:{port}"), "host and port of SYMBOLON_DATABASE_URL"]).await;
    accept.abort();
    let _ = accept.await;
    // Nobody listens there any more.
    assert_refused(&url, commands, &[&format!("127.0.0.1:{port}"), "host and port of SYMBOLON_DATABASE_URL"]).await;
    let url = format!("postgres://alice:{PASSWORD}@no-such-host.invalid/db");
    assert_refused(&url, commands, &["no-such-host.invalid", "host and port of SYMBOLON_DATABASE_URL"]).await;
}
