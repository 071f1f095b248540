//! Everything is copied from one kind of database into another, and nothing into one that is not empty.

use std::time::Duration;

use symbolon::entropy::SystemEntropy;
use symbolon::keys::{MasterKeys, SigningKey};
use symbolon::store::{Copied, IssueRequest, Issued, Position};
use uuid::Uuid;

use super::{at, bare, whole};
use crate::support::{Database, Dice, MASTER_KEY};

#[tokio::test]
async fn everything_is_copied_from_each_kind_into_each_other_one_and_once() {
    for from in &Database::each().await {
        for into in &Database::each().await {
            let how = format!("{} into {}", from.kind, into.kind);
            let dice = Dice::seeded(1);
            let keys = MasterKeys::parse(MASTER_KEY).unwrap();
            if from.store.identify("https://a", Uuid::from_u128(7)).await.unwrap().longest_access_token_ttl.is_zero() {
                from.store.remember_access_token_ttl(Duration::from_secs(77)).await.unwrap();
                from.store.recognise_master_key(1, keys.first().check_value()).await.unwrap();
                let key = SigningKey::generate(&SystemEntropy);
                let sealed = key.seal(&keys, "https://a", &SystemEntropy);
                from.store.publish_key(key.public(), &sealed, at(0)).await.unwrap();
                let request = IssueRequest { request_id: Uuid::from_u128(1), digest: [7; 32] };
                from.store.create(&whole(&dice), Some(&request)).await.unwrap();
                // More than go at once.
                for number in 0..1001 {
                    let request = IssueRequest { request_id: Uuid::from_u128(number), digest: [8; 32] };
                    let bob = bare(&dice, "bob", at(1));
                    assert!(matches!(from.store.create(&bob, Some(&request)).await.unwrap(), Issued::Created));
                }
            }
            let copied = from.store.copy_into(&into.store).await.unwrap();
            assert_eq!(copied, Copied { sessions: 1002, request_ids: 1002, signing_keys: 1 }, "{how}");
            let [one, other] = [&from.store, &into.store].map(async |store| {
                let ended = store.ended(Position::at(at(0)), 9).await.unwrap();
                let whole = store.session(ended[0].id).await.unwrap().unwrap();
                let identity = format!("{:?}", store.identity().await.unwrap());
                (whole, store.signing_keys(true).await.unwrap(), identity)
            });
            assert_eq!(one.await, other.await, "{how}");
            assert!(into.store.recognise_master_key(1, keys.first().check_value()).await.unwrap(), "{how}");
            assert!(!into.store.recognise_master_key(1, [0; 8]).await.unwrap(), "{how}");
            let again = from.store.copy_into(&into.store).await.unwrap_err().to_string();
            assert!(again.contains("is not empty"), "{how}: {again}");
        }
    }
}

#[tokio::test]
async fn of_a_database_no_server_ever_started_on_nothing_is_copied() {
    let (from, into) = (Database::each().await, Database::each().await);
    let refused = from[0].store.copy_into(&into[1].store).await.unwrap_err().to_string();
    assert!(refused.contains("no server has ever started on it"), "{refused}");
}
