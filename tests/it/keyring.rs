//! The ring of a running service, and the feed that tells of its keys, without a door: what replicas, retries and long times
//! do to them.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use symbolon::keys::ring::KeyState;
use symbolon::keys::{MasterKeys, SigningKey};
use symbolon::service::feed::watcher::Event;
use symbolon::service::{Error, Service};
use symbolon_verifier::KeySource;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::{Dice, Indoors, MASTER_KEY, OTHER_MASTER_KEY, raw};

const TOKEN: Duration = Duration::from_secs(900);

async fn in_state(service: &Service, state: KeyState) -> String {
    let keys = service.list_keys(false).await.unwrap();
    keys.iter().find(|view| view.key.state == state).unwrap().key.public.key_id().to_owned()
}

/// A replica that holds the first master key, in whose ring the key that waits is sealed under another one.
async fn with_a_foreign_key_waiting() -> (TempDir, Indoors) {
    let dir = tempfile::tempdir().unwrap();
    let own = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    own.close().await;
    let other = Indoors::open(dir.path(), &format!("{OTHER_MASTER_KEY},{MASTER_KEY}"), &[]).await.unwrap();
    let waits = in_state(&other.service, KeyState::Pending).await;
    other.service.revoke_key(&other.caller, &waits).await.unwrap();
    other.close().await;
    let own = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    (dir, own)
}

/// R-REV-02: a key that nobody is told of any more wakes nobody, and silence stays bounded.
#[tokio::test]
async fn long_after_a_key_was_compromised_watchers_hear_heartbeats_and_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let service = &indoors.service;
    let active = in_state(service, KeyState::Active).await;
    service.revoke_key(&indoors.caller, &active).await.unwrap();
    indoors.clock.advance(Duration::from_secs(31 * 86_400));
    let watch = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        service.feed.forget();
        let mut watcher = service.feed.watch(None, TOKEN).unwrap();
        assert!(matches!(watcher.next().await.unwrap(), Event::SnapshotEnd(0, _)));
        let next = timeout(Duration::from_secs(15), watcher.next()).await.expect("no heartbeat in time").unwrap();
        assert!(matches!(next, Event::Heartbeat(..)), "{next:?}");
    };
    tokio::select! {
        () = watch => {}
        _ = service.follow() => {}
    }
}

/// R-REV-02: that this is everything is said only by a replica that can know it.
#[tokio::test]
async fn a_snapshot_ends_only_where_the_database_has_been_heard_of() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let feed = &indoors.service.feed;
    indoors.clock.advance(Duration::from_secs(16));
    let mut watcher = feed.watch(None, TOKEN).unwrap();
    assert!(timeout(Duration::from_millis(300), watcher.next()).await.is_err(), "told as complete, unheard");
    feed.follow().await.unwrap();
    let end = timeout(Duration::from_secs(1), watcher.next()).await.expect("nobody wakes it").unwrap();
    assert!(matches!(end, Event::SnapshotEnd(0, _)), "{end:?}");
}

/// R-KEY-06
#[tokio::test]
async fn a_key_that_this_replica_cannot_open_is_not_made_to_sign_by_it() {
    let (_dir, indoors) = Box::pin(with_a_foreign_key_waiting()).await;
    let service = &indoors.service;
    let refused = service.rotate_key(&indoors.caller, true).await;
    assert!(matches!(refused, Err(Error::SigningUnavailable(_))));
    service.rotate_key(&indoors.caller, false).await.unwrap();
    indoors.clock.advance(Duration::from_secs(31 * 86_400));
    service.keyring.tend().await.unwrap();
    assert!(service.can_sign().is_ok(), "it has put itself out of service");
}

/// R-KEY-06
#[tokio::test]
async fn a_replica_signs_again_once_the_key_is_sealed_for_it() {
    let (_dir, indoors) = Box::pin(with_a_foreign_key_waiting()).await;
    let service = &indoors.service;
    let active = in_state(service, KeyState::Active).await;
    // One that signs for a thief must not go on, whoever can open the next.
    service.revoke_key(&indoors.caller, &active).await.unwrap();
    assert!(service.can_sign().is_err());
    let both = MasterKeys::parse(&format!("{MASTER_KEY},{OTHER_MASTER_KEY}")).unwrap();
    let issuer = service.store.identity().await.unwrap().issuer;
    for key in service.store.signing_keys(false).await.unwrap() {
        let Some(sealed) = key.sealed else { continue };
        let public = &key.member.public;
        let opened = SigningKey::open(&both, &issuer, public, &sealed).ok().unwrap();
        let anew = opened.seal(&both, &issuer, &Dice::seeded(3));
        assert!(service.store.reseal_key(public.key_id(), &sealed, &anew).await.unwrap());
    }
    service.keyring.tend().await.unwrap();
    assert!(service.can_sign().is_ok());
}

