//! Sweeping beside refreshing: what nobody can ask for any more goes, and nobody waits for it.

use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use sea_orm::{ConnectionTrait, Database};
use symbolon::store::{Selection, Url};
use tokio::time::Instant;

use crate::support::{Indoors, MASTER_KEY, Postgres, soaking, subject};

const USERS: usize = 16;

/// Refreshes without a pause until `over`. Answers how long each took.
async fn refreshes(indoors: &Indoors, tokens: &mut [String], over: impl Future<Output = ()>) -> Vec<Duration> {
    let stop = std::cell::Cell::new(false);
    let users = tokens.iter_mut().map(async |token| {
        let mut took = Vec::new();
        while !stop.get() {
            let began = Instant::now();
            *token = indoors.rotate(token).await;
            took.push(began.elapsed());
        }
        took
    });
    let users = std::pin::pin!(join_all(users));
    let took = match select(users, std::pin::pin!(over)).await {
        Either::Left((took, _)) => took,
        Either::Right(((), users)) => {
            stop.set(true);
            users.await
        }
    };
    let mut took = took.concat();
    took.sort_unstable();
    took
}

fn p99(took: &[Duration]) -> Duration {
    took[took.len() * 99 / 100]
}

/// R-OPS-05
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sweeping_expired_sessions_is_in_nobodys_way() {
    let expired = if soaking() { 1_000_000 } else { 20_000 };
    let url = Postgres::shared().database().await;
    // The clock stands still, and so would the limit.
    let unlimited = [("SYMBOLON_LIMITS_ROTATIONS_PER_SECOND", "1000000")];
    let indoors = Box::pin(Indoors::on(&Url::parse(&url).unwrap(), MASTER_KEY, &unlimited)).await.unwrap();
    indoors.issue(subject("gone")).await.unwrap();
    let raw = Database::connect(&url).await.unwrap();
    let columns = "SELECT string_agg(CASE column_name WHEN 'id' THEN 'gen_random_uuid()' WHEN 'expires_at' THEN '1' \
                   ELSE quote_ident(column_name) END, ', ' ORDER BY ordinal_position) \
                   FROM information_schema.columns WHERE table_name = 'sessions'";
    let columns = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, columns);
    let columns: String = raw.query_one_raw(columns).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    let fill = format!("INSERT INTO sessions SELECT {columns} FROM sessions, generate_series(1, {expired})");
    raw.execute_unprepared(&fill).await.unwrap();
    raw.execute_unprepared("VACUUM ANALYZE sessions").await.unwrap();
    let mut tokens = Vec::new();
    for _ in 0..USERS {
        tokens.push(indoors.issue(subject("alice")).await.unwrap().refresh_token);
    }

    let alone = Duration::from_secs(if soaking() { 20 } else { 1 });
    let before = refreshes(&indoors, &mut tokens, tokio::time::sleep(alone)).await;
    let began = Instant::now();
    let during = refreshes(&indoors, &mut tokens, indoors.service.sweep()).await;
    let swept_in = began.elapsed();
    let after = refreshes(&indoors, &mut tokens, tokio::time::sleep(alone)).await;
    let mut others = [before, after].concat();
    others.sort_unstable();

    let left =
        indoors.service.store.list(Selection { subject: "gone", clients: None, client_id: None }, None, None, 10);
    assert_eq!(left.await.unwrap().len(), 1, "all but the one that lives are gone");
    let [during, others] = [p99(&during), p99(&others)];
    println!("{expired} swept in {swept_in:?}: p99 of a refresh {during:?} meanwhile, {others:?} before and after");
    // What is too short to be measured is only tried.
    assert!(!soaking() || during < others * 6 / 5, "a refresh waits for the sweeper");
    raw.close().await.unwrap();
}
