//! Sessions that were never issued: the load generator has SQL fill a database with them and refreshes them. So what it
//! computes is what SQL computes, and the service takes it for sessions.

use sea_orm::{ConnectionTrait, Database};
use symbolon::clock::{Clock, SystemClock};
use symbolon_bench::{cli, run, seed};
use tempfile::tempdir;

use crate::support::{MASTER_KEY, Postgres, Process};

const ISSUER: &str = "http://localhost:8080";

/// Has a server refresh two samples of a thousand sessions beside a hundred that are over.
async fn refresh(url: &str, database: seed::Database) {
    let dir = tempdir().unwrap();
    let keys = dir.path().join("keys");
    std::fs::write(&keys, format!("{MASTER_KEY}\n")).unwrap();
    let env = [("SYMBOLON_DATABASE_URL", url), ("SYMBOLON_MASTER_KEYS", MASTER_KEY)];
    // It makes the tables, and leaves the file to whoever fills it.
    Process::dev(dir.path(), &env).await.terminate().await;
    let sql = seed::sql(database, 1000, 100, SystemClock.now());
    let raw = Database::connect(url).await.unwrap();
    match database {
        seed::Database::Sqlite => drop(raw.execute_unprepared(&sql).await.unwrap()),
        // Several statements at once are one transaction there, and VACUUM wants to be alone.
        seed::Database::Postgres => {
            for statement in sql.split_inclusive(";\n") {
                raw.execute_unprepared(statement).await.unwrap();
            }
        }
    }
    raw.close().await.unwrap();

    let process = Process::dev(dir.path(), &env).await;
    let (keys, server) = (keys.to_str().unwrap(), format!("http://{}", process.grpc));
    let seeded = ["--seeded", "1000", "--master-keys-file", keys, "--issuer", ISSUER, "--sessions", "500"];
    let short = ["--in-flight", "8", "--for", "500ms", "--warm-up", "0s", "--server", &server];
    for sample in ["0", "1"] {
        let words = ["symbolon-bench", "refresh", "--seed", sample];
        let outcome = run(&cli::plan([&words[..], &seeded, &short].concat()).unwrap()).await.unwrap();
        assert!(outcome.operations > 0, "{database:?}: nothing was done");
        assert!(outcome.errors.is_empty(), "{database:?}: {:?}", outcome.errors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_sql_made_are_refreshed_in_both_databases() {
    let dir = tempdir().unwrap();
    refresh(&format!("sqlite:{}", dir.path().join("seeded.db").display()), seed::Database::Sqlite).await;
    refresh(&Postgres::shared().database().await, seed::Database::Postgres).await;
}
