use std::time::Duration;

use futures_util::future::join_all;
use symbolon::keys::ring::KeyState;
use symbolon::keys::seal::Sealed;
use symbolon::keys::signing_key::PublicKey;
use symbolon::keys::{MasterKeys, SigningKey};
use symbolon::store::{Error, Store, StoredKey};
use symbolon::time::Timestamp;
use uuid::Uuid;

use super::at;
use crate::support::{Database, Dice, MASTER_KEY};

/// A fresh key, and its private half sealed.
fn fresh(dice: &Dice) -> (PublicKey, Sealed) {
    let key = SigningKey::generate(dice);
    (key.public().clone(), key.seal(&MasterKeys::parse(MASTER_KEY).unwrap(), "https://a", dice))
}

async fn publish(store: &Store, dice: &Dice, now: Timestamp) -> String {
    let (public, sealed) = fresh(dice);
    assert!(store.publish_key(&public, &sealed, now).await.unwrap());
    public.key_id().to_owned()
}

async fn state_of(store: &Store, key_id: &str) -> StoredKey {
    let keys = store.signing_keys(true).await.unwrap();
    keys.into_iter().find(|key| key.member.public.key_id() == key_id).unwrap()
}

/// How many did it.
async fn at_once(deeds: impl Iterator<Item = impl Future<Output = Result<bool, Error>>>) -> usize {
    join_all(deeds).await.into_iter().filter(|done| *done.as_ref().unwrap()).count()
}

/// R-KEY-01
#[tokio::test]
async fn of_many_signing_keys_published_at_once_one_is() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let keys: Vec<_> = (0..10).map(|_| fresh(&dice)).collect();
        assert_eq!(at_once(keys.iter().map(|(public, sealed)| store.publish_key(public, sealed, at(0)))).await, 1);
        let stored = store.signing_keys(true).await.unwrap();
        assert_eq!(stored.len(), 1, "{kind}");
        let (_, sealed) = keys.iter().find(|(public, _)| *public == stored[0].member.public).unwrap();
        let expected = (KeyState::Pending, Some(sealed), at(0));
        assert_eq!(
            (stored[0].member.state, stored[0].sealed.as_ref(), stored[0].member.created_at),
            expected,
            "{kind}"
        );
    }
}

/// R-KEY-01
#[tokio::test]
async fn a_key_goes_from_pending_to_gone_and_each_step_is_taken_once_however_many_take_it() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let first = publish(store, &dice, at(0)).await;
        assert_eq!(at_once((0..10).map(|_| store.activate_key(&first, None, at(1)))).await, 1, "{kind}");
        let second = publish(store, &dice, at(2)).await;
        assert_eq!(at_once((0..10).map(|_| store.ask_for_key(&second, at(3)))).await, 1, "{kind}");
        assert!(!store.ask_for_key(&first, at(3)).await.unwrap(), "{kind}");
        assert!(!store.bury_key(&first, at(3)).await.unwrap(), "{kind}");
        assert_eq!(at_once((0..10).map(|_| store.activate_key(&second, Some(&first), at(4)))).await, 1, "{kind}");
        assert_eq!(at_once((0..10).map(|_| store.bury_key(&first, at(5)))).await, 1, "{kind}");

        let StoredKey { member, sealed } = state_of(store, &first).await;
        let times = (member.created_at, member.activated_at, member.retired_at, member.ended_at);
        assert_eq!(times, (at(0), Some(at(1)), Some(at(4)), Some(at(5))), "{kind}");
        // A private half that nobody signs with any more is nobody's to steal.
        assert_eq!((member.state, sealed), (KeyState::Gone, None), "{kind}");
        let StoredKey { member, sealed } = state_of(store, &second).await;
        assert_eq!((member.state, member.asked_at, member.activated_at), (KeyState::Active, Some(at(3)), Some(at(4))));
        assert!(sealed.is_some(), "{kind}");
        assert_eq!(store.signing_keys(false).await.unwrap().len(), 1, "{kind}");
    }
}

