use symbolon::session::{Chain, DecisionKind, Device, Session, decision::KEPT};
use symbolon::store::Store;

use super::{at, bare, decision, revocation};
use crate::support::{Database, Dice};

/// The deeds that compare before they swap.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Rotate,
    Recover,
    Condemn,
    Update,
}

const DEEDS: [Deed; 4] = [Deed::Rotate, Deed::Recover, Deed::Condemn, Deed::Update];

impl Deed {
    async fn on(self, store: &Store, seen: &Session) -> bool {
        let chain = Chain { generation: seen.chain.generation + 1, rotated_at: at(50), ..seen.chain };
        let device = Device { label: Some("another".to_owned()), ..seen.device.clone() };
        let claims = serde_json::Map::from_iter([("role".to_owned(), "admin".into())]);
        let done = match self {
            Self::Rotate => store.advance(seen, &chain, &device, None).await,
            Self::Recover => {
                store.advance(seen, &chain, &device, Some(decision(at(50), DecisionKind::Recovered))).await
            }
            Self::Condemn => {
                store.condemn(seen, &revocation(at(50)), decision(at(50), DecisionKind::ReuseDetected)).await
            }
            Self::Update => {
                let label = Some("new".to_owned());
                store.update(seen, Some(&claims), Some(&label), decision(at(50), DecisionKind::Updated)).await
            }
        };
        done.unwrap()
    }
}

/// A session in the middle of its life.
async fn stored(store: &Store, dice: &Dice) -> Session {
    let mut session = bare(dice, "alice", at(0));
    session.chain = Chain { generation: 5, recovered_generation: 4, recovery_streak: 1, ..session.chain };
    session.decisions = vec![decision(at(1), DecisionKind::Recovered)];
    store.create(&session, None).await.unwrap();
    session
}

/// How the session that was seen differs from the one stored.
type Change = fn(&mut Session);

async fn read(store: &Store, session: &Session) -> Session {
    store.session(session.id).await.unwrap().unwrap()
}

/// R-RT-12
#[tokio::test]
async fn a_deed_on_a_session_that_moved_on_does_nothing_and_says_so() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let changes: [(&str, Change); 5] = [
            ("generation", |seen| seen.chain.generation -= 1),
            ("generation", |seen| seen.chain.generation += 1),
            ("recovered_generation", |seen| seen.chain.recovered_generation = 5),
            ("recovered_generation", |seen| seen.chain.recovered_generation = 0),
            ("recovery_streak", |seen| seen.chain.recovery_streak = 0),
        ];
        for deed in DEEDS {
            for (field, change) in changes {
                let session = stored(store, &dice).await;
                let mut seen = session.clone();
                change(&mut seen);
                assert!(!deed.on(store, &seen).await, "{kind} {deed:?} {field}");
                assert_eq!(read(store, &session).await, session, "{kind} {deed:?} {field}");
            }
        }
    }
}

/// R-RT-05
#[tokio::test]
async fn a_deed_on_a_session_that_was_ended_meanwhile_does_nothing_and_says_so() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        for deed in DEEDS {
            let seen = stored(store, &dice).await;
            assert!(store.end(seen.id, &revocation(at(2))).await.unwrap());
            let ended = read(store, &seen).await;
            assert!(!deed.on(store, &seen).await, "{kind} {deed:?}");
            assert_eq!(read(store, &seen).await, ended, "{kind} {deed:?}");
        }
    }
}

/// R-RT-12
#[tokio::test]
async fn a_deed_on_the_session_as_it_stands_changes_what_it_names_and_nothing_else() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        for deed in DEEDS {
            let mut expected = stored(store, &dice).await;
            let neighbour = stored(store, &dice).await;
            assert!(deed.on(store, &expected).await, "{kind} {deed:?}");
            let after = read(store, &expected).await;
            match deed {
                Deed::Rotate | Deed::Recover => {
                    expected.chain.generation = 6;
                    expected.chain.rotated_at = at(50);
                    expected.device.label = Some("another".to_owned());
                }
                Deed::Condemn => expected.revocation = Some(revocation(at(50))),
                Deed::Update => {
                    expected.claims.insert("role".to_owned(), "admin".into());
                    expected.device.label = Some("new".to_owned());
                }
            }
            let remembered = match deed {
                Deed::Rotate => None,
                Deed::Recover => Some(DecisionKind::Recovered),
                Deed::Condemn => Some(DecisionKind::ReuseDetected),
                Deed::Update => Some(DecisionKind::Updated),
            };
            expected.decisions.extend(remembered.map(|kind| decision(at(50), kind)));
            assert_eq!(after, expected, "{kind} {deed:?}");
            assert_eq!(read(store, &neighbour).await, neighbour, "{kind} {deed:?}");
        }
    }
}

/// R-RT-12
#[tokio::test]
async fn of_many_deeds_at_once_on_one_state_exactly_one_is_done() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        for round in 0..10 {
            let seen = stored(store, &dice).await;
            let deeds = (0..20).map(|at| DEEDS[at % 3].on(store, &seen));
            let done = futures_util::future::join_all(deeds).await;
            assert_eq!(done.iter().filter(|done| **done).count(), 1, "{kind} {round}");
        }
    }
}

/// R-RT-12
#[tokio::test]
async fn an_update_that_leaves_something_unset_leaves_it_as_it_is_and_can_remove_a_label() {
    for Database { store, kind, .. } in &Database::each().await {
        let mut session = bare(&Dice::seeded(1), "alice", at(0));
        session.claims.insert("role".to_owned(), "user".into());
        session.device.label = Some("old".to_owned());
        store.create(&session, None).await.unwrap();
        let note = || decision(at(1), DecisionKind::Updated);

        assert!(store.update(&session, None, None, note()).await.unwrap());
        session.decisions.push(note());
        assert_eq!(read(store, &session).await, session, "{kind}");

        assert!(store.update(&session, Some(&serde_json::Map::new()), Some(&None), note()).await.unwrap());
        session.decisions.push(note());
        session.claims.clear();
        session.device.label = None;
        assert_eq!(read(store, &session).await, session, "{kind}");
    }
}

/// R-RT-11
#[tokio::test]
async fn a_row_keeps_its_last_decisions_only() {
    for Database { store, kind, .. } in &Database::each().await {
        let session = bare(&Dice::seeded(1), "alice", at(0));
        store.create(&session, None).await.unwrap();
        for second in 0..40 {
            let seen = read(store, &session).await;
            assert!(store.update(&seen, None, None, decision(at(second), DecisionKind::Updated)).await.unwrap());
        }
        let kept = read(store, &session).await.decisions;
        assert_eq!((kept.len(), kept[0].at, kept[KEPT - 1].at), (KEPT, at(24), at(39)), "{kind}");
    }
}
