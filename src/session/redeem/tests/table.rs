//! The table of the refresh rule, row by row: what is decided, what is written, and a millisecond on either side.

use super::*;

pub(super) const SECOND: i64 = 1000;
const LEEWAY: i64 = 30 * SECOND;
const BURST: i64 = 120 * SECOND;
/// When generation 5 was reached.
pub(super) const ROTATED: i64 = SIGN_IN + 3_600 * SECOND;
pub(super) const LATER: i64 = ROTATED + 600 * SECOND;

/// In its fifth generation, nothing recovered.
pub(super) fn fifth() -> Session {
    let mut session = session();
    session.chain = Chain {
        generation: 5,
        rotated_at: at(ROTATED),
        recovered_generation: 0,
        recovered_at: at(SIGN_IN),
        recovery_streak: 0,
        burst_generation: 5,
        burst_at: at(ROTATED),
        idle_expires_at: at(ROTATED + 86_400 * SECOND),
    };
    session
}

fn recovered(generation: u32, recovered_at: i64, streak: u32) -> Session {
    let mut session = fifth();
    session.chain.recovered_generation = generation;
    session.chain.recovered_at = at(recovered_at);
    session.chain.recovery_streak = streak;
    session
}

fn burst(generation: u32, burst_at: i64) -> Session {
    let mut session = fifth();
    session.chain.burst_generation = generation;
    session.chain.burst_at = at(burst_at);
    session
}

pub(super) fn judged(session: &Session, generation: u32, now: i64) -> Verdict {
    redeem(&bare(generation), Some(session), at(now), Some(&POLICY))
}

#[test]
fn row_1_a_token_of_no_session_is_refused() {
    assert_eq!(redeem(&bare(1), None, at(LATER), Some(&POLICY)), Verdict::Refuse(Refusal::NotFound));
    assert_eq!(redeem(&bare(1), None, at(LATER), None), Verdict::Refuse(Refusal::NotFound));
}

#[test]
fn row_2_a_caller_of_another_client_is_refused_and_ends_nothing_even_with_a_stolen_token() {
    for generation in 1..9 {
        let verdict = redeem(&bare(generation), Some(&fifth()), at(LATER), None);
        assert_eq!(verdict, Verdict::Refuse(Refusal::Client));
        assert_eq!(verdict.chain(), None);
    }
    // Nor does such a caller learn that the session is over.
    let ended = Session { revocation: Some(revocation(RevokeReason::SignedOut)), ..fifth() };
    assert_eq!(redeem(&bare(5), Some(&ended), at(LATER), None), Verdict::Refuse(Refusal::Client));
}

#[test]
fn row_3_a_revoked_session_refuses_every_token() {
    let revoked = |session| Session { revocation: Some(revocation(RevokeReason::SignedOut)), ..session };
    for session in [revoked(fifth()), revoked(recovered(5, ROTATED + LEEWAY, 1)), revoked(burst(2, ROTATED))] {
        for generation in 1..9 {
            assert_eq!(judged(&session, generation, ROTATED), Verdict::Refuse(Refusal::Revoked));
        }
    }
    // Being revoked is told before being expired.
    assert_eq!(judged(&revoked(fifth()), 5, SIGN_IN + 99 * 86_400 * SECOND), Verdict::Refuse(Refusal::Revoked));
}

#[test]
fn row_4_a_session_with_less_than_a_second_left_is_over() {
    let idle_ends = Session { chain: Chain { idle_expires_at: at(LATER), ..fifth().chain }, ..fifth() };
    let absolutely_ends = Session { expires_at: at(LATER), ..fifth() };
    for session in [idle_ends, absolutely_ends] {
        let expired = Verdict::Refuse(Refusal::Expired);
        assert!(matches!(judged(&session, 5, LATER - SECOND), Verdict::Rotate(_)));
        for generation in 1..9 {
            assert_ne!(judged(&session, generation, LATER - SECOND), expired);
            assert_eq!(judged(&session, generation, LATER - SECOND + 1), expired);
            assert_eq!(judged(&session, generation, LATER + 99 * SECOND), expired);
        }
    }
}

