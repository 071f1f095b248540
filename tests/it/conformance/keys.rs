use symbolon::keys::ring::KeyState;
use symbolon::keys::{MasterKeys, SigningKey};
use symbolon::store::StoredKey;
use uuid::Uuid;

use super::at;
use crate::support::{Database, Dice, MASTER_KEY};

fn offered(dice: &Dice) -> StoredKey {
    let keys = MasterKeys::parse(MASTER_KEY).unwrap();
    let key = SigningKey::generate(dice);
    StoredKey { public: key.public().clone(), state: KeyState::Active, sealed: key.seal(&keys, "https://a", dice) }
}

/// R-KEY-01
#[tokio::test]
async fn of_many_signing_keys_offered_at_once_one_is_active() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let offers: Vec<_> = (0..10).map(|_| offered(&dice)).collect();
        let offering = offers.iter().map(|key| store.offer_active_key(key, at(0)));
        for offered in futures_util::future::join_all(offering).await {
            offered.unwrap();
        }
        let stored = store.signing_keys().await.unwrap();
        assert_eq!(stored.len(), 1, "{kind}");
        let offer = offers.iter().find(|offer| offer.public == stored[0].public).unwrap();
        assert_eq!((stored[0].state, &stored[0].sealed), (KeyState::Active, &offer.sealed), "{kind}");

        store.offer_active_key(&offered(&dice), at(1)).await.unwrap();
        let later = store.signing_keys().await.unwrap();
        assert_eq!((later.len(), &later[0].public), (1, &stored[0].public), "{kind}");
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
