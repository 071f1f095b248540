//! The owner and a thief with copies of the same refresh token: what the thief gains before the session ends.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::invariants::{World, fresh, policy};
use super::*;

/// One of two who hold a copy of the same refresh token.
struct Holder {
    token: u32,
    gained: BTreeSet<(u32, i64)>,
}

impl Holder {
    /// Stores what it is given, as every client does; `false` once the session is over.
    fn refreshes(&mut self, world: &mut World) -> bool {
        let verdict = world.present(bare(self.token), world.now);
        if verdict.yields_tokens() {
            self.token = world.session.chain.generation;
            self.gained.insert((self.token, world.session.access_token_life().iat));
        }
        world.over_since.is_none()
    }
}

/// Both refresh once a round, the thief first where `thief_first` says so, never within the leeway of each other. What
/// the thief has gained when the session ends.
fn stolen(policy: Policy, rounds: &[(bool, i64, i64)]) -> usize {
    let leeway = i64::try_from(policy.leeway.as_millis()).unwrap();
    let mut world = World::new(fresh(), policy);
    let holder = || Holder { token: 1, gained: BTreeSet::new() };
    let (mut owner, mut thief) = (holder(), holder());
    for &(thief_first, pause, lag) in rounds {
        for (is_thief, wait) in [(thief_first, pause), (!thief_first, lag)] {
            world.now += leeway + wait;
            let holder = if is_thief { &mut thief } else { &mut owner };
            if !holder.refreshes(&mut world) {
                return thief.gained.len();
            }
        }
    }
    panic!("the thief was never caught");
}

fn rounds() -> impl Strategy<Value = Vec<(bool, i64, i64)>> {
    let wait = || prop_oneof![Just(0), 0..90_000_i64, 0..900_000_i64];
    prop::collection::vec((any::<bool>(), wait(), wait()), 5)
}

fn always(thief_first: bool, rounds: &[(bool, i64, i64)]) -> Vec<(bool, i64, i64)> {
    rounds.iter().map(|&(_, pause, lag)| (thief_first, pause, lag)).collect()
}

proptest! {
    #[test]
    fn a_thief_who_shadows_the_owner_gets_as_many_access_tokens_as_the_limit(policy in policy(), rounds in rounds()) {
        prop_assert_eq!(stolen(policy, &always(false, &rounds)), policy.recovery_limit as usize);
        prop_assert_eq!(stolen(POLICY, &always(false, &rounds)), 2);
    }

    #[test]
    fn a_thief_who_goes_first_gets_one_more(policy in policy(), rounds in rounds()) {
        prop_assert_eq!(stolen(policy, &always(true, &rounds)), policy.recovery_limit as usize + 1);
        prop_assert_eq!(stolen(POLICY, &always(true, &rounds)), 3);
    }

    #[test]
    fn a_thief_who_changes_about_gets_no_more_than_that(policy in policy(), rounds in rounds()) {
        prop_assert!(stolen(policy, &rounds) <= policy.recovery_limit as usize + 1);
    }

    #[test]
    fn a_thief_parked_on_the_spent_token_gets_two(policy in policy(), waits in prop::collection::vec(0..90_000_i64, 1..50)) {
        let mut world = World::new(fresh(), policy);
        let mut owner = Holder { token: 1, gained: BTreeSet::new() };
        owner.refreshes(&mut world);
        let mut gained = BTreeSet::new();
        for wait in waits {
            world.now += wait;
            let yielded = world.present(bare(1), world.now).yields_tokens();
            gained.extend(yielded.then(|| world.session.access_token_life().iat));
        }
        prop_assert!(gained.len() <= 2);
        // And once the owner is back and the burst is over, nothing but an end to it.
        world.now += 900_000;
        owner.refreshes(&mut world);
        world.now += 900_000;
        let verdict = world.present(bare(1), world.now);
        prop_assert!(matches!(verdict, Verdict::Reuse | Verdict::Refuse(Refusal::Revoked)), "{verdict:?}");
    }
}
