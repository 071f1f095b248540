//! `kill -9` in the middle of everything: what was acknowledged before holds afterwards.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Dice, Load, Process, soaking};

/// So few rotations in a round that it would prove nothing.
const FEW: u64 = 100;

/// Loads a server that keeps its data in `dir`, kills it at a moment the dice choose, and sees what is left.
async fn round(dir: &Path, dice: &Dice, load: &Arc<Load>) {
    let server = Process::dev(dir, &[]).await;
    let clients = load.start(&[&server]).await;
    load.until(FEW + dice.below(3 * FEW)).await;
    tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
    server.kill().await;
    clients.join_all().await;

    let server = Process::dev(dir, &[]).await;
    load.check(&server).await;
    server.kill().await;
}

/// R-OPS-03, R-RT-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let dice = Dice::seeded(3);
    let load = Arc::new(Load::default());
    for number in 0..if soaking() { 100 } else { 5 } {
        round(dir.path(), &dice, &load).await;
        println!("round {number}: {} rotations, {} revocations so far", load.rotations(), load.revocations());
    }
    assert_eq!(load.refusals(), 0, "somebody was told to ask again");
    assert!(load.left() > 0, "it was not killed under load");
}
