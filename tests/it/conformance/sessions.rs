use symbolon::session::{Revocation, RevokeReason, SessionId, State};

use super::{at, bare, revocation, whole};
use crate::support::{Database, Dice};

/// R-SES-03
#[tokio::test]
async fn a_session_comes_back_as_it_was_stored() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        for session in [whole(&dice), bare(&dice, "alice", at(0))] {
            store.create(&session, None).await.unwrap();
            assert_eq!(store.session(session.id).await.unwrap().as_ref(), Some(&session), "{kind}");
        }
    }
}

/// R-SES-03
#[tokio::test]
async fn every_reason_to_end_comes_back_as_it_was_stored() {
    use RevokeReason as R;
    let reasons = [
        R::SignedOut,
        R::SignedOutElsewhere,
        R::CredentialsChanged,
        R::AccountDisabled,
        R::Administrator,
        R::Superseded,
        R::ReuseDetected,
        R::SessionLimit,
        R::RolledBack,
    ];
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        for reason in reasons {
            let session = bare(&dice, "alice", at(0));
            store.create(&session, None).await.unwrap();
            let ended = Revocation { at: at(1), reason, by: "somebody".to_owned() };
            assert!(store.end(session.id, &ended).await.unwrap());
            let stored = store.session(session.id).await.unwrap().unwrap();
            assert_eq!(stored.revocation, Some(ended), "{kind}");
        }
    }
}

/// R-RT-05
#[tokio::test]
async fn an_unknown_session_is_none_and_cannot_be_ended() {
    for Database { store, kind, .. } in &Database::each().await {
        let unknown = SessionId::new(0, at(0), [7; 8]);
        assert_eq!(store.session(unknown).await.unwrap(), None, "{kind}");
        assert!(!store.end(unknown, &revocation(at(1))).await.unwrap(), "{kind}");
    }
}

/// R-SES-02
#[tokio::test]
async fn ending_a_session_twice_changes_it_once() {
    for Database { store, kind, .. } in &Database::each().await {
        let session = bare(&Dice::seeded(1), "alice", at(0));
        store.create(&session, None).await.unwrap();
        let first = Revocation { reason: RevokeReason::SignedOut, ..revocation(at(1)) };
        assert!(store.end(session.id, &first).await.unwrap(), "{kind}");
        assert!(!store.end(session.id, &revocation(at(2))).await.unwrap(), "{kind}");
        let stored = store.session(session.id).await.unwrap().unwrap();
        assert_eq!(stored.revocation, Some(first), "{kind}");
    }
}

/// R-SES-02
#[tokio::test]
async fn of_many_who_end_a_session_at_once_one_does() {
    for Database { store, kind, .. } in &Database::each().await {
        let session = bare(&Dice::seeded(1), "alice", at(0));
        store.create(&session, None).await.unwrap();
        let (id, ending) = (session.id, revocation(at(1)));
        let ended = futures_util::future::join_all((0..20).map(|_| store.end(id, &ending))).await;
        assert_eq!(ended.into_iter().filter(|ended| *ended.as_ref().unwrap()).count(), 1, "{kind}");
    }
}

/// R-RT-07
#[tokio::test]
async fn ending_listing_and_ending_all_mean_by_live_what_the_session_itself_means_to_the_millisecond() {
    use super::lists::{listed, of};
    for database in &Database::each().await {
        let store = &database.store;
        let dice = Dice::seeded(1);
        let end = at(1000);
        for by_idle in [true, false] {
            // The last moment is a second before the end: a millisecond to both sides of it.
            for before_the_end in [999, 1000, 1001] {
                let now = symbolon::time::Timestamp::from_millis(end.millis() - before_the_end);
                let mut session = bare(&dice, &format!("{by_idle} {before_the_end}"), at(0));
                if by_idle {
                    session.chain.idle_expires_at = end;
                } else {
                    session.expires_at = end;
                }
                store.create(&session, None).await.unwrap();
                let live = session.state(now) == State::Active;
                assert_eq!(live, before_the_end >= 1000);

                let selection = of(&session.subject);
                let ids = listed(store, selection, Some(now)).await;
                assert_eq!(ids == [session.id], live, "{} list {}", database.kind, session.subject);
                let mut twin = session.clone();
                twin.id = SessionId::new(0, at(1), dice.next().to_le_bytes());
                store.create(&twin, None).await.unwrap();
                let ended = store.end(twin.id, &revocation(now)).await.unwrap();
                assert_eq!(ended, live, "{} end {}", database.kind, session.subject);
                let ended = store.end_all(selection, Some(twin.id), now, &revocation(now)).await.unwrap();
                assert_eq!(ended.len() == 1, live, "{} end_all {}", database.kind, session.subject);
            }
        }
    }
}
