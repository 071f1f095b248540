//! A copy of the embedded database, made while a server works on it, and what comes back from it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use symbolon::session::SessionId;
use symbolon::store::{Missing, Store, Url};
use tokio::process::Command;
use tonic::Code;

use crate::support::{Load, Postgres, Process, assert_says, raw, reason, redeem, sentence, sign_in};

/// A command beside whatever runs in `dir`. Answers whether it succeeded, and what it said.
async fn run(dir: &Path, words: &[&str], env: &[(&str, &str)]) -> (bool, String) {
    let mut command: Command = Process::command(dir);
    let output = command.args(words).envs(env.iter().copied()).output().await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn told(dir: &Path, words: &[&str]) -> String {
    let (succeeded, said) = run(dir, words, &[]).await;
    assert!(succeeded, "{said}");
    said
}

fn refusing(dir: &Path, words: &[&str]) -> Command {
    let mut command = Process::command(dir);
    command.args(words);
    command
}

/// Moves the database away, with whatever lies beside it.
fn lose(dir: &Path) {
    std::fs::rename(dir.join("symbolon-data"), dir.join("lost")).unwrap();
    std::fs::create_dir(dir.join("symbolon-data")).unwrap();
    std::fs::rename(dir.join("lost/master-keys"), dir.join("symbolon-data/master-keys")).unwrap();
}

/// R-OPS-11: under load, what was acknowledged before the copy began is in it; after a restore nobody refreshes with what is
/// in it, and whoever signs in is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_made_under_load_holds_what_was_acknowledged_and_serves_after_a_restore() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let load = Arc::new(Load::default());
    let clients = load.start(&[&server]).await;
    load.until(100).await;
    let mut client = server.client().await;
    let mut before = Vec::new();
    for user in 0..50 {
        before.push(client.issue_tokens(sign_in(&format!("user-{user}"))).await.unwrap().into_inner());
    }
    let during = load.rotations();
    let said = told(dir.path(), &["backup", "copy"]).await;
    assert!(said.contains("symbolon-data/symbolon.db is copied to copy: ") && said.contains("checked"), "{said}");
    assert!(load.rotations() > during, "nobody was served while the copy was made");
    load.until(100).await;
    load.end(clients).await;
    server.kill().await;

    let copy = dir.path().join("copy");
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!dir.path().join("copy.part").exists());
    let store = Store::open(&Url::Sqlite(copy.clone()), Missing::Refuse).await.unwrap();
    for issued in &before {
        let id = SessionId::parse(&issued.session.as_ref().unwrap().session_id).unwrap();
        assert!(store.session(id).await.unwrap().is_some(), "an acknowledged session is not in the copy");
    }
    store.close().await;

    lose(dir.path());
    let said = told(dir.path(), &["restore", "copy"]).await;
    assert_says(
        &said,
        &["symbolon.db is restored", "sessions are ended: everybody signs in again", r#""event":"restored""#],
    );
    let server = Process::dev(dir.path(), &[]).await;
    let mut client = server.client().await;
    for issued in before {
        let refused = client.refresh_tokens(redeem(&issued.tokens.unwrap().refresh_token)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "SESSION_REVOKED"));
    }
    let fresh = client.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    client.refresh_tokens(redeem(&fresh.tokens.unwrap().refresh_token)).await.unwrap();
}

#[tokio::test]
async fn a_copy_is_of_one_moment_also_of_a_database_whose_server_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let mut client = server.client().await;
    for _ in 0..5 {
        client.issue_tokens(sign_in("alice")).await.unwrap();
    }
    server.kill().await;
    let log = dir.path().join("symbolon-data/symbolon.db-wal");
    let left = std::fs::metadata(&log).unwrap().len();
    assert!(left > 0, "everything was written back already");
    let said = told(dir.path(), &["backup", "copy"]).await;
    assert!(said.contains(": 5 sessions, "), "{said}");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), left, "looking changed it");
}

