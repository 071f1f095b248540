//! Many writers at once: they wait for each other, and nobody is told about it.

use std::collections::BTreeMap;
use std::time::Duration;

use symbolon::pb::auth::{RevokeSessionRequest, UpdateSessionRequest, revoke_session_request};
use tokio::time::Instant;
use tonic::Status;

use crate::support::{Process, reason, redeem, sign_in, soaking};

/// Signs in, refreshes, changes and signs out, again and again. Answers how many calls it made.
async fn write(server: &Process, writer: usize, until: Instant) -> Result<usize, Status> {
    let mut client = server.client().await;
    let mut calls = 0;
    while Instant::now() < until {
        let issued = client.issue_tokens(sign_in(&format!("subject {}", writer % 10))).await?.into_inner();
        let (mut token, session_id) = (issued.tokens.unwrap().refresh_token, issued.session.unwrap().session_id);
        for round in 0..5 {
            token = client.refresh_tokens(redeem(&token)).await?.into_inner().tokens.unwrap().refresh_token;
            let label = Some(format!("round {round}"));
            client.update_session(UpdateSessionRequest { session_id: session_id.clone(), label, claims: None }).await?;
        }
        let target = Some(revoke_session_request::Target::RefreshToken(token));
        let revoke = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
        assert!(client.revoke_session(revoke).await?.into_inner().revoked);
        calls += 12;
    }
    Ok(calls)
}

/// R-OPS-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_meet_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let until = Instant::now() + Duration::from_secs(if soaking() { 60 } else { 2 });
    let written = futures_util::future::join_all((0..50).map(|writer| write(&server, writer, until))).await;

    let mut errors = BTreeMap::new();
    let mut calls = 0;
    for outcome in written {
        match outcome {
            Ok(some) => calls += some,
            Err(status) => *errors.entry((reason(&status), status.to_string())).or_insert(0) += 1,
        }
    }
    assert!(errors.is_empty(), "{errors:?}\n{}", String::from_utf8_lossy(&server.output()));
    assert!(calls >= 50 * 12, "only {calls} calls were made");
    println!("{calls} calls of 50 writers");
}