/// R-KEY-01: a replica that thinks of a ring as it was changes nothing, not even half of it.
#[tokio::test]
async fn a_key_is_activated_in_the_place_of_the_one_that_signs_and_of_no_other() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let first = publish(store, &dice, at(0)).await;
        store.activate_key(&first, None, at(1)).await.unwrap();
        let second = publish(store, &dice, at(2)).await;
        let before = store.signing_keys(true).await.unwrap();
        assert!(!store.activate_key("nobody", Some(&first), at(3)).await.unwrap(), "{kind}");
        assert!(!store.activate_key(&second, Some("nobody"), at(3)).await.unwrap(), "{kind}");
        assert!(!store.activate_key(&first, Some(&first), at(3)).await.unwrap(), "{kind}");
        // Two that sign are refused by the database itself.
        assert!(store.activate_key(&second, None, at(3)).await.is_err(), "{kind}");
        assert_eq!(store.signing_keys(true).await.unwrap(), before, "{kind}");
    }
}

/// R-KEY-03
#[tokio::test]
async fn a_compromised_key_is_out_of_use_and_its_successor_signs() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let first = publish(store, &dice, at(0)).await;
        store.activate_key(&first, None, at(1)).await.unwrap();
        let second = publish(store, &dice, at(2)).await;
        let seen = state_of(store, &first).await.member;
        let compromising = (0..10).map(|_| store.compromise_key(&seen, Some(&second), at(3)));
        assert_eq!(at_once(compromising).await, 1, "{kind}");
        let StoredKey { member, sealed } = state_of(store, &first).await;
        assert_eq!(
            (member.state, member.retired_at, member.ended_at),
            (KeyState::Compromised, Some(at(3)), Some(at(3)))
        );
        assert_eq!(sealed, None, "{kind}");
        assert_eq!(state_of(store, &second).await.member.state, KeyState::Active, "{kind}");
    }
}

/// R-KEY-06
#[tokio::test]
async fn a_private_half_is_sealed_anew_only_in_the_place_of_the_one_that_was_read() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let key_id = publish(store, &dice, at(0)).await;
        let before = state_of(store, &key_id).await.sealed.unwrap();
        let [after, later] = [2, 3].map(|id| Sealed { master_key_id: id, bytes: vec![id; 80] });
        assert!(store.reseal_key(&key_id, &before, &after).await.unwrap(), "{kind}");
        assert!(!store.reseal_key(&key_id, &before, &later).await.unwrap(), "{kind}");
        assert_eq!(state_of(store, &key_id).await.sealed, Some(after), "{kind}");
    }
}

/// R-KEY-02: how long keys verify.
#[tokio::test]
async fn the_longest_life_of_an_access_token_is_remembered_and_never_shortened() {
    for Database { store, kind, .. } in &Database::each().await {
        store.identify("https://a", Uuid::from_u128(1)).await.unwrap();
        for (granted, longest) in [(900, 900), (60, 900), (3600, 3600), (900, 3600)] {
            store.remember_access_token_ttl(Duration::from_secs(granted)).await.unwrap();
            let identity = store.identity().await.unwrap();
            assert_eq!(identity.longest_access_token_ttl.as_secs(), longest, "{kind}");
        }
    }
}

/// R-KEY-05
#[tokio::test]
async fn a_database_belongs_to_whoever_identified_it_first() {
    for Database { store, kind, .. } in &Database::each().await {
        let [first, second] = [1, 2].map(Uuid::from_u128);
        let identity = store.identify("https://a", first).await.unwrap();
        assert_eq!((identity.issuer.as_str(), identity.epoch), ("https://a", first), "{kind}");
        for issuer in ["https://a", "https://b"] {
            let identity = store.identify(issuer, second).await.unwrap();
            assert_eq!((identity.issuer.as_str(), identity.epoch), ("https://a", first), "{kind}");
        }
    }
}

/// R-KEY-05
#[tokio::test]
async fn a_master_key_is_known_by_its_check_value_for_ever() {
    for Database { store, kind, .. } in &Database::each().await {
        for (id, check_value, expected) in [
            (1, [1; 8], true),
            (1, [1; 8], true),
            (1, [2; 8], false),
            (1, [1, 1, 1, 1, 1, 1, 1, 0], false),
            (255, [2; 8], true),
            (2, [1; 8], true),
            (1, [1; 8], true),
            (255, [1; 8], false),
        ] {
            let recognised = store.recognise_master_key(id, check_value).await.unwrap();
            assert_eq!(recognised, expected, "{kind} {id} {check_value:?}");
        }
    }
}
