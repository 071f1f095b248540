//! What the rule promises, whatever happens: random operations on one session, each verdict written as it says, and
//! after every step all promises once more.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;
use crate::token::lifetime::AccessTokenLife;

#[derive(Clone, Debug)]
enum Operation {
    /// Presents the token this many generations behind the current one; negative is ahead. The clock of the replica
    /// that is asked is this much behind.
    Present {
        behind: i64,
        rotation: Rotation,
        clock_behind: i64,
    },
    /// Lets this much time pass.
    Wait(i64),
    Revoke,
}

fn operation() -> impl Strategy<Value = Operation> {
    let behind = prop_oneof![12 => Just(0_i64), 10 => Just(1), 2 => Just(2), 1 => 3..6_i64, 1 => -3..0_i64];
    let rotation = prop_oneof![4 => Just(Rotation::Always), 1 => Just(Rotation::WhenDue)];
    let clock_behind = prop_oneof![4 => Just(0), 1 => 0..40_000_i64];
    let wait = prop_oneof![0..2_000_i64, 0..70_000_i64, 100_000..700_000_i64, 0..40_000_000_i64];
    let present = (behind, rotation, clock_behind).prop_map(|(behind, rotation, clock_behind)| Operation::Present {
        behind,
        rotation,
        clock_behind,
    });
    prop_oneof![60 => present, 30 => wait.prop_map(Operation::Wait), 1 => Just(Operation::Revoke)]
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    let leeway = prop_oneof![Just(0), Just(30), 0..=60_u64].prop_map(Duration::from_secs);
    (leeway, 0..=3_u32, any::<bool>()).prop_map(|(leeway, recovery_limit, rotation_when_due)| Policy {
        leeway,
        recovery_limit,
        rotation_when_due,
        ..POLICY
    })
}

/// One session, and what is remembered beside it to hold it to its promises.
pub(super) struct World {
    pub(super) session: Session,
    policy: Policy,
    pub(super) now: i64,
    /// The lives of the access tokens that were given, by generation.
    given: BTreeMap<u32, BTreeSet<(i64, i64)>>,
    /// Every generation that was ever recovered, and the access token given then.
    recovered: BTreeMap<u32, AccessTokenLife>,
    /// Since when it has been known to be over.
    pub(super) over_since: Option<i64>,
    /// The names of all verdicts so far.
    seen: BTreeSet<&'static str>,
}

impl World {
    pub(super) fn new(session: Session, policy: Policy) -> Self {
        let mut world = Self {
            session,
            policy,
            now: SIGN_IN,
            given: BTreeMap::new(),
            recovered: BTreeMap::new(),
            over_since: None,
            seen: BTreeSet::new(),
        };
        world.give();
        world
    }

    fn give(&mut self) -> AccessTokenLife {
        let life = self.session.access_token_life();
        self.given.entry(self.session.chain.generation).or_default().insert((life.iat, life.exp));
        life
    }

    fn run(&mut self, operation: &Operation) {
        match *operation {
            Operation::Present { behind, rotation, clock_behind } => {
                let presented = i64::from(self.session.chain.generation) - behind;
                if let Some(generation) = u32::try_from(presented).ok().filter(|generation| *generation > 0) {
                    self.present(Presented { rotation, ..bare(generation) }, self.now - clock_behind);
                }
            }
            Operation::Wait(by) => self.now += by,
            Operation::Revoke => self.end(RevokeReason::SignedOut),
        }
    }

    fn end(&mut self, reason: RevokeReason) {
        self.session.revocation.get_or_insert_with(|| revocation(reason));
        self.over_since = Some(0);
    }

    /// Writes what the verdict says, and checks every promise.
    pub(super) fn present(&mut self, presented: Presented<'_>, now: i64) -> Verdict {
        let before = self.session.chain;
        let verdict = redeem(&presented, Some(&self.session), at(now), Some(&self.policy));
        self.session.chain = verdict.chain().unwrap_or(before);
        self.seen.insert(verdict.name());
        let behind = i64::from(before.generation) - i64::from(presented.generation);

        // No resurrection, and no life beyond the absolute end, which no rotation moves.
        let over = self.over_since.is_some_and(|since| now >= since);
        assert!(!over || !verdict.yields_tokens(), "resurrected: {verdict:?}");
        assert!(!verdict.yields_tokens() || now + 1000 <= self.session.expires_at.millis());
        assert_eq!(self.session.expires_at, at(SIGN_IN + ABSOLUTE));
        // I2.
        assert!(behind < 2 || !verdict.yields_tokens(), "two generations old: {verdict:?}");

        self.check_recovery(behind, presented.rotation, now, &verdict);
        self.check_writing(&before, &verdict);

        if verdict.yields_tokens() {
            let life = self.give();
            assert!(life.exp <= self.session.expires_at.seconds() && life.exp > life.iat);
            // I1.
            assert!(self.given[&self.session.chain.generation].len() <= 2, "a third access token: {verdict:?}");
        }
        if verdict == Verdict::Reuse {
            self.end(RevokeReason::ReuseDetected);
        } else if verdict == Verdict::RolledBack {
            self.end(RevokeReason::RolledBack);
        } else if verdict == Verdict::Refuse(Refusal::Expired) {
            self.over_since = Some(self.over_since.map_or(now, |since| since.min(now)));
        }
        verdict
    }

