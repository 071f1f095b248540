//! Every state of a small world: up to four generations, and every moment at which something changes, with a
//! millisecond on either side.

use std::collections::BTreeMap;

use super::*;

const NOW: i64 = SIGN_IN + 5 * 24 * 3_600_000;
const LEEWAY: i64 = 30_000;
const BURST: i64 = 120_000;
/// How long ago the rotation was. Negative: by another replica, whose clock is ahead.
const AGES: [i64; 8] = [-5_000, 0, LEEWAY - 1, LEEWAY, BURST - 1, BURST, 5 * BURST - 1, 5 * BURST];
/// How long ago the burst began.
const BURST_AGES: [i64; 3] = [-7_000, 5 * BURST - 1, 5 * BURST];
/// 60 % of it are [`BURST`]: the moments at which a token is due are among [`AGES`] ...
const ACCESS_TOKEN_TTL: Duration = Duration::from_secs(200);
/// ... and with this between rotation and recovery those of a recovered one too, at the end of the longest burst.
const RECOVERED_AFTER: i64 = 4 * BURST;

const FAR: i64 = 3 * 24 * 3_600_000;
/// How long the session has got left by its idle and by its absolute expiry: either side of the last second.
const LAST_SECOND: [(i64, i64); 6] = [(999, FAR), (1000, FAR), (1001, FAR), (FAR, 999), (FAR, 1000), (FAR, 1001)];

const ROTATIONS: [Rotation; 2] = [Rotation::Always, Rotation::WhenDue];

/// Calls `visit` with every chain of the small world and every token somebody might present to it.
fn every_chain_and_token(mut visit: impl FnMut(Chain, u32)) {
    for generation in 1..=4 {
        for (recovered_generation, recovery_streak) in pairs(0..=generation, 0..=3) {
            for (burst_generation, age) in pairs(1..=generation, AGES) {
                for burst_age in BURST_AGES {
                    let chain = Chain {
                        generation,
                        rotated_at: at(NOW - age),
                        recovered_generation,
                        recovered_at: at(NOW - age + RECOVERED_AFTER),
                        recovery_streak,
                        burst_generation,
                        burst_at: at(NOW - burst_age),
                        idle_expires_at: at(NOW + FAR),
                    };
                    (1..=generation + 3).for_each(|presented| visit(chain, presented));
                }
            }
        }
    }
}

fn pairs<A: Copy, B: Copy>(a: impl IntoIterator<Item = A>, b: impl IntoIterator<Item = B>) -> Vec<(A, B)> {
    let b: Vec<B> = b.into_iter().collect();
    a.into_iter().flat_map(|a| b.iter().map(move |b| (a, *b))).collect()
}

fn small_session() -> Session {
    let mut session = session();
    session.lifetimes.access_token_ttl = ACCESS_TOKEN_TTL;
    session.expires_at = at(NOW + FAR);
    session
}

#[test]
fn every_state_and_policy_of_a_small_world_is_judged_as_the_table_says() {
    let policies: Vec<Policy> = pairs(pairs([0, LEEWAY], 0..=3), [false, true])
        .into_iter()
        .map(|((leeway, recovery_limit), rotation_when_due)| {
            let leeway = Duration::from_millis(leeway.unsigned_abs());
            Policy { leeway, recovery_limit, rotation_when_due, ..POLICY }
        })
        .collect();
    let wishes = [
        Wish::new(&[], &[], &[]),
        Wish::new(&[], &["read", "admin"], &[Grant::Scope]),
        Wish::new(&["payroll"], &["write"], &[Grant::Audience]),
    ];
    let asked: Vec<(&Wish, Rotation)> = pairs(&wishes, ROTATIONS);

    let mut session = small_session();
    let mut rows: BTreeMap<&str, u32> = BTreeMap::new();
    every_chain_and_token(|chain, presented| {
        session.chain = chain;
        for policy in &policies {
            for &(wish, rotation) in &asked {
                let row = agree(wish, (presented, rotation), Some(&session), at(NOW), Some(policy));
                *rows.entry(row).or_default() += 1;
            }
        }
    });

    assert_eq!(rows.values().sum::<u32>(), 2_304_000);
    let seen: Vec<&str> = rows.into_keys().collect();
    assert_eq!(seen, ["10", "11", "12", "13", "14", "5", "6", "6½", "7", "8", "9"]);
}

#[test]
fn nothing_is_given_by_strangers_nor_after_the_end_whatever_is_presented() {
    let wishes = [Wish::new(&["orders"], &["read"], &[]), Wish::new(&[], &["admin"], &[Grant::Scope])];
    let callers = [None, Some(&POLICY)];
    let revocations = [None, Some(revocation(RevokeReason::SignedOut))];

    let mut session = small_session();
    let mut rows: BTreeMap<&str, u32> = BTreeMap::new();
    every_chain_and_token(|chain, presented| {
        session.chain = chain;
        for (idle, absolute) in LAST_SECOND {
            session.chain.idle_expires_at = at(NOW + idle);
            session.expires_at = at(NOW + absolute);
            for (revocation, policy) in pairs(&revocations, callers) {
                session.revocation.clone_from(revocation);
                for (wish, rotation) in [(&wishes[0], Rotation::Always), (&wishes[1], Rotation::WhenDue)] {
                    let row = agree(wish, (presented, rotation), Some(&session), at(NOW), policy);
                    *rows.entry(row).or_default() += 1;
                }
            }
        }
    });

    assert_eq!(rows.values().sum::<u32>(), 1_152_000);
    // Half of them by strangers; of the others half revoked; of those left a third too late.
    assert_eq!([rows["2"], rows["3"], rows["4"]], [576_000, 288_000, 96_000]);
    let seen: Vec<&str> = rows.into_keys().collect();
    assert_eq!(seen, ["10", "11", "12", "13", "14", "2", "3", "4", "5", "6", "6½", "8", "9"]);
}