#[test]
fn row_5_a_token_of_commits_the_database_lost_heals_the_chain() {
    for (generation, healed) in [(6, 7), (7, 8)] {
        let chain = Chain {
            generation: healed,
            rotated_at: at(LATER),
            recovered_generation: 0,
            recovered_at: at(ROTATED + LEEWAY),
            recovery_streak: 0,
            burst_generation: 5,
            burst_at: at(LATER),
            idle_expires_at: at(LATER + 86_400 * SECOND),
        };
        assert_eq!(judged(&recovered(5, ROTATED + LEEWAY, 2), generation, LATER), Verdict::Heal(chain));
    }
    // By a replica whose clock is behind.
    let Verdict::Heal(chain) = judged(&fifth(), 6, ROTATED - 7 * SECOND) else { panic!() };
    assert_eq!([chain.rotated_at, chain.burst_at], [at(ROTATED), at(ROTATED - 7 * SECOND)]);
    assert_eq!(chain.idle_expires_at, at(ROTATED + 86_400 * SECOND));
}

#[test]
fn row_5_after_healing_the_tokens_of_the_lost_time_line_are_stale_and_then_reuse() {
    let mut session = fifth();
    session.chain = judged(&session, 7, LATER).chain().unwrap();
    assert_eq!(judged(&session, 7, LATER + SECOND), Verdict::Replay);
    for lost in [5, 6] {
        assert_eq!(judged(&session, lost, LATER + BURST - 1), Verdict::Stale);
        assert_eq!(judged(&session, lost, LATER + BURST), Verdict::Reuse);
    }
    assert_eq!(judged(&session, 4, LATER + SECOND), Verdict::Reuse);
}

#[test]
fn row_6_a_token_too_far_ahead_ends_the_session() {
    for generation in [8, 9, u32::MAX] {
        assert_eq!(judged(&fifth(), generation, LATER), Verdict::RolledBack);
    }
}

#[test]
fn row_6_and_a_half_asking_for_more_than_was_granted_is_refused_wherever_tokens_would_be_given() {
    let policy = Policy { rotation_when_due: true, ..POLICY };
    let wider = [
        Wish::new(&["orders", "payroll"], &[], &[Grant::Audience]),
        Wish::new(&["Orders"], &["admin"], &[Grant::Audience]),
        Wish::new(&[], &["read", "admin"], &[Grant::Scope]),
    ];
    let giving = [
        (fifth(), 6, LATER, Rotation::Always),
        (fifth(), 5, LATER - 60_001, Rotation::WhenDue),
        (fifth(), 5, LATER, Rotation::Always),
        (recovered(5, ROTATED + LEEWAY, 1), 4, LATER, Rotation::Always),
        (fifth(), 4, ROTATED, Rotation::Always),
        (fifth(), 4, LATER, Rotation::Always),
    ];
    let names = giving.map(|(session, generation, now, rotation)| {
        for wish in &wider {
            let verdict = redeem(&wish.presented(generation, rotation), Some(&session), at(now), Some(&policy));
            assert_eq!(verdict, Verdict::Refuse(Refusal::Grant(wish.exceeds[0])));
        }
        let undeclared = Presented { rotation: Rotation::WhenDue, ..bare(generation) };
        let verdict = redeem(&undeclared, Some(&session), at(now), Some(&POLICY));
        assert_eq!(verdict, Verdict::Refuse(Refusal::Grant(Grant::Rotation)));

        let narrower = Wish::new(&["billing"], &["write", "read"], &[]);
        let narrower = redeem(&narrower.presented(generation, rotation), Some(&session), at(now), Some(&policy));
        assert!(narrower.yields_tokens());
        narrower.name()
    });
    assert_eq!(names, ["healed", "current", "rotated", "repeated", "replayed", "recovered"]);

    // A thief gains nothing by asking for more.
    for (generation, verdict) in [(3, Verdict::Reuse), (8, Verdict::RolledBack)] {
        let presented = wider[0].presented(generation, Rotation::WhenDue);
        assert_eq!(redeem(&presented, Some(&fifth()), at(LATER), Some(&POLICY)), verdict);
    }
}

