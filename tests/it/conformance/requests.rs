use symbolon::session::Session;
use symbolon::store::{IssueRequest, Issued};
use uuid::Uuid;

use super::lists::{listed, of};
use super::{at, bare};
use crate::support::{Database, Dice};

pub(super) fn request(id: u128, digest: u8) -> IssueRequest {
    IssueRequest { request_id: Uuid::from_u128(id), digest: [digest; 32] }
}

/// R-RT-09
#[tokio::test]
async fn a_request_id_makes_one_session_and_remembers_which() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let first = bare(&dice, "alice", at(0));
        let again = bare(&dice, "alice", at(5));
        assert!(matches!(store.create(&first, Some(&request(1, 1))).await.unwrap(), Issued::Created), "{kind}");
        for (digest, same) in [(1, true), (2, false)] {
            let Issued::Before { session_id, same_request, at: when } =
                store.create(&again, Some(&request(1, digest))).await.unwrap()
            else {
                panic!("{kind}: a second session of one request")
            };
            assert_eq!((session_id, same_request, when), (first.id, same, at(0)), "{kind}");
        }
        assert_eq!(store.session(again.id).await.unwrap(), None, "{kind}");
    }
}

/// R-RT-09
#[tokio::test]
async fn a_request_id_is_the_callers_own_and_for_one_subject() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let alice = bare(&dice, "alice", at(0));
        let others = [
            (Session { ..bare(&dice, "bob", at(0)) }, 1),
            (Session { caller: "backend".to_owned(), ..bare(&dice, "alice", at(0)) }, 1),
            (bare(&dice, "alice", at(0)), 2),
        ];
        store.create(&alice, Some(&request(1, 1))).await.unwrap();
        for (other, id) in others {
            assert!(matches!(store.create(&other, Some(&request(id, 1))).await.unwrap(), Issued::Created), "{kind}");
            assert_eq!(store.session(other.id).await.unwrap(), Some(other), "{kind}");
        }
    }
}

/// R-RT-09
#[tokio::test]
async fn of_many_with_one_request_id_at_once_one_makes_the_session_and_the_others_are_told_of_it() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let request = request(1, 1);
        let sessions: Vec<_> = (0..20).map(|_| bare(&dice, "alice", at(0))).collect();
        let outcomes =
            futures_util::future::join_all(sessions.iter().map(|session| store.create(session, Some(&request)))).await;
        let stored = listed(store, of("alice"), None).await;
        assert_eq!(stored.len(), 1, "{kind}");
        let mut created = 0;
        for outcome in outcomes {
            match outcome.unwrap() {
                Issued::Created => created += 1,
                Issued::Before { session_id, same_request, .. } => {
                    assert_eq!((session_id, same_request), (stored[0], true), "{kind}");
                }
            }
        }
        assert_eq!(created, 1, "{kind}");
    }
}

/// R-RT-09
#[tokio::test]
async fn a_session_that_cannot_be_stored_leaves_its_request_id_unused() {
    for database in &Database::each().await {
        let (store, kind) = (&database.store, database.kind);
        let dice = Dice::seeded(1);
        // The insert fails behind the one of the request id.
        database.execute("ALTER TABLE sessions RENAME TO sessions_away").await;
        assert!(store.create(&bare(&dice, "bob", at(0)), Some(&request(1, 1))).await.is_err(), "{kind}");
        database.execute("ALTER TABLE sessions_away RENAME TO sessions").await;
        let retried = bare(&dice, "bob", at(1));
        assert!(matches!(store.create(&retried, Some(&request(1, 1))).await.unwrap(), Issued::Created), "{kind}");
    }
}
