//! Which of the seeded sessions a run refreshes: a shuffle of all of them, cut into samples of one size. It is the same in
//! every run, and nothing of it is kept in memory.

/// The numbers of the sample with this number, in the order in which they are refreshed.
pub(super) fn sample(sessions: u32, number: u32, size: usize) -> impl Iterator<Item = u32> {
    let first = u64::from(number) * size as u64;
    (first..first + size as u64).map(move |at| shuffled(at, sessions))
}

/// Where this place of the order is shuffled to. A Feistel network permutes the numbers below a power of four; whoever
/// lands beyond the sessions goes on until it is among them, and so no two end at the same.
fn shuffled(at: u64, sessions: u32) -> u32 {
    let half = (u64::from(sessions).next_power_of_two().trailing_zeros().div_ceil(2)).max(1);
    let mut place = at;
    loop {
        place = permuted(place, half);
        if let Some(number) = u32::try_from(place).ok().filter(|number| *number < sessions) {
            return number;
        }
    }
}

fn permuted(place: u64, half: u32) -> u64 {
    let mask = (1 << half) - 1;
    let (mut left, mut right) = (place >> half, place & mask);
    for round in 1..=4 {
        (left, right) = (right, left ^ mixed(right << 3 | round) & mask);
    }
    left << half | right
}

/// The finisher of splitmix64: every bit of the answer hangs on every bit of the number.
fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_samples_are_disjoint_and_together_everything() {
        let all: BTreeSet<_> = (0..7).flat_map(|number| sample(7007, number, 1001)).collect();
        assert_eq!((all.len(), all.last()), (7007, Some(&7006)));
    }

    #[test]
    fn a_sample_is_spread_over_all() {
        let mut tenths = [0_u32; 10];
        for number in sample(1_000_000, 3, 10_000) {
            tenths[(number / 100_000) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (900..=1100).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn every_place_is_a_session(sessions in 1u32..3_000_000, at in 0u64..3_000_000) {
            prop_assert!(shuffled(at % u64::from(sessions), sessions) < sessions);
        }
    }
}
