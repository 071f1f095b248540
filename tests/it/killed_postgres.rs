//! `kill -9` with PostgreSQL behind it: of a server, and of PostgreSQL itself. What was acknowledged holds, and who
//! remains goes on without being told to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Dice, Load, Postgres, Process, assert_ask_again, redeem, sign_in, soaking};

/// So few rotations in a round that it would prove nothing.
const FEW: u64 = 100;

/// How soon everything works again once PostgreSQL takes connections.
const SOON: Duration = Duration::from_secs(2);

/// No call takes longer than a server lets it, and a little.
const CAP: Duration = Duration::from_millis(5500);

fn rounds() -> usize {
    if soaking() { 100 } else { 5 }
}

/// R-OPS-03, R-RT-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_nothing_and_its_neighbour_serves_on() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let (dice, load) = (Dice::seeded(5), Arc::new(Load::default()));
    let mut survivor = Process::replica(dir.path(), &url).await;
    for number in 0..rounds() {
        let victim = Process::replica(dir.path(), &url).await;
        let clients = load.start(&[&victim, &survivor]).await;
        load.until(FEW + dice.below(3 * FEW)).await;
        tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
        let left = load.left();
        victim.kill().await;
        load.until(FEW).await;
        load.end(clients).await;
        assert!(load.left() > left, "it was not killed under load");

        load.check(&survivor).await;
        let fresh = Process::replica(dir.path(), &url).await;
        load.check(&fresh).await;
        survivor = fresh;
        println!("round {number}: {} rotations, {} revocations so far", load.rotations(), load.revocations());
    }
    assert_eq!(load.refusals(), 0, "somebody was told to ask again");
}

/// How long a server takes to sign somebody in and to refresh the token.
async fn time_to_serve(server: &Process, token: &str) -> Duration {
    let begun = Instant::now();
    let mut client = server.client().await;
    loop {
        let (refreshed, issued) =
            (client.refresh_tokens(redeem(token)).await, client.issue_tokens(sign_in("bob")).await);
        match (refreshed, issued) {
            (Ok(_), Ok(_)) => return begun.elapsed(),
            (refreshed, issued) => {
                for refused in [refreshed.err(), issued.err()].into_iter().flatten() {
                    assert_ask_again(&refused);
                }
            }
        }
        assert!(begun.elapsed() < 5 * SOON, "it does not serve again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn token(server: &Process) -> String {
    let issued = server.client().await.issue_tokens(sign_in("carol")).await.unwrap().into_inner();
    issued.tokens.unwrap().refresh_token
}

async fn two(dir: &Path, url: &str) -> [Process; 2] {
    [Process::replica(dir, url).await, Process::replica(dir, url).await]
}

/// R-OPS-03, R-OPS-09, R-OPS-12, R-RT-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_killed_under_load_loses_nothing_and_the_servers_go_on_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start();
    let url = postgres.database().await;
    let (dice, load) = (Dice::seeded(6), Arc::new(Load::default()));
    let mut servers = two(dir.path(), &url).await;
    for number in 0..rounds() {
        let tokens = [token(&servers[0]).await, token(&servers[1]).await];
        let (refusals, rotations) = (load.refusals(), load.rotations());
        let clients = load.start(&[&servers[0], &servers[1]]).await;
        load.until(FEW + dice.below(3 * FEW)).await;
        tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
        // A while for which everybody is told to ask again, from nothing at all to longer than a statement may take.
        let away = Duration::from_millis(dice.below(3500));
        tokio::task::block_in_place(|| {
            postgres.kill();
            std::thread::sleep(away);
            postgres.restart();
        });
        let [one, other] = [time_to_serve(&servers[0], &tokens[0]), time_to_serve(&servers[1], &tokens[1])];
        let (one, other) = tokio::join!(one, other);
        load.until(FEW).await;
        load.end(clients).await;

        let refused = load.refusals() - refusals;
        let rotated = load.rotations() - rotations;
        println!(
            "round {number}: away {away:?}, served after {one:?} and {other:?}, {rotated} rotations, {refused} refusals"
        );
        assert!(one < SOON && other < SOON, "{one:?}, {other:?}");
        load.check(&servers[number % 2]).await;
        assert!(servers.iter_mut().all(Process::lives));
    }
    assert_eq!(load.left(), 0, "somebody was told something else than to ask again");
    for server in &servers {
        // Most callers are told nothing of it.
        let left = String::from_utf8_lossy(&server.output()).matches("are of no use any more").count();
        assert!(left >= rounds(), "it was not killed under load");
    }
    assert!(load.slowest() < CAP, "{:?}", load.slowest());
}
