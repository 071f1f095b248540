//! What tells of a person is erased from sessions, and they stay ended as long as that matters.

use std::time::Duration;

use symbolon::session::{Ended, Session};
use symbolon::store::{IssueRequest, Position, Selection};
use uuid::Uuid;

use super::{at, bare, revocation, whole};
use crate::support::{Database, Dice};

const ALICE: Selection<'static> = Selection { subject: "alice", clients: None, client_id: None };

/// Whether any column of any row of sessions or request ids has this text in it.
async fn holds(database: &Database, text: &str) -> bool {
    let columns = "subject || claims || amr || decisions || COALESCE(acr, '') || COALESCE(user_agent, '') || \
                   COALESCE(ip_address, '') || COALESCE(label, '')";
    let found = format!("SELECT count(*) FROM sessions WHERE {columns} LIKE '%{text}%'");
    let requests = format!("SELECT count(*) FROM issue_requests WHERE subject LIKE '%{text}%'");
    database.number(&found).await + database.number(&requests).await > 0
}

#[tokio::test]
async fn nothing_of_a_person_is_left_and_the_end_of_a_session_is_told_until_its_tokens_are_dead() {
    for database in &Database::each().await {
        let Database { store, kind, .. } = database;
        let dice = Dice::seeded(1);
        let ended = Session { subject: "alice".to_owned(), expires_at: at(9_000_000), ..whole(&dice) };
        let live = Session { subject: "alice".to_owned(), revocation: None, ..ended.clone() };
        let live = Session { id: bare(&dice, "alice", at(0)).id, ..live };
        let later = bare(&dice, "alice", at(61));
        let bob = bare(&dice, "bob", at(0));
        for (number, session) in [&ended, &live, &later, &bob].into_iter().enumerate() {
            let request = IssueRequest { request_id: Uuid::from_u128(number as u128), digest: [7; 32] };
            store.create(session, Some(&request)).await.unwrap();
        }
        assert_eq!(store.erase(ALICE, at(60), &revocation(at(60)), 1).await.unwrap(), 1, "{kind}");
        assert_eq!(store.erase(ALICE, at(60), &revocation(at(60)), 9).await.unwrap(), 1, "{kind}: it goes on");
        assert_eq!(store.erase(ALICE, at(60), &revocation(at(60)), 9).await.unwrap(), 0, "{kind}: again");
        assert_eq!(store.erase_requests("alice").await.unwrap(), 2, "{kind}");
        // One that was issued later is whole, with its request.
        assert_eq!(store.session(later.id).await.unwrap().unwrap(), later, "{kind}");
        assert_eq!(database.number("SELECT count(*) FROM issue_requests").await, 2, "{kind}");
        assert_eq!(store.erase(ALICE, at(62), &revocation(at(62)), 9).await.unwrap(), 1, "{kind}");
        store.erase_requests("alice").await.unwrap();
        for text in ["alice", "Mozilla", "2001:db8", "Zoë", "aal2", "otp", "subject with"] {
            assert!(!holds(database, text).await, "{kind}: {text} is left");
        }
        assert!(holds(database, "bob").await, "{kind}");

        // It was over before, and for the same reason; the other one is over now.
        let left = store.session(ended.id).await.unwrap().unwrap();
        assert_eq!(left.revocation, ended.revocation, "{kind}");
        let told = store.ended(Position::at(at(60)), 9).await.unwrap();
        let told: Vec<_> = told.iter().map(|Ended { id, revocation, .. }| (*id, revocation.at)).collect();
        assert_eq!(told, [(live.id, at(60)), (later.id, at(62))], "{kind}");
        // No longer than its last access token can live.
        let dead = at(60).after(live.lifetimes.access_token_ttl + Duration::from_secs(60));
        store.sweep(dead, 9).await.unwrap();
        assert!(store.session(live.id).await.unwrap().is_some(), "{kind}: swept too early");
        store.sweep(dead.after(Duration::from_millis(1)), 9).await.unwrap();
        assert_eq!(store.session(live.id).await.unwrap(), None, "{kind}");
    }
}

#[tokio::test]
async fn requests_are_forgotten_whoever_made_them() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        for (number, caller) in ["backend", "admin", "gone"].into_iter().enumerate() {
            let session = Session { caller: caller.to_owned(), ..bare(&dice, "alice", at(0)) };
            let request = IssueRequest { request_id: Uuid::from_u128(number as u128), digest: [7; 32] };
            store.create(&session, Some(&request)).await.unwrap();
        }
        store.erase(ALICE, at(60), &revocation(at(60)), 9).await.unwrap();
        assert_eq!(store.erase_requests("alice").await.unwrap(), 3, "{kind}");
    }
}

#[tokio::test]
async fn sessions_of_other_clients_are_left_alone() {
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(1);
        let [web, ios] =
            ["web", "ios"].map(|client| Session { client_id: client.to_owned(), ..bare(&dice, "alice", at(0)) });
        for (number, session) in [&web, &ios].into_iter().enumerate() {
            let request = IssueRequest { request_id: Uuid::from_u128(number as u128), digest: [7; 32] };
            store.create(session, Some(&request)).await.unwrap();
        }
        let only = Selection { clients: Some(&["web"]), ..ALICE };
        assert_eq!(store.erase(only, at(60), &revocation(at(60)), 9).await.unwrap(), 1, "{kind}");
        assert_eq!(store.erase_requests("alice").await.unwrap(), 1, "{kind}");
        assert_eq!(store.session(ios.id).await.unwrap().unwrap(), ios, "{kind}");
    }
}
