//! The edges of policy and numbers, and the worked example of the rule from end to end.

use super::table::{LATER, ROTATED, SECOND, fifth, judged};
use super::*;

#[test]
fn with_no_leeway_even_the_quickest_retry_is_a_recovery_and_with_no_limit_either_reuse() {
    let strict = Policy { leeway: Duration::ZERO, ..POLICY };
    assert!(matches!(redeem(&bare(4), Some(&fifth()), at(ROTATED), Some(&strict)), Verdict::Recover(_)));
    let strictest = Policy { recovery_limit: 0, ..strict };
    assert_eq!(redeem(&bare(4), Some(&fifth()), at(ROTATED), Some(&strictest)), Verdict::Reuse);
}

#[test]
fn the_last_generation_there_is_has_no_successor() {
    let mut session = fifth();
    session.chain.generation = u32::MAX - 1;
    let expired = Verdict::Refuse(Refusal::Expired);
    assert_eq!(judged(&session, u32::MAX, LATER), expired);
    session.chain = judged(&session, u32::MAX - 1, LATER).chain().unwrap();
    assert_eq!(session.chain.generation, u32::MAX);
    assert_eq!(judged(&session, u32::MAX, LATER), expired);
    assert_eq!(judged(&session, u32::MAX - 1, LATER), Verdict::Replay);
}

#[test]
fn the_worked_example() {
    let clock = |minutes: i64, seconds: i64| SIGN_IN + (minutes * 60 + seconds) * SECOND;
    let mut session = session();
    let mut step = |now, generation| {
        let verdict = judged(&session, generation, now);
        session.chain = verdict.chain().unwrap_or(session.chain);
        let Chain { generation, recovery_streak, .. } = session.chain;
        (verdict.name(), generation, recovery_streak, session.chain.minted_at().millis())
    };
    // 10:00:00: the answer is lost; ten seconds later it is lost again.
    assert_eq!(step(clock(0, 0), 1), ("rotated", 2, 0, clock(0, 0)));
    assert_eq!(step(clock(0, 10), 1), ("replayed", 2, 0, clock(0, 0)));
    // 10:05: a new access token; 10:06: the same bytes.
    assert_eq!(step(clock(5, 0), 1), ("recovered", 2, 1, clock(5, 0)));
    assert_eq!(step(clock(6, 0), 1), ("repeated", 2, 1, clock(5, 0)));
    // 10:20: it arrived; 10:25: somebody else's copy.
    assert_eq!(step(clock(20, 0), 2), ("rotated", 3, 1, clock(20, 0)));
    assert_eq!(step(clock(25, 0), 2), ("recovered", 3, 2, clock(25, 0)));
    // 10:35: the owner; 10:36: the copy again.
    assert_eq!(step(clock(35, 0), 3), ("rotated", 4, 2, clock(35, 0)));
    assert_eq!(step(clock(36, 0), 3).0, "reuse");
}
