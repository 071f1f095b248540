//! A PostgreSQL that came back from a backup: what was ended stays refused everywhere, whoever watched begins anew, and no
//! server goes on with what it knew.

use std::path::Path;
use std::time::Duration;

use symbolon::pb::auth as pb;
use tokio::process::Command;
use tonic::Code;

use crate::support::{MASTER_KEY, Postgres, Process, after, assert_says, ids, raw, reason, redeem, sentence, sign_in};

fn restore(dir: &Path, url: &str) -> Command {
    let mut command = Process::command(dir);
    command.arg("restore").env("SYMBOLON_DATABASE_URL", url);
    command
}

async fn execute(url: &str, sql: &str) {
    let connection = sea_orm::Database::connect(url).await.unwrap();
    sea_orm::ConnectionTrait::execute_unprepared(&connection, sql).await.unwrap();
    connection.close().await.unwrap();
}

/// R-OPS-11, R-REV-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn access_tokens_of_a_restored_database_are_refused_and_whoever_watched_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let server = Process::replica(dir.path(), &url).await;
    let issued = server.client().await.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    let (tokens, session_id) = (issued.tokens.unwrap(), issued.session.unwrap().session_id);
    let mut watching = server.watching("").await;
    watching.caught_up().await;

    let busy = sentence(restore(dir.path(), &url)).await;
    assert_says(&busy, &["servers are at work on postgres://", "stop them first"]);
    server.terminate().await;
    let output = restore(dir.path(), &url).output().await.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_says(&said, &["is restored\n1 sessions are ended: everybody signs in again"]);
    assert_says(&said, &[r#""event":"restored","count":1,"kept":false"#]);

    let server = Process::replica(dir.path(), &url).await;
    let mut client = server.client().await;
    let token = tokens.access_token;
    let judged = client.introspect_token(pb::IntrospectTokenRequest { token }).await.unwrap().into_inner();
    assert!(!judged.active, "an access token of an ended session is good");
    let refused = client.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap_err();
    assert_eq!(reason(&refused), "SESSION_REVOKED");
    let refused = client.watch_revocations(after(&watching.cursor)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"));
    assert!(ids(&server.watching("").await.caught_up().await).contains(session_id.as_str()));
    let explained = client.explain_session(pb::ExplainSessionRequest { session_id }).await.unwrap().into_inner();
    assert_says(&explained.summary, &["ended at 20", "the database was restored from a backup"]);
}

/// What it would write would be of a time that is not. Here it is the database's clock that is wrong: nobody sets ours.
#[tokio::test]
async fn who_has_another_time_than_the_database_restores_nothing_and_gives_up_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let server = Process::replica(dir.path(), &url).await;
    server.client().await.issue_tokens(sign_in("alice")).await.unwrap();
    server.terminate().await;
    let database = url.rsplit_once('/').unwrap().1;
    execute(
        &url,
        &format!(
            "CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql \
         AS 'SELECT pg_catalog.clock_timestamp() + interval ''1 hour''';
         ALTER DATABASE \"{database}\" SET search_path = public, pg_catalog"
        ),
    )
    .await;
    let mut give_up = Process::command(dir.path());
    let other = "2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    give_up.args(["keys", "give-up", "1"]).env("SYMBOLON_DATABASE_URL", &url).env("SYMBOLON_MASTER_KEYS", other);
    for mut command in [restore(dir.path(), &url), give_up] {
        let output = command.output().await.unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{said}");
        assert_says(&said, &["\nerror: this machine's clock and the database's are 3", " s apart"]);
    }
    let connection = sea_orm::Database::connect(&url).await.unwrap();
    let live = "UPDATE sessions SET revoked_at = NULL WHERE revoked_at IS NULL";
    assert_eq!(sea_orm::ConnectionTrait::execute_unprepared(&connection, live).await.unwrap().rows_affected(), 1);
    let sealed = "UPDATE signing_keys SET asked_at = NULL WHERE sealed_seed IS NOT NULL";
    assert_eq!(sea_orm::ConnectionTrait::execute_unprepared(&connection, sealed).await.unwrap().rows_affected(), 2);
    connection.close().await.unwrap();
}

/// Somebody restores a database under a server, past everything that would refuse it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_database_is_restored_under_it_stops_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let mut server = Process::replica(dir.path(), &url).await;
    execute(&url, "UPDATE issuer SET epoch = '4ea10000-0000-8000-8000-000000000001'").await;
    let stops = async {
        while server.lives() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), stops).await.expect("it goes on with what it knew");
    let said = String::from_utf8(server.output()).unwrap();
    assert_says(&said, &["error: the database was restored from a backup while this server ran", "start it again"]);
    Process::replica(dir.path(), &url).await;
}

/// A restore that ended early: nothing is served before it is done.
#[tokio::test]
async fn no_server_starts_on_a_database_that_is_half_restored() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("symbolon-data/symbolon.db");
    Process::dev(dir.path(), &[]).await.terminate().await;
    let connection = raw(&database).await;
    let half = "UPDATE issuer SET epoch = zeroblob(16)";
    sea_orm::ConnectionTrait::execute_unprepared(&connection, half).await.unwrap();
    connection.close().await.unwrap();
    let mut dev = Process::command(dir.path());
    Process::say_dev(&mut dev);
    assert_says(&sentence(dev).await, &["is being restored", "`symbolon restore` (again)"]);
    let done = Process::command(dir.path()).arg("restore").output().await.unwrap();
    assert!(done.status.success());
    Process::dev(dir.path(), &[("SYMBOLON_MASTER_KEYS_FILE", "symbolon-data/master-keys")]).await;
}

#[tokio::test]
async fn a_database_that_is_not_there_or_of_a_newer_schema_is_not_restored() {
    let dir = tempfile::tempdir().unwrap();
    let mut nothing = Process::command(dir.path());
    nothing.arg("restore");
    assert_says(&sentence(nothing).await, &["there is no database at", "symbolon.db"]);
    let url = Postgres::shared().database().await;
    assert_says(&sentence(restore(dir.path(), &url)).await, &["lacks m", "`symbolon migrate up`"]);
    let mut migrate = Process::command(dir.path());
    migrate.args(["migrate", "up"]).env("SYMBOLON_DATABASE_URL", &url).env("SYMBOLON_MASTER_KEYS", MASTER_KEY);
    assert!(migrate.output().await.unwrap().status.success());
    execute(&url, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_future', 1)").await;
    assert_says(&sentence(restore(dir.path(), &url)).await, &["newer than this program"]);
}
