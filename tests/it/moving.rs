//! `symbolon migrate copy` says what keeps it from copying, and shows no password.

use std::path::Path;

use tokio::process::Command;

use crate::support::{Postgres, Process, assert_says, sentence};

fn copy(dir: &Path, from: &str, into: &str) -> Command {
    let mut command = Process::command(dir);
    command.args(["migrate", "copy", "--from", from]).env("SYMBOLON_DATABASE_URL", into);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_use_behind_or_no_database_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let file = "sqlite:symbolon-data/symbolon.db";
    let (bare, busy) = (Postgres::shared().database().await, Postgres::shared().database().await);
    let server = Process::dev(dir.path(), &[]).await;
    let other = Process::replica(dir.path(), &busy).await;
    let refusal = async |from: &str, into: &str| sentence(copy(dir.path(), from, into)).await;

    assert_says(&refusal(file, &bare).await, &["in use by another process"]);
    for (from, into) in [(busy.as_str(), bare.as_str()), (file, &busy)] {
        assert_says(&refusal(from, into).await, &["servers are at work on postgres://", "stop them first"]);
    }
    server.terminate().await;
    other.terminate().await;
    assert_says(&refusal(file, &bare).await, &["lacks m", "`symbolon migrate up`"]);
    assert_says(&refusal(file, &busy).await, &["is not empty", "`symbolon migrate up` has just made"]);
    assert_says(&refusal("sqlite:nothing.db", &busy).await, &["there is no database at nothing.db"]);
    assert_says(&refusal("mysql://x", &bare).await, &["--from: expected sqlite:PATH or postgres://"]);
    let secret = bare.replace("postgres@", "nobody:correct-horse-battery@");
    let said = refusal(&secret, &bare).await;
    assert!(!said.contains("correct-horse") && said.contains("~/.pgpass, or set PGPASSWORD"), "{said}");
}
