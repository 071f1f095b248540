//! A disk without room: who asks is told to ask again, what was acknowledged is there, and it goes on by itself when there is
//! room.

use sea_orm::{ConnectionTrait, Database};
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tokio::process::Command;
use tonic::Status;
use tonic::transport::Channel;

use crate::support::{Postgres, Process, assert_ask_again, assert_says, redeem, sentence, sign_in};

/// A process whose files may not grow beyond so many KiB, and that is told so instead of being killed.
fn with_room(kib: u32) -> [String; 3] {
    let script = format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" \"$@\"");
    ["bash".to_owned(), "-c".to_owned(), script]
}

async fn issue(client: &mut AuthServiceClient<Channel>) -> Result<String, Status> {
    let issued = client.issue_tokens(sign_in("alice")).await?.into_inner();
    Ok(issued.tokens.unwrap().refresh_token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_a_full_disk_is_not_ready_and_says_why_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    // Less than the log has before it is moved to the file.
    let wrapper = with_room(900);
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    let mut dev = Process::command_under(dir.path(), &wrapper);
    Process::say_dev(&mut dev);
    let server = Process::start(dev).await;
    let mut client = server.client().await;
    let mut tokens = Vec::new();
    let refused = loop {
        match issue(&mut client).await {
            Ok(token) => tokens.push(token),
            Err(refused) => break refused,
        }
        assert!(tokens.len() < 5000, "it is never full");
    };
    assert_ask_again(&refused);
    assert!(tokens.len() > 5, "{}", tokens.len());
    server.says("the disk is full: make room; what was acknowledged is safe").await;
    // What is smaller than a sign-in may fit yet, as what readiness tries does: then there is room for a few more.
    let mut answer = String::new();
    for _ in 0..300 {
        answer = server.get("/readyz").await;
        if answer.starts_with("HTTP/1.1 503") {
            break;
        }
        tokens.extend(issue(&mut client).await.ok());
    }
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("does not take writes"), "{answer}");

    let limit = ["--fsize=unlimited", "--pid", &server.id().to_string()].map(str::to_owned);
    assert!(Command::new("prlimit").args(limit).status().await.unwrap().success());
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"), "it is not ready again");
    for token in &tokens {
        client.refresh_tokens(redeem(token)).await.unwrap();
    }
    server.assert_healed_nothing();
    issue(&mut client).await.unwrap();
}

#[tokio::test]
async fn a_backup_without_room_says_so_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let mut client = server.client().await;
    for _ in 0..50 {
        issue(&mut client).await.unwrap();
    }
    let wrapper = with_room(40);
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    let mut backup = Process::command_under(dir.path(), &wrapper);
    backup.args(["backup", "copy"]);
    assert_says(&sentence(backup).await, &["symbolon.db cannot be copied", "the disk is full"]);
    assert!(!dir.path().join("copy").exists() && !dir.path().join("copy.part").exists());
}

/// PostgreSQL's own refusal, raised by a trigger: what the service is told is the same.
#[tokio::test]
async fn a_postgres_without_room_loses_nothing_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let server = Process::replica(dir.path(), &url).await;
    let mut client = server.client().await;
    let token = issue(&mut client).await.unwrap();
    let database = Database::connect(&url).await.unwrap();
    let full = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION \
                'could not extend file' USING ERRCODE = 'disk_full'; END $$; \
                CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON sessions FOR EACH ROW EXECUTE FUNCTION full_disk(); \
                CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON issuer FOR EACH ROW EXECUTE FUNCTION full_disk()";
    database.execute_unprepared(full).await.unwrap();

    assert_ask_again(&issue(&mut client).await.unwrap_err());
    assert_ask_again(&client.refresh_tokens(redeem(&token)).await.unwrap_err());
    server.says("the disk is full: make room; what was acknowledged is safe").await;
    let answer = server.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("does not take writes"), "{answer}");

    database.execute_unprepared("DROP FUNCTION full_disk CASCADE").await.unwrap();
    client.refresh_tokens(redeem(&token)).await.unwrap();
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"), "it is not ready again");
    server.says("there is room on the disk again").await;
    database.close().await.unwrap();
}
