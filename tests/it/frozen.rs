//! A PostgreSQL that stops answering, turns read-only, or sends its clients away: nobody waits for long, nothing is
//! lost, and everything works again by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::ConnectionTrait;
use symbolon::pb::auth::{
    GetJwksRequest, GetSessionRequest, ListSessionsRequest, RevokeSessionRequest, revoke_session_request,
};
use tokio::time::Instant;
use tonic::Status;

use crate::support::{Ask, Load, Postgres, Process, assert_ask_again, redeem, sign_in, soaking};

/// No call takes longer than a server lets it, and a little.
const CAP: Duration = Duration::from_millis(5500);

/// How soon everything works again.
const SOON: Duration = Duration::from_secs(2);

/// Sessions of a server: the refresh token and the id of each.
async fn sign_in_some(server: &Process) -> Vec<(String, String)> {
    let mut client = server.client().await;
    let mut sessions = Vec::new();
    for number in 0..20 {
        let issued = client.issue_tokens(sign_in(&format!("subject {number}"))).await.unwrap().into_inner();
        sessions.push((issued.tokens.unwrap().refresh_token, issued.session.unwrap().session_id));
    }
    sessions
}

/// Every kind of call that asks the database, the refreshes of all sessions among them. Answers the refusals; a call
/// may take no longer than [`CAP`].
async fn call_everything(server: &Process, sessions: &[(String, String)]) -> Vec<Result<(), Status>> {
    let client = server.client().await;
    let begun = Instant::now();
    let id = || sessions[0].1.clone();
    let refreshes = sessions.iter().map(|(token, _)| {
        let mut client = client.clone();
        async move { client.refresh_tokens(redeem(token)).await.map(drop) }
    });
    let others = async {
        let (mut issue, mut get, mut list, mut revoke) =
            (client.clone(), client.clone(), client.clone(), client.clone());
        let target = Some(revoke_session_request::Target::SessionId(uuid::Uuid::from_u128(1).to_string()));
        let listed = ListSessionsRequest { subject: "subject 0".to_owned(), ..ListSessionsRequest::default() };
        let (issue, get, list, revoke) = tokio::join!(
            issue.issue_tokens(sign_in("late")),
            get.get_session(GetSessionRequest { session_id: id() }),
            list.list_sessions(listed),
            revoke.revoke_session(RevokeSessionRequest { target, ..RevokeSessionRequest::default() }),
        );
        [issue.map(drop), get.map(drop), list.map(drop), revoke.map(drop)]
    };
    let (mut answers, others) = tokio::join!(join_all(refreshes), others);
    answers.extend(others);
    assert!(begun.elapsed() < CAP, "{:?}", begun.elapsed());
    answers
}

fn assert_all_ask_again(answers: Vec<Result<(), Status>>) {
    for answer in answers {
        assert_ask_again(&answer.unwrap_err());
    }
}

