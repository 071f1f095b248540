//! Whether the process lives and whether it can serve, as orchestrators and load balancers ask.

use std::time::Duration;

use symbolon::pb::auth::key_service_client::KeyServiceClient;
use symbolon::pb::auth::{ListSigningKeysRequest, RevokeSigningKeyRequest, SigningKeyState};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::{MASTER_KEY, OTHER_MASTER_KEY, Other, PACKAGE, Process, Server, Settings, get, sign_in};

/// The whole server, and the one service it is there for.
fn both() -> [HealthCheckRequest; 2] {
    [String::new(), format!("{PACKAGE}.AuthService")].map(|service| HealthCheckRequest { service })
}

fn is(answer: HealthCheckResponse, status: ServingStatus) -> bool {
    answer.status == i32::from(status)
}

#[tokio::test]
async fn the_server_and_its_service_are_serving_and_others_are_unknown() {
    let server = Server::start().await;
    let mut health = HealthClient::new(server.channel());
    for which in both() {
        assert!(is(health.check(which).await.unwrap().into_inner(), ServingStatus::Serving));
    }
    let unknown = HealthCheckRequest { service: "symbolon.auth.v1.Other".to_owned() };
    assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_says_so_before_it_goes() {
    let server = Server::start().await;
    let channel = server.channel();
    let mut watches = Vec::new();
    for which in both() {
        let mut watch = HealthClient::new(channel.clone()).watch(which).await.unwrap().into_inner();
        assert!(is(watch.message().await.unwrap().unwrap(), ServingStatus::Serving));
        watches.push(watch);
    }
    let told = async move {
        for mut watch in watches {
            assert!(is(watch.message().await.unwrap().unwrap(), ServingStatus::NotServing));
        }
    };
    // It waits for watchers to leave, so they do when they know.
    let both = async { tokio::join!(server.stop(), told) };
    tokio::time::timeout(Duration::from_secs(8), both).await.expect("it said nothing, or did not go");
}

#[tokio::test]
async fn live_and_ready_differ_when_the_database_takes_no_writes() {
    let server = Server::start().await;
    assert_eq!(get(&server.ops, "/livez").await, (200, "alive\n".to_owned()));
    assert_eq!(get(&server.ops, "/readyz").await, (200, "ready\n".to_owned()));

    let lock = Other::lock(&server.database()).await;
    assert_eq!(get(&server.ops, "/readyz").await.0, 503);
    assert_eq!(get(&server.ops, "/livez").await.0, 200);
    lock.unlock().await;
    assert_eq!(get(&server.ops, "/readyz").await.0, 200);
    assert_eq!(get(&server.ops, "/nothing").await.0, 404);
}

/// R-KEY-06: a replica without the master key of the key that signs gets no more calls.
#[tokio::test]
async fn a_server_that_cannot_sign_is_not_serving_and_not_ready() {
    let server = Server::start().await;
    let both_keys = format!("{OTHER_MASTER_KEY},{MASTER_KEY}");
    let server = server.restart(Settings::default().master_keys(&both_keys)).await;
    let revoke = async |server: &Server, state| {
        let mut keys = KeyServiceClient::new(server.channel());
        let ring = keys.list_signing_keys(ListSigningKeysRequest::default()).await.unwrap().into_inner().keys;
        let key_id = ring.into_iter().find(|key| key.state() == state).unwrap().key_id;
        let _ = keys.revoke_signing_key(RevokeSigningKeyRequest { key_id }).await;
    };
    // The next one is sealed under the other master key.
    revoke(&server, SigningKeyState::Pending).await;
    let server = server.restart(Settings::default()).await;
    assert_eq!(get(&server.ops, "/readyz").await, (200, "ready\n".to_owned()));
    revoke(&server, SigningKeyState::Active).await;
    assert_eq!(get(&server.ops, "/readyz").await, (503, "the signing key cannot be opened\n".to_owned()));
    let mut health = HealthClient::new(server.channel());
    let not_serving = async {
        for which in both() {
            while !is(health.check(which.clone()).await.unwrap().into_inner(), ServingStatus::NotServing) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), not_serving).await.expect("still said to be serving");
}

#[tokio::test]
async fn a_probe_that_gave_up_waiting_leaves_no_transaction_open() {
    let server = Server::start().await;
    let lock = Other::lock(&server.database()).await;
    assert_eq!(get(&server.ops, "/readyz").await.0, 503);
    lock.unlock().await;
    server.issue("alice").await;
    let other = Other::connect(&server.database()).await;
    assert_eq!(other.count("sessions").await, 1, "an acknowledged sign-in is not stored");
}

#[tokio::test]
async fn the_figures_count_calls_by_method_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::dev(dir.path(), &[]).await;
    let mut client = process.client().await;
    client.issue_tokens(sign_in("alice")).await.unwrap();
    client.issue_tokens(sign_in("")).await.unwrap_err();
    let (status, figures) = get(&process.ops, "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        r#"symbolon_calls_total{method="IssueTokens",reason="OK"} 1"#,
        r#"symbolon_calls_total{method="IssueTokens",reason="FIELD_INVALID"} 1"#,
        "symbolon_sessions_issued_total 1",
    ] {
        assert!(figures.lines().any(|figure| figure == line), "{line} is not in\n{figures}");
    }
    assert!(!figures.contains("alice"), "{figures}");
}