    /// I3 and I4: what the predecessor is worth.
    fn check_recovery(&mut self, behind: i64, rotation: Rotation, now: i64, verdict: &Verdict) {
        let ended = self.session.revocation.is_none() && self.session.ends_at().millis() - now < 1000;
        assert_eq!(*verdict == Verdict::Refuse(Refusal::Expired), ended);
        if matches!(verdict, Verdict::Refuse(_)) {
            // There is no grant to exceed here but the rotation.
            let undeclared = rotation == Rotation::WhenDue && !self.policy.rotation_when_due;
            assert!(*verdict != Verdict::Refuse(Refusal::Grant(Grant::Rotation)) || undeclared);
            return;
        }
        let generation = self.session.chain.generation;
        if let (1, Some(life)) = (behind, self.recovered.get(&generation)) {
            assert_eq!(*verdict, Verdict::Repeat);
            assert_eq!(self.session.access_token_life(), *life);
            return;
        }
        let in_a_row = (1..generation).rev().take_while(|older| self.recovered.contains_key(older)).count();
        let too_many = u32::try_from(in_a_row).unwrap() >= self.policy.recovery_limit;
        let in_leeway = at(now).since(self.session.chain.rotated_at) < self.policy.leeway;
        let recovers = matches!(verdict, Verdict::Recover(_));
        assert_eq!(recovers, behind == 1 && !in_leeway && !too_many, "{in_a_row} in a row: {verdict:?}");
        assert!(behind != 1 || recovers || *verdict == if in_leeway { Verdict::Replay } else { Verdict::Reuse });
        if recovers {
            self.recovered.insert(generation, self.session.access_token_life());
        }
    }

    /// I5, and which way the columns may move.
    fn check_writing(&self, before: &Chain, verdict: &Verdict) {
        let after = self.session.chain;
        match verdict {
            Verdict::Rotate(_) => assert_eq!(after.generation, before.generation + 1),
            Verdict::Heal(_) => assert!(after.generation > before.generation + 1),
            Verdict::Recover(_) => {
                let Chain { recovered_generation, recovered_at, recovery_streak, .. } = after;
                let else_unchanged = Chain { recovered_generation, recovered_at, recovery_streak, ..*before };
                assert_eq!(after, else_unchanged);
                assert!(recovered_at >= before.rotated_at && recovered_generation == before.generation);
            }
            Verdict::Refuse(_) | Verdict::Current | Verdict::Repeat | Verdict::Replay | Verdict::Stale => {
                assert_eq!(after, *before);
            }
            Verdict::Reuse | Verdict::RolledBack => assert_eq!(after, *before),
        }
        assert!(after.rotated_at >= before.rotated_at, "the rotation went back");
        assert!(after.idle_expires_at >= before.idle_expires_at, "idle went back");
        assert!(after.idle_expires_at <= self.session.expires_at, "idle went past the absolute end");
        assert!(after.burst_generation <= after.generation);
    }
}

const ABSOLUTE: i64 = 10 * 24 * 3_600_000;

/// Ten days at most, and a day idle.
pub(super) fn fresh() -> Session {
    Session { expires_at: at(SIGN_IN + ABSOLUTE), ..session() }
}

#[test]
fn the_random_operations_come_to_every_verdict() {
    let mut runner = TestRunner::deterministic();
    let runs = (policy(), prop::collection::vec(operation(), 1..80));
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let (policy, operations) = runs.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(fresh(), policy);
        for operation in &operations {
            world.run(operation);
        }
        seen.append(&mut world.seen);
    }
    let all = [
        "current",
        "healed",
        "recovered",
        "refused",
        "repeated",
        "replayed",
        "reuse",
        "rolled_back",
        "rotated",
        "stale",
    ];
    assert_eq!(seen, BTreeSet::from(all));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn every_promise_holds_after_every_step(
        policy in policy(),
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        let mut world = World::new(fresh(), policy);
        for operation in &operations {
            world.run(operation);
        }
    }

    #[test]
    fn rotating_for_ever_never_outlives_the_absolute_end(
        policy in policy(),
        waits in prop::collection::vec(60_000..23 * 3_600_000_i64, 100),
    ) {
        let mut world = World::new(fresh(), policy);
        for wait in waits {
            world.now += wait;
            let verdict = world.present(bare(world.session.chain.generation), world.now);
            let over = world.now + 1000 > SIGN_IN + ABSOLUTE;
            prop_assert_eq!(verdict == Verdict::Refuse(Refusal::Expired), over);
            prop_assert_eq!(matches!(verdict, Verdict::Rotate(_)), !over);
        }
        prop_assert_eq!(world.session.lifetimes, fresh().lifetimes);
    }
}
