//! A database that is locked, full, gone or not to be written to: the caller is told to ask again, and nothing that was
//! acknowledged is lost.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use symbolon::pb::auth::{GetSessionRequest, ListSessionsRequest};

use crate::support::{Process, Server, assert_ask_again, raw, redeem, sign_in};

/// R-RT-03, R-RPC-01
#[tokio::test]
async fn a_database_locked_for_long_is_unavailable_and_the_token_works_when_it_is_free() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let (token, session_id) = (issued.tokens.unwrap().refresh_token, issued.session.unwrap().session_id);
    let locker = raw(&server.database()).await;
    locker.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();

    let mut other = server.client();
    let (refresh, issue) = tokio::join!(server.refresh(&token), other.issue_tokens(sign_in("bob")));
    assert_ask_again(&refresh.unwrap_err());
    assert_ask_again(&issue.unwrap_err());
    // Reading goes on.
    let request = GetSessionRequest { session_id };
    let session = server.client().get_session(request).await.unwrap().into_inner().session.unwrap();
    assert_eq!(session.generation, 1);

    locker.execute_unprepared("ROLLBACK").await.unwrap();
    let successor = server.rotate(&token).await;
    assert_eq!(server.rotate(&token).await, successor);
}

/// R-OPS-01
#[tokio::test]
async fn a_database_locked_for_a_moment_is_waited_for() {
    let server = Server::start().await;
    let token = server.issue("alice").await.tokens.unwrap().refresh_token;
    let locker = raw(&server.database()).await;
    locker.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let free = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        locker.execute_unprepared("ROLLBACK").await.unwrap();
    };
    let (answer, ()) = tokio::join!(server.refresh(&token), free);
    answer.unwrap();
}

/// A server whose disk is full, and the refresh tokens that were acknowledged on the way there.
async fn full_disk(dir: &Path) -> (Process, Vec<String>) {
    // Files end after 512 KiB, and whoever writes more is told so instead of being killed.
    let full = ["bash", "-c", "trap '' XFSZ; ulimit -S -f 512; exec \"$0\" \"$@\""];
    let mut dev = Process::command_under(dir, &full);
    Process::say_dev(&mut dev);
    let mut server = Process::start(dev).await;
    let mut client = server.client().await;

    let mut tokens = Vec::new();
    for number in 0..10 {
        let issued = client.issue_tokens(sign_in(&format!("subject {number}"))).await.unwrap().into_inner();
        tokens.push(issued.tokens.unwrap().refresh_token);
    }
    let (mut acknowledged, mut refused) = (0, 0);
    for round in 0..2000 {
        let at = round % tokens.len();
        match client.refresh_tokens(redeem(&tokens[at])).await {
            Ok(answer) => {
                tokens[at] = answer.into_inner().tokens.unwrap().refresh_token;
                acknowledged += 1;
            }
            Err(status) => {
                assert_ask_again(&status);
                assert_ask_again(&client.issue_tokens(sign_in("late")).await.unwrap_err());
                refused += 1;
            }
        }
        if refused > 20 {
            break;
        }
    }
    assert!(acknowledged > 10 && refused > 20, "{acknowledged} acknowledged, {refused} refused: the disk was not full");
    assert!(server.lives());
    (server, tokens)
}

async fn assert_all_work(server: &Process, tokens: &[String]) {
    let mut client = server.client().await;
    for token in tokens {
        let answer = client.refresh_tokens(redeem(token)).await.unwrap_or_else(|status| panic!("lost: {status:?}"));
        let successor = answer.into_inner().tokens.unwrap().refresh_token;
        client.refresh_tokens(redeem(&successor)).await.unwrap();
    }
    server.assert_healed_nothing();
    let nobody = ListSessionsRequest { subject: "late".to_owned(), ..ListSessionsRequest::default() };
    let sessions = client.list_sessions(nobody).await.unwrap().into_inner().sessions;
    assert!(sessions.is_empty(), "a sign-in that was refused is there");
}

/// R-RT-03, R-OPS-03
#[tokio::test]
async fn a_full_disk_is_unavailable_and_after_a_restart_with_room_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (server, tokens) = full_disk(dir.path()).await;
    server.kill().await;
    assert_all_work(&Process::dev(dir.path(), &[]).await, &tokens).await;
}

/// R-RT-03, R-OPS-03
#[tokio::test]
async fn a_full_disk_that_gets_room_is_written_to_again_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (server, tokens) = full_disk(dir.path()).await;
    let id = server.id().to_string();
    let room = Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited:"]).status().unwrap();
    assert!(room.success());
    assert_all_work(&server, &tokens).await;
}

/// Tries what clients do, and answers how often it was refused.
async fn try_all(server: &Process, tokens: &mut [String]) -> usize {
    let mut refusals = 0;
    for round in 0..5 {
        let calls = tokens.iter_mut().map(|token| async {
            let mut client = server.client().await;
            let refused = match client.refresh_tokens(redeem(token)).await {
                Ok(answer) => {
                    *token = answer.into_inner().tokens.unwrap().refresh_token;
                    None
                }
                Err(status) => Some(status),
            };
            [refused, client.issue_tokens(sign_in(&format!("subject {round}"))).await.err()]
        });
        for status in futures_util::future::join_all(calls).await.into_iter().flatten().flatten() {
            assert_ask_again(&status);
            refusals += 1;
        }
    }
    refusals
}

/// Puts something in the place of a file.
type Replace = fn(&Path);

/// R-RT-03, R-RPC-01
#[tokio::test]
async fn a_database_deleted_or_replaced_while_it_is_in_use_is_no_fault_of_ours_and_no_panic() {
    let replace: [(&str, Replace); 3] = [
        ("deleted", |_| {}),
        ("replaced by another", |path| std::fs::write(path, b"").unwrap()),
        ("replaced by rubbish", |path| std::fs::write(path, [b'x'; 9000]).unwrap()),
    ];
    for (how, replace) in replace {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Process::dev(dir.path(), &[]).await;
        let mut client = server.client().await;
        let mut tokens = Vec::new();
        for _ in 0..8 {
            tokens
                .push(client.issue_tokens(sign_in("alice")).await.unwrap().into_inner().tokens.unwrap().refresh_token);
        }
        let data = dir.path().join("symbolon-data");
        for name in ["symbolon.db", "symbolon.db-wal", "symbolon.db-shm"] {
            std::fs::remove_file(data.join(name)).unwrap();
        }
        replace(&data.join("symbolon.db"));
        // A file that nobody finds any more goes on being written to: refusals are allowed, not owed.
        try_all(&server, &mut tokens).await;
        assert!(server.lives(), "{how}");
        let said = String::from_utf8_lossy(&server.output()).into_owned();
        assert!(!said.contains("panicked"), "{how}: {said}");
    }
}
