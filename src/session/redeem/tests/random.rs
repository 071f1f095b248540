//! The same agreement with the table in random states: of no size in particular, and crowded around every boundary.

use proptest::prelude::*;

use super::*;

/// Late enough for every arithmetic to be strained, early enough for a sum of two to fit.
const END_OF_TIME: i64 = 1 << 60;

/// A number: small, anything, or at the very end.
fn number(least: u32) -> impl Strategy<Value = u32> {
    prop_oneof![3 => least..least + 6, 1 => least..=u32::MAX, 2 => u32::MAX - 5..=u32::MAX]
}

/// A generation, mostly within a few of another.
fn near(generation: u32, least: u32) -> impl Strategy<Value = u32> {
    let near = generation.saturating_sub(5).max(least)..=generation.saturating_add(5);
    prop_oneof![8 => near, 1 => least..=u32::MAX]
}

/// A length of time: any, or one of those that mean something, give or take a millisecond.
fn length(policy: Policy) -> impl Strategy<Value = i64> {
    let [leeway, burst] = [policy.leeway, policy.burst].map(|length| i64::try_from(length.as_millis()).unwrap());
    let marks = prop::sample::select(vec![0, leeway, burst, 5 * burst, 1000, 540_000]);
    prop_oneof![4 => (marks, -1..=1_i64).prop_map(|(mark, by)| mark + by), 1 => -100_000..2_000_000_i64, 1 => -END_OF_TIME..END_OF_TIME]
}

fn policy() -> impl Strategy<Value = Policy> {
    let seconds = |most| prop_oneof![Just(0), 0..=most, Just(most)].prop_map(Duration::from_secs);
    (seconds(60), prop_oneof![4 => 0..=3_u32, 1 => any::<u32>()], seconds(3600), any::<bool>()).prop_map(
        |(leeway, recovery_limit, burst, rotation_when_due)| Policy {
            leeway,
            recovery_limit,
            burst,
            rotation_when_due,
        },
    )
}

#[derive(Debug)]
struct Scene {
    session: Session,
    presented: u32,
    rotation: Rotation,
    now: Timestamp,
    policy: Policy,
    caller_permitted: bool,
    wish: usize,
}

fn scene() -> impl Strategy<Value = Scene> {
    let now = prop_oneof![2 => 0..END_OF_TIME, 1 => Just(0), 4 => Just(1_790_000_000_000)];
    (policy(), number(1), now).prop_flat_map(|(policy, generation, now)| {
        let numbers = (near(generation, 0), number(0), near(generation, 0), near(generation, 1));
        let before = [length(policy), length(policy), length(policy)];
        let left = [0, 1].map(|_| prop_oneof![2 => 0..END_OF_TIME, 2 => 0..4000_i64, 1 => length(policy)]);
        let ttls = [0, 1].map(|_| prop_oneof![Just(900), 1..4000_u64, 0..1_u64 << 50]);
        let asked = (any::<bool>(), prop::bool::weighted(0.95), prop::bool::weighted(0.05), 0..5_usize);
        (numbers, before, left, ttls, asked).prop_map(move |(numbers, before, left, ttls, asked)| {
            let (recovered_generation, recovery_streak, burst_generation, presented) = numbers;
            let (when_due, caller_permitted, revoked, wish) = asked;
            let [rotated_at, recovered_at, burst_at] = before.map(|before| at(now - before));
            let [idle_expires_at, expires_at] = left.map(|left| at(now + left));
            let chain = Chain {
                generation,
                rotated_at,
                recovered_generation,
                recovered_at,
                recovery_streak,
                burst_generation,
                burst_at,
                idle_expires_at,
            };
            let [access_token_ttl, idle_ttl] = ttls.map(Duration::from_secs);
            let lifetimes = Lifetimes { access_token_ttl, idle_ttl };
            let revocation = revoked.then(|| revocation(RevokeReason::Administrator));
            Scene {
                session: Session { lifetimes, chain, expires_at, revocation, ..session() },
                presented,
                rotation: if when_due { Rotation::WhenDue } else { Rotation::Always },
                now: at(now),
                policy,
                caller_permitted,
                wish,
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn any_state_is_judged_as_the_table_says(scene in scene()) {
        let wishes = [
            Wish::new(&[], &[], &[]),
            Wish::new(&["billing", "orders"], &["write", "read"], &[]),
            Wish::new(&["orders", "payroll"], &["read"], &[Grant::Audience]),
            Wish::new(&["Orders"], &["admin"], &[Grant::Audience, Grant::Scope]),
            Wish::new(&["orders"], &["Read"], &[Grant::Scope]),
        ];
        let policy = Some(&scene.policy).filter(|_| scene.caller_permitted);
        let asked = (scene.presented, scene.rotation);
        agree(&wishes[scene.wish], asked, Some(&scene.session), scene.now, policy);
        agree(&wishes[scene.wish], asked, None, scene.now, policy);
    }
}