#[test]
fn row_7_a_token_that_is_not_due_gets_the_current_answer_again() {
    let judged = |session: &Session, now| {
        let policy = Policy { rotation_when_due: true, ..POLICY };
        redeem(&Presented { rotation: Rotation::WhenDue, ..bare(5) }, Some(session), at(now), Some(&policy))
    };
    // 60 % of 15 minutes.
    assert_eq!(judged(&fifth(), ROTATED), Verdict::Current);
    assert_eq!(judged(&fifth(), ROTATED + 540 * SECOND - 1), Verdict::Current);
    assert!(matches!(judged(&fifth(), ROTATED + 540 * SECOND), Verdict::Rotate(_)));
    // A recovered one counts from its recovery ...
    let minted = ROTATED + LEEWAY;
    assert_eq!(judged(&recovered(5, minted, 1), minted + 540 * SECOND - 1), Verdict::Current);
    assert!(matches!(judged(&recovered(5, minted, 1), minted + 540 * SECOND), Verdict::Rotate(_)));
    // ... and one that ends with its session runs out sooner.
    let short = Session { expires_at: at(ROTATED + 100 * SECOND), ..fifth() };
    assert_eq!(judged(&short, ROTATED + 60 * SECOND - 1), Verdict::Current);
    assert!(matches!(judged(&short, ROTATED + 60 * SECOND), Verdict::Rotate(_)));
}

#[test]
fn row_8_the_current_token_rotates() {
    let session = recovered(4, ROTATED - SECOND, 1);
    let chain = Chain {
        generation: 6,
        rotated_at: at(LATER),
        burst_generation: 5,
        burst_at: at(LATER),
        idle_expires_at: at(LATER + 86_400 * SECOND),
        ..session.chain
    };
    assert_eq!(judged(&session, 5, LATER), Verdict::Rotate(chain));
}

#[test]
fn row_8_idle_moves_but_never_past_the_absolute_end() {
    for (absolute, idle) in [(86_401, 86_400), (86_400, 86_400), (86_399, 86_399)] {
        let session = Session { expires_at: at(LATER + absolute * SECOND), ..fifth() };
        let chain = judged(&session, 5, LATER).chain().unwrap();
        assert_eq!(chain.idle_expires_at, at(LATER + idle * SECOND));
    }
}

#[test]
fn row_8_a_clock_that_is_behind_moves_no_rotation_back() {
    let chain = judged(&fifth(), 5, ROTATED - 7 * SECOND).chain().unwrap();
    assert_eq!(chain.rotated_at, at(ROTATED));
    assert_eq!(chain.idle_expires_at, at(ROTATED + 86_400 * SECOND));
}

#[test]
fn row_8_a_burst_goes_on_while_rotations_follow_closely_and_not_for_long() {
    let burst_after = |session: &Session, now| {
        let chain = judged(session, 5, now).chain().unwrap();
        (chain.burst_generation, chain.burst_at)
    };
    let running = burst(2, ROTATED - SECOND);
    assert_eq!(burst_after(&running, ROTATED + BURST - 1), (2, at(ROTATED - SECOND)));
    // The pause was too long: a new one, in which nothing but the token just spent is about ...
    assert_eq!(burst_after(&running, ROTATED + BURST), (5, at(ROTATED + BURST)));
    // ... unless its predecessor was given out again.
    let recovered = recovered(5, ROTATED + LEEWAY, 1);
    assert_eq!(burst_after(&recovered, ROTATED + BURST), (4, at(ROTATED + BURST)));
    // It lasted too long: a new one, in which the loser of the last race is about.
    let old = burst(2, ROTATED - 5 * BURST + SECOND);
    assert_eq!(burst_after(&old, ROTATED + SECOND - 1), (2, at(ROTATED - 5 * BURST + SECOND)));
    assert_eq!(burst_after(&old, ROTATED + SECOND), (4, at(ROTATED + SECOND)));
}

