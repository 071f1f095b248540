//! Signing keys: they follow their schedule by themselves, and on the bad day they are asked to.

use std::time::Duration;

use serde_json::json;
use symbolon::pb::auth as pb;
use symbolon::pb::auth::SigningKeyState as State;
use symbolon::pb::auth::key_service_client::KeyServiceClient;
use symbolon::pb::auth::watch_revocations_response::Event;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::forged::Forger;
use crate::introspect::assert_inactive;
use crate::support::{BEGINNING, Server, Settings, bad_fields, claimed, part, reason};

const DAY: u64 = 86_400;

impl Server {
    fn keys(&self) -> KeyServiceClient<Channel> {
        KeyServiceClient::new(self.channel())
    }

    async fn ring(&self, include_ended: bool) -> Vec<pb::SigningKey> {
        let request = pb::ListSigningKeysRequest { include_ended };
        self.keys().list_signing_keys(request).await.unwrap().into_inner().keys
    }

    /// The ring, once every key is in the state it should be in.
    async fn ring_of(&self, states: &[State]) -> Vec<pb::SigningKey> {
        let mut ring = Vec::new();
        for _ in 0..200 {
            ring = self.ring(false).await;
            if ring.iter().map(pb::SigningKey::state).eq(states.iter().copied()) {
                return ring;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{states:?} is not {ring:#?}");
    }

    async fn published(&self) -> Vec<String> {
        let jwks = self.client().get_jwks(pb::GetJwksRequest {}).await.unwrap().into_inner();
        jwks.keys.into_iter().map(|key| key.kid).collect()
    }

    async fn rotate_key(&self, skip_publish_ahead: bool) -> pb::SigningKey {
        let request = pb::RotateSigningKeyRequest { skip_publish_ahead, ..Default::default() };
        self.keys().rotate_signing_key(request).await.unwrap().into_inner().key.unwrap()
    }

    async fn revoke_key(&self, key_id: &str) -> Result<pb::SigningKey, Status> {
        let request = pb::RevokeSigningKeyRequest { key_id: key_id.to_owned() };
        let revoked = self.keys().revoke_signing_key(request).await?.into_inner();
        Ok(revoked.active_key.unwrap())
    }
}

fn kid(token: &str) -> String {
    let header: serde_json::Value = serde_json::from_str(&part(token, 0)).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

fn ids(ring: &[pb::SigningKey]) -> Vec<String> {
    ring.iter().map(|key| key.key_id.clone()).collect()
}

fn seconds(time: Option<prost_types::Timestamp>) -> i64 {
    time.unwrap().seconds - BEGINNING
}

/// R-KEY-01, R-KEY-02
#[tokio::test]
async fn a_key_waits_signs_verifies_and_is_gone_all_by_itself() {
    let server = Server::start().await;
    let [second, first] = server.ring_of(&[State::Pending, State::Active]).await.try_into().unwrap();
    let (day, month) = (i64::try_from(DAY).unwrap(), 30 * i64::try_from(DAY).unwrap());
    assert_eq!((seconds(first.activate_time), seconds(first.retire_time)), (0, month));
    assert_eq!((seconds(second.create_time), seconds(second.activate_time)), (0, month));
    assert!(second.retire_time.is_none() && second.expire_time.is_none());
    assert_eq!(server.published().await, [first.key_id.clone(), second.key_id.clone()]);

    server.pass(30 * DAY - 1);
    let last = server.issue("alice").await.tokens.unwrap().access_token;
    assert_eq!(kid(&last), first.key_id);
    server.pass(1);
    let ring = server.ring_of(&[State::Pending, State::Active, State::Retiring]).await;
    assert_eq!(ids(&ring)[1..], [second.key_id.clone(), first.key_id.clone()]);
    assert_eq!(seconds(ring[0].create_time), month);
    let next = server.issue("alice").await.tokens.unwrap().access_token;
    assert_eq!(kid(&next), second.key_id);
    // The last token of the first key lives for 15 minutes, caches for five more, and clocks differ by ten seconds.
    let leaves = month + 20 * 60 + 10;
    assert_eq!(seconds(ring[2].expire_time), leaves);
    assert!(server.introspect(&last).await.active && server.introspect(&next).await.active);
    assert_eq!(server.published().await.len(), 3);

    server.pass(20 * 60 + 9);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(server.published().await.len(), 3);
    server.pass(1);
    let ring = server.ring_of(&[State::Pending, State::Active]).await;
    assert!(!server.published().await.contains(&first.key_id));
    let all = server.ring(true).await;
    assert_eq!(ids(&all)[..2], ids(&ring));
    assert_eq!(
        (all[2].state(), seconds(all[2].expire_time), seconds(all[2].retire_time)),
        (State::Gone, leaves, month)
    );
    assert!(seconds(ring[0].activate_time) - seconds(ring[0].create_time) >= day);
}

/// R-KEY-02: what a key that is gone has signed, by whoever still has it, is nobody's token.
#[tokio::test]
async fn a_key_that_is_gone_signs_nothing_that_anybody_believes() {
    let server = Server::start().await;
    let forger = Forger::of(&server).await;
    server.pass(30 * DAY);
    server.ring_of(&[State::Pending, State::Active, State::Retiring]).await;
    let now = BEGINNING + 30 * i64::try_from(DAY).unwrap();
    let token = forger.with_claims(&[("iat", json!(now)), ("exp", json!(now + 7200))]);
    assert!(server.introspect(&token).await.active, "it is signed by a key that still verifies");
    server.pass(20 * 60 + 10);
    server.ring_of(&[State::Pending, State::Active]).await;
    assert_inactive(&server, &token, "a key that is gone").await;
}

/// The token names a key that is published and did not sign it.
#[tokio::test]
async fn the_id_of_the_key_that_waits_makes_nothing_good() {
    let server = Server::start().await;
    let forger = Forger::of(&server).await;
    let pending = server.ring(false).await[0].key_id.clone();
    assert_inactive(&server, &forger.with_header(|header| header["kid"] = json!(pending)), "another key's id").await;
}

/// R-KEY-02
#[tokio::test]
async fn a_rotation_that_is_asked_for_waits_for_the_publication_and_asking_again_changes_nothing() {
    let server = Server::start().await;
    let [second, first] = server.ring_of(&[State::Pending, State::Active]).await.try_into().unwrap();
    server.pass(3600);
    let next = server.rotate_key(false).await;
    let day = i64::try_from(DAY).unwrap();
    assert_eq!((&next.key_id, next.state(), seconds(next.activate_time)), (&second.key_id, State::Pending, day));
    let database = server.watch().await;
    let before = database.version().await;
    assert_eq!(server.rotate_key(false).await, next);
    assert_eq!(database.version().await, before);

    server.pass(DAY - 3600);
    let ring = server.ring_of(&[State::Pending, State::Active, State::Retiring]).await;
    assert_eq!(ids(&ring)[1..], [second.key_id.clone(), first.key_id]);
    // A retry that comes late is answered with the key that signs, and asks for nothing more.
    server.pass(3600);
    let late = server.rotate_key(false).await;
    assert_eq!((&late.key_id, late.state()), (&second.key_id, State::Active));
    let pending = server.ring(false).await.remove(0);
    assert_eq!(seconds(pending.activate_time), 31 * day);
    // When that is over, another one can be asked for, of a key that was published long enough.
    server.pass(DAY);
    let another = server.rotate_key(false).await;
    assert_eq!((another.key_id, another.state), (pending.key_id, State::Active.into()));
}

#[tokio::test]
async fn a_rehearsal_rotates_at_once() {
    let server = Server::start().await;
    let [second, first] = server.ring_of(&[State::Pending, State::Active]).await.try_into().unwrap();
    let active = server.rotate_key(true).await;
    assert_eq!((&active.key_id, active.state()), (&second.key_id, State::Active));
    assert_eq!(kid(&server.issue("alice").await.tokens.unwrap().access_token), second.key_id);
    assert_eq!(ids(&server.ring_of(&[State::Pending, State::Active, State::Retiring]).await)[2], first.key_id);
}

/// R-KEY-03
#[tokio::test]
async fn a_compromised_key_is_out_at_once_and_nobody_is_signed_out() {
    let server = Server::start().await;
    let [second, first] = server.ring_of(&[State::Pending, State::Active]).await.try_into().unwrap();
    let request = pb::WatchRevocationsRequest::default();
    let mut watch = server.client().watch_revocations(request).await.unwrap().into_inner();
    let begun = watch.message().await.unwrap().unwrap().event;
    assert!(matches!(begun, Some(Event::SnapshotEnd(pb::SnapshotEnd { session_count: 0 }))), "{begun:?}");
    let tokens = server.issue("alice").await.tokens.unwrap();
    let forger = Forger::of(&server).await;

    let active = server.revoke_key(&first.key_id).await.unwrap();
    assert_eq!((&active.key_id, active.state()), (&second.key_id, State::Active));
    assert!(!server.published().await.contains(&first.key_id));
    assert_inactive(&server, &tokens.access_token, "of the compromised key").await;
    assert_inactive(&server, &forger.with_claim("exp", json!(BEGINNING + 3600)), "of a thief").await;
    let told = tokio::time::timeout(Duration::from_secs(1), watch.message()).await.unwrap().unwrap().unwrap();
    let Some(Event::Revocations(pb::Revocations { sessions, keys })) = told.event else { panic!("{told:?}") };
    assert_eq!((sessions.len(), keys.len(), &keys[0].key_id), (0, 1, &first.key_id));
    assert!(seconds(keys[0].expire_time) > 86_400);
    let renewed = server.refresh(&tokens.refresh_token).await.unwrap().tokens.unwrap();
    assert_eq!(kid(&renewed.access_token), second.key_id);
    assert!(server.introspect(&renewed.access_token).await.active);
    assert_eq!(claimed(&renewed.access_token)["sid"], claimed(&tokens.access_token)["sid"]);

    // Once more changes nothing, and whoever comes later is told, too.
    let database = server.watch().await;
    let before = database.version().await;
    assert_eq!(server.revoke_key(&first.key_id).await.unwrap().key_id, second.key_id);
    assert_eq!(database.version().await, before);
    let mut later =
        server.client().watch_revocations(pb::WatchRevocationsRequest::default()).await.unwrap().into_inner();
    let told = later.message().await.unwrap().unwrap().event;
    assert!(matches!(told, Some(Event::Revocations(pb::Revocations { keys, .. })) if keys[0].key_id == first.key_id));
    let ring = server.ring(true).await;
    assert_eq!(
        ring.iter().map(pb::SigningKey::state).collect::<Vec<_>>(),
        [State::Pending, State::Active, State::Compromised]
    );
    // The server that starts next knows it as well.
    let server = server.restart(Settings::default()).await;
    assert_inactive(&server, &tokens.access_token, "of the compromised key").await;
    let mut later =
        server.client().watch_revocations(pb::WatchRevocationsRequest::default()).await.unwrap().into_inner();
    let told = later.message().await.unwrap().unwrap().event;
    assert!(matches!(told, Some(Event::Revocations(pb::Revocations { keys, .. })) if keys[0].key_id == first.key_id));
}

/// R-KEY-03
#[tokio::test]
async fn whatever_a_key_does_it_can_be_revoked_and_one_signs_and_one_waits_all_the_same() {
    let server = Server::start().await;
    let [second, first] = server.ring_of(&[State::Pending, State::Active]).await.try_into().unwrap();
    assert_eq!(server.revoke_key(&second.key_id).await.unwrap().key_id, first.key_id);
    let ring = server.ring_of(&[State::Pending, State::Active]).await;
    assert_ne!(ring[0].key_id, second.key_id);
    server.rotate_key(true).await;
    server.ring_of(&[State::Pending, State::Active, State::Retiring]).await;
    server.revoke_key(&first.key_id).await.unwrap();
    server.ring_of(&[State::Pending, State::Active]).await;
    // Four in a row: there is always another.
    for _ in 0..4 {
        let ring = server.ring(false).await;
        let active = server.revoke_key(&ring[1].key_id).await.unwrap();
        assert_eq!(active.key_id, ring[0].key_id);
    }
    server.issue("alice").await;
}

#[tokio::test]
async fn what_is_no_key_or_no_algorithm_is_refused_by_name() {
    let server = Server::start().await;
    let unknown = server.revoke_key("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "SIGNING_KEY_NOT_FOUND"));
    for odd in ["", "two words", &"x".repeat(256), "a\u{0}b"] {
        let refused = server.revoke_key(odd).await.unwrap_err();
        assert_eq!((refused.code(), bad_fields(&refused)), (Code::InvalidArgument, vec!["key_id".to_owned()]), "{odd}");
    }
    for algorithm in [2, 3, -1] {
        let request = pb::RotateSigningKeyRequest { algorithm, skip_publish_ahead: true };
        let refused = server.keys().rotate_signing_key(request).await.unwrap_err();
        assert_eq!((refused.code(), bad_fields(&refused)), (Code::InvalidArgument, vec!["algorithm".to_owned()]));
    }
    let ring = server.ring(true).await;
    assert_eq!(ring.len(), 2, "nothing was done");
    let named = pb::RotateSigningKeyRequest { algorithm: pb::Algorithm::Eddsa.into(), skip_publish_ahead: true };
    server.keys().rotate_signing_key(named).await.unwrap();
}

/// R-KEY-02: caches are promised no more than the schedule keeps.
#[tokio::test]
async fn the_key_set_may_be_kept_for_half_the_time_that_keys_are_published_ahead() {
    for (ahead, expected) in [("24h", 300), ("1m", 30), ("3s", 1)] {
        let server = Server::with(Settings::default().env("SYMBOLON_KEYS_PUBLISH_AHEAD", ahead)).await;
        let jwks = server.client().get_jwks(pb::GetJwksRequest {}).await.unwrap().into_inner();
        assert_eq!(jwks.max_age.unwrap().seconds, expected, "{ahead}");
    }
}

/// R-KEY-02: an old session keeps the life of its access tokens, so keys verify for the longest that was ever granted.
#[tokio::test]
async fn a_key_verifies_as_long_as_the_longest_token_it_may_have_signed() {
    let server = Server::start().await;
    let long =
        pb::IssueTokensRequest { access_token_ttl: crate::support::seconds(3600), ..crate::support::sign_in("alice") };
    let long = server.issue_tokens(long).await.unwrap().tokens.unwrap();
    // Another process, which never granted anything that long.
    let server = server.restart(Settings::default()).await;
    let renewed = server.refresh(&long.refresh_token).await.unwrap().tokens.unwrap();
    server.rotate_key(true).await;
    let ring = server.ring_of(&[State::Pending, State::Active, State::Retiring]).await;
    assert_eq!(seconds(ring[2].expire_time), 3600 + 300 + 10);
    server.pass(3599);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(server.introspect(&renewed.access_token).await.active);
}
