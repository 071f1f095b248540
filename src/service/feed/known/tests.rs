use std::time::Duration;

use super::*;
use crate::session::{Revocation, RevokeReason};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn id(number: u64) -> SessionId {
    SessionId::from(uuid::Uuid::from_u128(number.into()))
}

/// A session whose tokens live ten minutes, ended at this second.
fn ended(number: u64, second: i64) -> Ended {
    let revocation = Revocation { at: at(second), reason: RevokeReason::SignedOut, by: "local".to_owned() };
    Ended { id: id(number), revocation, access_token_ttl: Duration::from_secs(600) }
}

fn session(number: u64, second: i64) -> Entry {
    Entry::Session(ended(number, second))
}

fn key(key_id: &str, forgotten_at: i64) -> Entry {
    Entry::Key(RevokedKey { key_id: key_id.to_owned(), forgotten_at: at(forgotten_at) })
}

/// Five sessions that ended, and became known, at second 1 to 5.
fn five() -> Known {
    let mut known = Known::default();
    for second in 1..=5_i64 {
        known.learn(session(second.unsigned_abs(), second), at(second));
    }
    known
}

/// Everything from a number on.
fn everything(known: &Known, from: u64) -> Vec<Entry> {
    known.read(from, known.next(), Timestamp::EPOCH, usize::MAX).0
}

#[test]
fn entries_are_numbered_as_they_become_known_and_each_only_once() {
    let mut known = five();
    assert_eq!((known.next(), known.count()), (5, 5));
    known.learn(session(2, 2), at(9));
    known.learn(key("a", 100), at(9));
    known.learn(key("a", 100), at(9));
    assert_eq!((known.next(), known.count()), (6, 6));
    assert_eq!(everything(&known, 4), [session(5, 5), key("a", 100)]);
    assert!(known.has_ended(id(2)) && !known.has_ended(id(6)));
}

#[test]
fn an_end_that_matters_longer_takes_the_place_of_the_other_and_is_told_anew() {
    let mut known = five();
    known.learn(session(2, 60), at(70));
    assert_eq!((known.next(), known.count()), (6, 5));
    assert_eq!(everything(&known, 5), [session(2, 60)]);
    assert_eq!(everything(&known, 0)[..2], [session(1, 1), session(3, 3)]);
    // The old one is forgotten in its time, and does not take the new one with it.
    known.forget(ended(5, 5).forgotten_at());
    assert!(known.has_ended(id(2)));
    // What matters less long is nothing new.
    known.learn(session(2, 59), at(71));
    assert_eq!((known.next(), known.count()), (6, 1));
    known.learn(key("a", 100), at(1));
    known.learn(key("a", 200), at(2));
    known.learn(key("a", 150), at(3));
    assert_eq!(everything(&known, 6), [key("a", 200)]);
}

#[test]
fn portions_together_are_everything_whatever_was_forgotten_between() {
    let mut known = five();
    for most in 1..=6 {
        let (mut told, mut from) = (Vec::new(), 0);
        while from < known.next() {
            let (some, next) = known.read(from, known.next(), Timestamp::EPOCH, most);
            assert!(some.len() <= most && next > from);
            told.extend(some);
            from = next;
        }
        assert_eq!(told, everything(&known, 0), "{most}");
    }
    // Not beyond where it is to stop, and never back.
    assert_eq!(known.read(1, 3, Timestamp::EPOCH, 9), (vec![session(2, 2), session(3, 3)], 3));
    assert_eq!(known.read(4, 2, Timestamp::EPOCH, 9), (vec![], 4));
    known.forget(ended(3, 3).forgotten_at());
    assert_eq!(known.read(0, 5, Timestamp::EPOCH, 1), (vec![session(4, 4)], 4));
    assert_eq!(known.read(0, 3, Timestamp::EPOCH, 1), (vec![], 3));
}

#[test]
fn whoever_comes_back_is_told_what_became_known_since_however_old_it_is() {
    let mut known = five();
    known.learn(session(6, 1), at(60));
    assert_eq!(known.read(0, 6, at(5), 9), (vec![session(5, 5), session(6, 1)], 6));
    assert_eq!(known.read(0, 6, at(5), 1), (vec![session(5, 5)], 5));
    assert_eq!(known.read(0, 6, at(61), 9), (vec![], 6));
}

#[test]
fn what_matters_to_nobody_is_forgotten_at_that_very_moment() {
    let mut known = five();
    known.learn(key("a", 664), at(1));
    let last = ended(4, 4).forgotten_at();
    assert_eq!(last, at(664));
    known.forget(last.before(Duration::from_millis(1)));
    assert_eq!(known.count(), 3);
    assert!(known.has_ended(id(4)));
    known.forget(last);
    assert_eq!((known.count(), known.next()), (1, 6));
    assert!(!known.has_ended(id(4)) && known.has_ended(id(5)));
    // What was forgotten can be learnt again.
    known.learn(session(4, 700), at(700));
    assert_eq!(everything(&known, 6), [session(4, 700)]);
}

#[test]
fn untold_is_what_ended_strictly_between_and_is_not_among_the_told() {
    let mut known = five();
    known.learn(key("a", 900), at(3));
    let untold = |told: &[u64], after, before| {
        let told = told.iter().map(|number| id(*number)).collect();
        known.untold(&told, at(after), at(before))
    };
    assert_eq!(untold(&[], 0, 9), [1_i64, 2, 3, 4, 5].map(|second| ended(second.unsigned_abs(), second)));
    assert_eq!(untold(&[1, 3, 5, 77], 0, 9), [ended(2, 2), ended(4, 4)]);
    assert_eq!(untold(&[], 2, 4), [ended(3, 3)]);
    assert_eq!(untold(&[1, 2, 3, 4, 5], 0, 9), []);
}
