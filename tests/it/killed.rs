//! `kill -9` in the middle of everything: what was acknowledged before holds afterwards.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{RevokeSessionRequest, revoke_session_request};
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{Dice, Process, reason, redeem, sign_in, soaking};

const CLIENTS: usize = 20;

/// So few rotations in a round that it would prove nothing.
const FEW: u64 = 100;

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Each client's newest refresh token.
    current: Mutex<Vec<String>>,
    /// Tokens of sessions that were revoked.
    revoked: Mutex<Vec<String>>,
    rotations: AtomicU64,
}

/// Rotates as fast as it can until the server is gone, one acknowledged token after the other.
async fn rotate(mut client: AuthServiceClient<Channel>, number: usize, acknowledged: &Acknowledged) {
    let mut token = acknowledged.current.lock().unwrap()[number].clone();
    while let Ok(answer) = client.refresh_tokens(redeem(&token)).await {
        token = answer.into_inner().tokens.unwrap().refresh_token;
        acknowledged.current.lock().unwrap()[number].clone_from(&token);
        acknowledged.rotations.fetch_add(1, Ordering::Relaxed);
    }
}

/// Signs in, rotates once and revokes, until the server is gone.
async fn revoke(mut client: AuthServiceClient<Channel>, acknowledged: &Acknowledged) {
    while let Ok(issued) = client.issue_tokens(sign_in("mallory")).await {
        let first = issued.into_inner().tokens.unwrap().refresh_token;
        let Ok(second) = client.refresh_tokens(redeem(&first)).await else { return };
        let second = second.into_inner().tokens.unwrap().refresh_token;
        let target = Some(revoke_session_request::Target::RefreshToken(second.clone()));
        let revoke = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
        match client.revoke_session(revoke).await {
            Ok(answer) if answer.get_ref().revoked => acknowledged.revoked.lock().unwrap().extend([first, second]),
            Ok(_) => panic!("a live session was not ended"),
            Err(_) => return,
        }
    }
}

/// Loads a server that keeps its data in `dir`, kills it at a moment the dice choose, and sees what is left.
async fn round(dir: &Path, dice: &Dice, tokens: &mut Vec<String>, revoked: &mut Vec<String>) -> u64 {
    let server = Process::dev(dir, &[]).await;
    let acknowledged = Acknowledged { current: Mutex::new(tokens.clone()), ..Acknowledged::default() };
    let client = server.client().await;
    while tokens.len() < CLIENTS {
        let issued = client.clone().issue_tokens(sign_in("alice")).await.unwrap().into_inner();
        tokens.push(issued.tokens.unwrap().refresh_token);
    }
    acknowledged.current.lock().unwrap().clone_from(tokens);
    let clients = futures_util::future::join_all((0..CLIENTS).map(|_| server.client())).await;
    let rotating = clients.into_iter().enumerate().map(|(at, client)| rotate(client, at, &acknowledged));
    let killing = async {
        let enough = FEW + dice.below(3 * FEW);
        for _ in 0..3000 {
            let revoked = acknowledged.revoked.lock().unwrap().len();
            if acknowledged.rotations.load(Ordering::Relaxed) >= enough && revoked > 4 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
        server.assert_healed_nothing();
        server.kill().await;
    };
    tokio::join!(futures_util::future::join_all(rotating), revoke(client, &acknowledged), killing);

    let rotations = acknowledged.rotations.into_inner();
    *tokens = acknowledged.current.into_inner().unwrap();
    revoked.extend(acknowledged.revoked.into_inner().unwrap());
    let server = Process::dev(dir, &[]).await;
    let mut client = server.client().await;
    for token in tokens.iter_mut() {
        let answer = client.refresh_tokens(redeem(token)).await;
        let answer = answer.unwrap_or_else(|status| panic!("an acknowledged token was lost: {}", reason(&status)));
        *token = answer.into_inner().tokens.unwrap().refresh_token;
    }
    server.assert_healed_nothing();
    for token in revoked.iter() {
        let refused = client.refresh_tokens(redeem(token)).await.expect_err("a revoked session lives");
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "SESSION_REVOKED"));
    }
    server.kill().await;
    rotations
}

/// R-OPS-03, R-RT-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_under_load_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let dice = Dice::seeded(3);
    let (mut tokens, mut revoked) = (Vec::new(), Vec::new());
    for number in 0..if soaking() { 100 } else { 5 } {
        let rotations = round(dir.path(), &dice, &mut tokens, &mut revoked).await;
        assert!(rotations >= FEW, "round {number}: only {rotations} rotations");
        println!("round {number}: {rotations} rotations, {} revocations so far", revoked.len() / 2);
    }
}