#[test]
fn row_9_what_was_recovered_is_repeated_without_limit_of_time() {
    let session = recovered(5, ROTATED + LEEWAY, 2);
    for now in [ROTATED, ROTATED + LEEWAY, LATER, LATER + 86_000 * SECOND - 600 * SECOND] {
        assert_eq!(judged(&session, 4, now), Verdict::Repeat);
    }
}

#[test]
fn row_10_within_the_leeway_the_predecessor_is_a_parallel_request() {
    assert_eq!(judged(&fifth(), 4, ROTATED - 7 * SECOND), Verdict::Replay);
    assert_eq!(judged(&fifth(), 4, ROTATED), Verdict::Replay);
    assert_eq!(judged(&fifth(), 4, ROTATED + LEEWAY - 1), Verdict::Replay);
    assert!(matches!(judged(&fifth(), 4, ROTATED + LEEWAY), Verdict::Recover(_)));
    // A full streak does not matter yet.
    assert_eq!(judged(&recovered(4, ROTATED - SECOND, 2), 4, ROTATED + LEEWAY - 1), Verdict::Replay);
}

#[test]
fn row_11_a_lost_answer_is_given_again_and_idle_does_not_move() {
    let session = fifth();
    let chain = Chain { recovered_generation: 5, recovered_at: at(LATER), recovery_streak: 1, ..session.chain };
    assert_eq!(judged(&session, 4, LATER), Verdict::Recover(chain));
    // The answer before that was lost too.
    let session = recovered(4, ROTATED - SECOND, 1);
    assert_eq!(judged(&session, 4, LATER), Verdict::Recover(Chain { recovery_streak: 2, ..chain }));
    // One generation was used without having been recovered: the streak begins anew.
    let session = recovered(3, ROTATED - SECOND, 2);
    assert_eq!(judged(&session, 4, LATER), Verdict::Recover(chain));
}

#[test]
fn row_11_with_no_leeway_a_clock_that_is_behind_recovers_not_before_the_rotation() {
    let policy = Policy { leeway: Duration::ZERO, ..POLICY };
    let verdict = redeem(&bare(4), Some(&fifth()), at(ROTATED - 7 * SECOND), Some(&policy));
    assert_eq!(verdict.chain().unwrap().recovered_at, at(ROTATED));
}

#[test]
fn row_12_one_recovered_generation_too_many_is_reuse() {
    for limit in 0..=3 {
        let policy = Policy { recovery_limit: limit, ..POLICY };
        let judged = |streak| {
            let recovered_generation = if streak == 0 { 0 } else { 4 };
            let session = recovered(recovered_generation, ROTATED - SECOND, streak);
            redeem(&bare(4), Some(&session), at(LATER), Some(&policy))
        };
        for streak in 0..limit {
            assert!(matches!(judged(streak), Verdict::Recover(chain) if chain.recovery_streak == streak + 1));
        }
        assert_eq!(judged(limit), Verdict::Reuse);
        assert_eq!(judged(u32::MAX), Verdict::Reuse);
    }
}

#[test]
fn row_13_an_older_token_of_a_running_burst_is_stale_and_row_14_any_other_is_reuse() {
    let session = burst(2, ROTATED - SECOND);
    for (generation, verdict) in [(1, Verdict::Reuse), (2, Verdict::Stale), (3, Verdict::Stale)] {
        assert_eq!(judged(&session, generation, ROTATED - 7 * SECOND), verdict);
        assert_eq!(judged(&session, generation, ROTATED), verdict);
        assert_eq!(judged(&session, generation, ROTATED + BURST - 1), verdict);
        // The pause has become too long.
        assert_eq!(judged(&session, generation, ROTATED + BURST), Verdict::Reuse);
        // It has lasted too long.
        let old = burst(2, ROTATED - 5 * BURST + SECOND);
        assert_eq!(judged(&old, generation, ROTATED + SECOND - 1), verdict);
        assert_eq!(judged(&old, generation, ROTATED + SECOND), Verdict::Reuse);
    }
}