/// R-KEY-05: a row that somebody spoiled takes nothing away but its own key.
#[tokio::test]
async fn a_key_that_cannot_be_read_is_left_out_and_the_others_are_followed() {
    for spoiled in [KeyState::Pending, KeyState::Retiring] {
        let dir = tempfile::tempdir().unwrap();
        let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
        indoors.service.rotate_key(&indoors.caller, true).await.unwrap();
        let active = in_state(&indoors.service, KeyState::Active).await;
        let key_id = in_state(&indoors.service, spoiled).await;
        indoors.close().await;
        let database = raw(&dir.path().join("symbolon.db")).await;
        let spoil = format!("UPDATE signing_keys SET public_key = X'00' WHERE key_id = '{key_id}'");
        database.execute_unprepared(&spoil).await.unwrap();

        let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.expect("what is spoiled does not sign");
        let Indoors { service, clock, caller } = &indoors;
        assert!(service.can_sign().is_ok() && service.keyring.ring().verifying_key(&key_id).is_none());
        // A month later nothing is rotated: what is due is not known.
        clock.advance(Duration::from_secs(31 * 86_400));
        service.keyring.tend().await.unwrap();
        assert_eq!(in_state(service, KeyState::Active).await, active);
        // But a compromised key is out at once.
        service.revoke_key(caller, &active).await.ok();
        assert!(service.keyring.ring().verifying_key(&active).is_none());
        database.close().await.unwrap();
    }
}

/// R-KEY-05: also if it is the one that signs, as long as somebody runs who knows it.
#[tokio::test]
async fn a_server_goes_on_signing_with_a_key_whose_row_was_spoiled() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let active = in_state(&indoors.service, KeyState::Active).await;
    let database = raw(&dir.path().join("symbolon.db")).await;
    database.execute_unprepared("UPDATE signing_keys SET algorithm = 'none' WHERE state = 'active'").await.unwrap();
    indoors.service.keyring.tend().await.unwrap();
    assert!(indoors.service.can_sign().is_ok());
    assert!(indoors.service.keyring.ring().verifying_key(&active).is_some());
    indoors.close().await;
    let refused = Indoors::open(dir.path(), MASTER_KEY, &[]).await.err().expect("it starts").to_string();
    assert!(refused.contains(&active), "{refused}");
    database.close().await.unwrap();
}

/// R-REV-02: a watch ends after half an hour, so that replicas share their watchers evenly.
#[tokio::test]
async fn a_watch_lasts_half_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let feed = &indoors.service.feed;
    feed.follow().await.unwrap();
    let mut watcher = feed.watch(None, TOKEN).unwrap();
    assert!(matches!(watcher.next().await.unwrap(), Event::SnapshotEnd(0, _)));
    indoors.clock.advance(Duration::from_secs(1800));
    feed.follow().await.unwrap();
    assert!(timeout(Duration::from_millis(300), watcher.next()).await.is_err(), "before its time");
    indoors.clock.advance(Duration::from_secs(1));
    let over = timeout(Duration::from_secs(1), watcher.next()).await.expect("it is not told");
    assert!(matches!(over, Err(Error::ShuttingDown)), "{over:?}");
}

/// R-KEY-02: whoever lost the answer asks again, and verifiers have one new key to learn, not two.
#[tokio::test]
async fn a_rehearsal_that_is_retried_rotates_once() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let rotate = async || {
        let view = indoors.service.rotate_key(&indoors.caller, true).await.unwrap();
        assert_eq!(view.key.state, KeyState::Active);
        view.key.public.key_id().to_owned()
    };
    let first = rotate().await;
    assert_eq!(rotate().await, first);
    indoors.clock.advance(Duration::from_secs(60));
    assert_ne!(rotate().await, first);
}

/// R-KEY-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_does_not_come_back_with_an_older_reading_of_the_ring() {
    let dir = tempfile::tempdir().unwrap();
    let Indoors { service, caller, .. } = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let service = Arc::new(service);
    let tenders = [0; 3].map(|_| {
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            loop {
                let _ = service.keyring.tend().await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    });
    for round in 0..100 {
        let active = in_state(&service, KeyState::Active).await;
        service.revoke_key(&caller, &active).await.unwrap();
        for _ in 0..20 {
            let signer = service.keyring.ring().signer().unwrap().public().key_id().to_owned();
            assert_ne!(signer, active, "round {round}");
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    }
    for tender in tenders {
        tender.abort();
    }
}
