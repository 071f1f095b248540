use symbolon::session::{Session, SessionId};
use symbolon::store::{Selection, Store};
use symbolon::time::Timestamp;

use super::{at, bare, revocation};
use crate::support::{Database, Dice};

/// Every session of a subject.
pub(super) fn of(subject: &str) -> Selection<'_> {
    Selection { subject, clients: None, client_id: None }
}

/// The ids of the first thousand.
pub(super) async fn listed(store: &Store, selection: Selection<'_>, live_at: Option<Timestamp>) -> Vec<SessionId> {
    let sessions = store.list(selection, live_at, None, 1000).await.unwrap();
    sessions.into_iter().map(|session| session.id).collect()
}

/// The clients chosen from, the one chosen, and those whose sessions that are.
type Case<'a> = (Option<&'a [&'a str]>, Option<&'a str>, &'a [&'a str]);

/// Ten sessions of alice, of three clients in turn, a second apart; and one of bob. Oldest first.
async fn ten(store: &Store) -> Vec<Session> {
    let dice = Dice::seeded(1);
    let mut sessions = Vec::new();
    for second in 0..10 {
        let client_id = ["web", "ios", "tv"][second % 3].to_owned();
        sessions.push(Session { client_id, ..bare(&dice, "alice", at(second as u64)) });
    }
    // Stored in another order than they were made in.
    for session in sessions.iter().rev().chain([&bare(&dice, "bob", at(0))]) {
        store.create(session, None).await.unwrap();
    }
    sessions
}

/// R-RPC-07
#[tokio::test]
async fn a_list_has_the_newest_sign_in_first_and_its_pages_leave_none_out() {
    for Database { store, kind, .. } in &Database::each().await {
        let mut newest_first: Vec<_> = ten(store).await.into_iter().map(|session| session.id).collect();
        newest_first.reverse();
        assert_eq!(listed(store, of("alice"), None).await, newest_first, "{kind}");
        for size in 1..=11 {
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let page = store.list(of("alice"), Some(at(20)), after, size).await.unwrap();
                let Some(last) = page.last() else { break };
                assert!(page.len() as u64 <= size, "{kind}");
                after = Some(last.id);
                paged.extend(page.into_iter().map(|session| session.id));
            }
            assert_eq!(paged, newest_first, "{kind} pages of {size}");
        }
    }
}

/// R-SES-01
#[tokio::test]
async fn a_choice_is_of_one_subject_to_the_letter_and_of_the_clients_asked_for() {
    for database in &Database::each().await {
        let Database { store, kind, .. } = database;
        let sessions = ten(store).await;
        for nobody in ["Alice", "alic", "alice ", "alice%", "a_ice", ""] {
            assert!(listed(store, of(nobody), None).await.is_empty(), "{kind} {nobody:?}");
        }
        let cases: [Case<'_>; 6] = [
            (None, Some("ios"), &["ios"]),
            (Some(&["web", "tv"]), None, &["web", "tv"]),
            (Some(&["web", "tv"]), Some("web"), &["web"]),
            (Some(&["web"]), Some("ios"), &[]),
            (Some(&[]), None, &[]),
            (Some(&["ios"]), Some("nowhere"), &[]),
        ];
        for (clients, client_id, expected) in cases {
            let selection = Selection { subject: "alice", clients, client_id };
            let expected = sessions.iter().rev().filter(|session| expected.contains(&session.client_id.as_str()));
            let expected: Vec<_> = expected.map(|session| session.id).collect();
            assert_eq!(listed(store, selection, None).await, expected, "{kind} {clients:?} {client_id:?}");
            let ended = store.end_all(selection, None, at(100), &revocation(at(100))).await.unwrap();
            assert_eq!(ended.len(), expected.len(), "{kind} {clients:?} {client_id:?}");
            for session in &sessions {
                let ended = store.session(session.id).await.unwrap().unwrap().revocation.is_some();
                assert_eq!(ended, expected.contains(&session.id), "{kind} {clients:?} {client_id:?}");
            }
            database.execute("UPDATE sessions SET revoked_at = NULL, revoke_reason = NULL, revoked_by = NULL").await;
        }
    }
}

/// R-SES-02
#[tokio::test]
async fn ending_all_spares_the_one_named_and_those_that_came_after_and_counts_only_what_it_ended() {
    for Database { store, kind, .. } in &Database::each().await {
        let sessions = ten(store).await;
        let dice = Dice::seeded(2);
        let mut expired = bare(&dice, "alice", at(0));
        expired.chain.idle_expires_at = at(3);
        store.create(&expired, None).await.unwrap();
        assert!(store.end(sessions[0].id, &revocation(at(1))).await.unwrap());

        // 0 was ended, 2 is spared, 7 to 9 came later: 1, 3, 4, 5 and 6 remain.
        let ended = store.end_all(of("alice"), Some(sessions[2].id), at(6), &revocation(at(6))).await.unwrap();
        assert_eq!(ended.len(), 5, "{kind}");
        let mut over = Vec::new();
        for (number, session) in sessions.iter().enumerate() {
            let revoked = store.session(session.id).await.unwrap().unwrap().revocation;
            over.extend(revoked.map(|revocation| (number, revocation.at)));
        }
        assert_eq!(over, [(0, at(1)), (1, at(6)), (3, at(6)), (4, at(6)), (5, at(6)), (6, at(6))], "{kind}");
        assert_eq!(store.session(expired.id).await.unwrap().unwrap().revocation, None, "{kind}");
        assert_eq!(listed(store, of("bob"), Some(at(6))).await.len(), 1, "{kind}");
        assert_eq!(
            store.end_all(of("alice"), Some(sessions[2].id), at(6), &revocation(at(6))).await.unwrap(),
            [],
            "{kind}"
        );
        let live = listed(store, of("alice"), Some(at(6))).await;
        assert_eq!(live, [9, 8, 7, 2].map(|number: usize| sessions[number].id), "{kind}");
    }
}

/// R-SES-01
#[tokio::test]
async fn ending_all_takes_a_sign_in_of_the_same_millisecond_and_leaves_one_of_the_next() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let now = at(10);
        let created = |millis| bare(&dice, "alice", Timestamp::from_millis(now.millis() + millis));
        let (before, same, after) = (created(-1), created(0), created(1));
        for session in [&before, &same, &after] {
            store.create(session, None).await.unwrap();
        }
        assert_eq!(store.end_all(of("alice"), None, now, &revocation(now)).await.unwrap().len(), 2, "{kind}");
        assert_eq!(listed(store, of("alice"), Some(now)).await, [after.id], "{kind}");
    }
}
