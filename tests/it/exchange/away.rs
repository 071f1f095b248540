//! The exchange while its service says nothing, is left waiting, or has lost a key.

use std::time::Duration;

use futures_util::future::join_all;
use symbolon::pb::auth::key_service_client::KeyServiceClient;
use symbolon::pb::auth::{ListSigningKeysRequest, RevokeSigningKeyRequest};
use tonic::transport::Channel;

use super::{Bff, load};
use crate::support::http::Connection;

/// R-EDGE-09: it is asked once for all who wait, who would else wait for one another.
#[tokio::test]
async fn whoever_waits_for_one_cookie_is_told_by_one_question_that_the_service_is_away() {
    let bff = Bff::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let (_edge, elsewhere) = bff.edge(dir.path()).await;
    let [known, unknown] = [bff.signed_in().await, bff.signed_in().await];
    bff.until_served(&known, &elsewhere).await;
    bff.server.signal("-STOP").await;
    let ask = load(&unknown);
    // One question gives up after seven seconds.
    let answers = tokio::time::timeout(Duration::from_secs(12), join_all((0..10).map(|_| ask.of(&elsewhere)))).await;
    for answer in answers.expect("they ask one after the other") {
        assert_eq!(answer.problem(), (503, "issuer_unavailable".to_owned()));
    }
    bff.server.signal("-CONT").await;
    // What was said to those who waited is said to nobody else.
    assert_eq!(ask.of(&elsewhere).await.status, 200);
}

/// R-EDGE-09: a gateway that gives up, or a page that is closed.
#[tokio::test]
async fn what_was_rotated_for_somebody_who_does_not_wait_is_there_for_the_next() {
    let bff = Bff::start(&[("SYMBOLON_ACCESS_TOKEN_TTL", "3s")]).await;
    let dir = tempfile::tempdir().unwrap();
    let (_edge, elsewhere) = bff.edge(dir.path()).await;
    let browser = bff.signed_in().await;
    bff.until_served(&browser, &elsewhere).await;
    tokio::time::sleep(Duration::from_millis(2000)).await;
    let before = bff.counted("rotated").await;

    bff.server.signal("-STOP").await;
    let mut connection = Connection::open(&elsewhere).await;
    connection.write(&load(&browser).bytes()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(connection);
    tokio::time::sleep(Duration::from_millis(300)).await;
    bff.server.signal("-CONT").await;
    let rotated = async {
        while bff.counted("rotated").await == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), rotated).await.expect("nothing was rotated");

    let answer = load(&browser).of(&elsewhere).await;
    assert!(answer.status == 200 && answer.header("set-cookie").is_some(), "{answer:?}");
    assert_eq!((bff.counted("rotated").await, bff.counted("repeated").await), (before + 1, 0));
}

/// R-KEY-03: what is held of a compromised key is worth nothing, and its users stay signed in.
#[tokio::test]
async fn nobody_is_given_a_token_of_a_key_that_was_compromised() {
    let bff = Bff::start(&[]).await;
    let browser = bff.signed_in().await;
    let before = load(&browser).of(&bff.exchange).await;
    let channel = Channel::from_shared(format!("http://{}", bff.server.grpc)).unwrap().connect().await.unwrap();
    let mut keys = KeyServiceClient::new(channel);
    let ring = keys.list_signing_keys(ListSigningKeysRequest::default()).await.unwrap().into_inner().keys;
    keys.revoke_signing_key(RevokeSigningKeyRequest { key_id: ring[1].key_id.clone() }).await.unwrap();
    let renewed = async {
        loop {
            let answer = load(&browser).of(&bff.exchange).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            if answer.header("authorization") != before.header("authorization") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), renewed).await.expect("it goes on with the old token");
}