/// Fails unless every token works at once, and its successor after it. Answers how long the first round took.
async fn assert_nothing_is_lost(server: &Process, sessions: &[(String, String)]) -> Duration {
    let client = server.client().await;
    let begun = Instant::now();
    let refreshes = sessions.iter().map(|(token, _)| {
        let mut client = client.clone();
        async move {
            loop {
                match client.refresh_tokens(redeem(token)).await {
                    Ok(answer) => return answer.into_inner().tokens.unwrap().refresh_token,
                    Err(status) => assert_ask_again(&status),
                }
                assert!(begun.elapsed() < 5 * SOON, "it does not serve again");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let successors = join_all(refreshes).await;
    let took = begun.elapsed();
    for token in &successors {
        client.clone().refresh_tokens(redeem(token)).await.unwrap();
    }
    took
}

async fn assert_readiness(server: &Process, status: u16) {
    let answer = server.get("/readyz").await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
}

async fn start(dir: &Path) -> (Postgres, Process, Vec<(String, String)>) {
    let postgres = Postgres::start();
    let url = postgres.database().await;
    let server = Process::replica(dir, &url).await;
    let sessions = sign_in_some(&server).await;
    (postgres, server, sessions)
}

/// R-OPS-12, R-RT-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_postgres_is_left_in_time_and_served_from_when_it_thaws() {
    let dir = tempfile::tempdir().unwrap();
    let (postgres, server, mut sessions) = start(dir.path()).await;
    for round in 0..if soaking() { 20 } else { 1 } {
        postgres.freeze();
        // The first calls meet connections that hang, the second ones have none.
        for _ in 0..2 {
            assert_all_ask_again(call_everything(&server, &sessions).await);
            assert_readiness(&server, 503).await;
        }
        postgres.thaw();
        let took = assert_nothing_is_lost(&server, &sessions).await;
        println!("round {round}: served {took:?} after it thawed");
        assert!(took < SOON, "{took:?}");
        assert_readiness(&server, 200).await;
        sessions = sign_in_some(&server).await;
    }
}

/// R-OPS-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_answers_nobody_keys_are_served_and_tokens_verified_and_then_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (postgres, server, sessions) = start(dir.path()).await;
    let mut client = server.client().await;
    let tokens = client.issue_tokens(sign_in("alice")).await.unwrap().into_inner().tokens.unwrap();
    let until = Instant::now() + Duration::from_secs(if soaking() { 120 } else { 30 });
    postgres.freeze();
    while Instant::now() < until {
        assert!(!client.get_jwks(GetJwksRequest {}).await.unwrap().into_inner().keys.is_empty());
        assert!(Ask::get("/.well-known/jwks.json").of(&server.edge).await.status == 200);
        let check = Ask::get("/auth/check").bearer(&tokens.access_token).of(&server.edge).await;
        assert_eq!(check.status, 200, "{check:?}");
        assert_ask_again(&client.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap_err());
    }
    postgres.thaw();
    let took = assert_nothing_is_lost(&server, &sessions).await;
    println!("served {took:?} after it answered again");
    assert!(took < SOON, "{took:?}");
    assert_readiness(&server, 200).await;
}

/// R-OPS-12, R-RT-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_frozen_for_a_moment_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (postgres, server, sessions) = start(dir.path()).await;
    postgres.freeze();
    let thaw = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        postgres.thaw();
    };
    let (answers, ()) = tokio::join!(call_everything(&server, &sessions), thaw);
    for answer in answers {
        answer.unwrap();
    }
}

/// R-OPS-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_primary_is_unavailable_and_served_from_when_it_is_promoted() {
    let dir = tempfile::tempdir().unwrap();
    let (postgres, server, sessions) = start(dir.path()).await;
    let operator = sea_orm::Database::connect(postgres.url("postgres")).await.unwrap();
    let read_only = async |value: &str| {
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
        operator.execute_unprepared(&set).await.unwrap();
        operator.execute_unprepared("SELECT pg_reload_conf()").await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    read_only("on").await;
    let answers = call_everything(&server, &sessions).await;
    let (refreshes, others) = answers.split_at(sessions.len());
    for answer in refreshes.iter().chain(&others[..1]) {
        assert_ask_again(answer.as_ref().unwrap_err());
    }
    // Reading goes on.
    assert!(others[1..].iter().all(Result::is_ok), "{others:?}");
    assert_readiness(&server, 503).await;

    read_only("off").await;
    let took = assert_nothing_is_lost(&server, &sessions).await;
    println!("served {took:?} after it was promoted");
    assert!(took < SOON, "{took:?}");
    assert_readiness(&server, 200).await;
}

/// R-OPS-12, R-RT-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_whose_connections_are_ended_under_load_take_others() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let servers = [Process::replica(dir.path(), &url).await, Process::replica(dir.path(), &url).await];
    let operator = sea_orm::Database::connect(&url).await.unwrap();
    let load = Arc::new(Load::default());
    let clients = load.start(&[&servers[0], &servers[1]]).await;
    let mut ended = 0;
    for _ in 0..if soaking() { 500 } else { 20 } {
        load.until(50).await;
        let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                         WHERE datname = current_database() AND application_name = 'symbolon'";
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, terminate);
        let row = operator.query_one_raw(statement).await.unwrap().unwrap();
        ended += row.try_get_by_index::<i64>(0).unwrap();
    }
    load.until(100).await;
    load.end(clients).await;
    println!("{ended} connections ended, {} rotations, {} refusals", load.rotations(), load.refusals());
    assert!(ended > 20, "only {ended} connections were ended");
    assert_eq!(load.left(), 0, "somebody was told something else than to ask again");
    assert!(load.refusals() * 100 < load.rotations(), "{} refusals", load.refusals());
    load.check(&servers[0]).await;
}
