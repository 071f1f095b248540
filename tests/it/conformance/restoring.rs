//! R-OPS-11: what is done to a database that came back from a backup.

use symbolon::audit::Audit;
use symbolon::service::restore::restore;
use symbolon::session::{RevokeReason, Session};
use uuid::Uuid;

use super::{at, bare, revocation};
use crate::support::{Database, Dice};

const NEW: Uuid = Uuid::from_u128(0x4ea1_0000_0000_8000_0000_0000_0000_0001);

#[tokio::test]
async fn every_session_is_ended_as_rolled_back_whatever_the_time_and_once_is_enough() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        store.identify("https://a", Uuid::from_u128(1)).await.unwrap();
        let live = bare(&dice, "alice", at(0));
        let revoked = Session { revocation: Some(revocation(at(1))), ..bare(&dice, "alice", at(0)) };
        // It was not refreshed in time; or it was, and the database has lost that.
        let mut idle = bare(&dice, "alice", at(0));
        idle.chain.idle_expires_at = at(10);
        let over = Session { expires_at: at(59), ..bare(&dice, "alice", at(0)) };
        for session in [&live, &revoked, &idle, &over] {
            store.create(session, None).await.unwrap();
        }
        let restore = async |time| restore(store, &Audit::default(), NEW, time, false).await.unwrap();
        assert_eq!(restore(at(60)).await, 3, "{kind}");
        assert_eq!(restore(at(61)).await, 0, "{kind}: again");
        assert_eq!(store.identity().await.unwrap().epoch, NEW, "{kind}");
        for (session, expected) in [
            (&live, Some(RevokeReason::RolledBack)),
            (&idle, Some(RevokeReason::RolledBack)),
            (&revoked, Some(RevokeReason::Administrator)),
            (&over, Some(RevokeReason::RolledBack)),
        ] {
            let revocation = store.session(session.id).await.unwrap().unwrap().revocation;
            assert_eq!(revocation.map(|revocation| revocation.reason), expected, "{kind}");
        }
    }
}

#[tokio::test]
async fn more_sessions_than_are_looked_at_at_once_are_all_ended_and_ended_ones_are_passed_over_in_portions() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        store.identify("https://a", Uuid::from_u128(1)).await.unwrap();
        for number in 0..7 {
            store.create(&bare(&dice, "alice", at(number)), None).await.unwrap();
        }
        for expected in [[3, 3, 1], [0, 0, 0]] {
            let (mut last, mut portions) = (None, Vec::new());
            while let Some((count, behind)) = store.end_every(last, &revocation(at(60)), 3).await.unwrap() {
                last = Some(behind);
                portions.push(count);
            }
            assert_eq!(portions, expected, "{kind}");
        }
    }
}

/// Whoever wants no session ended gets another epoch all the same.
#[tokio::test]
async fn sessions_are_kept_if_that_is_asked_for() {
    for Database { store, kind, .. } in &Database::each().await {
        let session = bare(&Dice::seeded(1), "alice", at(0));
        store.identify("https://a", Uuid::from_u128(1)).await.unwrap();
        store.create(&session, None).await.unwrap();
        assert_eq!(restore(store, &Audit::default(), NEW, at(60), true).await.unwrap(), 0, "{kind}");
        assert_eq!(store.session(session.id).await.unwrap().unwrap(), session, "{kind}");
        assert_eq!(store.identity().await.unwrap().epoch, NEW, "{kind}");
        assert!(!store.identity().await.unwrap().is_being_restored());
        store.begin_restore().await.unwrap();
        assert!(store.identity().await.unwrap().is_being_restored(), "{kind}");
    }
}