#[tokio::test]
async fn a_backup_writes_over_nothing_and_leaves_nothing_behind_when_it_fails() {
    let dir = tempfile::tempdir().unwrap();
    let missing = sentence(refusing(dir.path(), &["backup", "copy"])).await;
    assert_says(&missing, &["there is no database at", "symbolon.db"]);
    Process::dev(dir.path(), &[]).await.terminate().await;
    std::fs::write(dir.path().join("copy"), "mine").unwrap();
    let taken = sentence(refusing(dir.path(), &["backup", "copy"])).await;
    assert_says(&taken, &["copy is there already", "another name"]);
    assert_eq!(std::fs::read(dir.path().join("copy")).unwrap(), b"mine");
    let nowhere = sentence(refusing(dir.path(), &["backup", "nowhere/copy"])).await;
    assert_says(&nowhere, &["nowhere/copy", "No such file"]);

    // A page of the table of sessions in which nothing makes sense.
    let database = dir.path().join("symbolon-data/symbolon.db");
    let connection = raw(&database).await;
    sea_orm::ConnectionTrait::execute_unprepared(&connection, "PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    connection.close().await.unwrap();
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[4096..].fill(0x5a);
    std::fs::write(&database, bytes).unwrap();
    let damaged = sentence(refusing(dir.path(), &["backup", "another"])).await;
    assert_says(&damaged, &["symbolon.db", "malformed"]);
    assert!(!dir.path().join("another").exists() && !dir.path().join("another.part").exists());
}

#[tokio::test]
async fn of_postgresql_it_says_what_makes_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await.replace("postgres@", "postgres:canary@");
    let mut backup = refusing(dir.path(), &["backup", "copy"]);
    backup.env("SYMBOLON_DATABASE_URL", &url);
    let said = sentence(backup).await;
    assert_says(&said, &["backed up by PostgreSQL itself", "pg_dump --format=custom --file=copy"]);
    assert!(!said.contains("canary") && !dir.path().join("copy").exists(), "{said}");
    let mut restore = refusing(dir.path(), &["restore", "copy"]);
    restore.env("SYMBOLON_DATABASE_URL", &url);
    assert_says(&sentence(restore).await, &["restored by PostgreSQL itself", "`symbolon restore` without a file"]);
}

#[tokio::test]
async fn a_restore_never_takes_the_place_of_a_database_or_of_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    told(dir.path(), &["backup", "copy"]).await;
    for words in [&["restore", "copy"][..], &["restore"]] {
        assert_says(&sentence(refusing(dir.path(), words)).await, &["in use by another process"]);
    }
    server.terminate().await;
    let occupied = sentence(refusing(dir.path(), &["restore", "copy"])).await;
    assert_says(&occupied, &["there is a database at", "symbolon.db already", "-wal or -shm"]);
    lose(dir.path());
    // A log that would be played into whatever is put beside it.
    std::fs::write(dir.path().join("symbolon-data/symbolon.db-wal"), "old").unwrap();
    assert_says(&sentence(refusing(dir.path(), &["restore", "copy"])).await, &["move it away"]);
    std::fs::remove_file(dir.path().join("symbolon-data/symbolon.db-wal")).unwrap();
    std::fs::write(dir.path().join("text"), "this is a text, and no database").unwrap();
    assert_says(&sentence(refusing(dir.path(), &["restore", "text"])).await, &["text is no SQLite database"]);
    std::fs::write(dir.path().join("copy-wal"), "log").unwrap();
    assert_says(&sentence(refusing(dir.path(), &["restore", "copy"])).await, &["copy has a log beside it"]);
    std::fs::remove_file(dir.path().join("copy-wal")).unwrap();
    // What an earlier one left when it was killed is in nobody's way.
    std::fs::write(dir.path().join("symbolon-data/symbolon.db.restoring"), "half").unwrap();
    told(dir.path(), &["restore", "copy"]).await;
    let mut left: Vec<_> = std::fs::read_dir(dir.path().join("symbolon-data")).unwrap().collect();
    left.sort_by_key(|entry| entry.as_ref().unwrap().file_name());
    let left: Vec<_> = left.iter().map(|entry| entry.as_ref().unwrap().file_name()).collect();
    assert_eq!(left, ["master-keys", "symbolon.db", "symbolon.db.lock"]);
    Process::dev(dir.path(), &[]).await;
}
