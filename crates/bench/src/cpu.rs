//! CPU time of processes and all their children, from Linux's /proc. Reading is thin; what was used between two readings
//! is a pure function, in which a process that ended meanwhile neither is forgotten nor makes the sum negative.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::Failure;

/// Ticks a second in /proc, whatever the kernel's own are (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A process: its number may be given to another later, but not with the same start.
type Id = (u32, u64);

/// What every process of some trees has used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading(BTreeMap<Id, Times>);

/// In ticks; `waited` is of children that ended and were waited for, theirs included.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    own: Ticks,
    waited: Ticks,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    user: u64,
    system: u64,
}

/// One line of /proc/N/stat, as far as it matters.
#[derive(Clone, Copy, Debug)]
struct Stat {
    id: Id,
    parent: u32,
    times: Times,
}

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Used {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Reading {
    /// Of these processes and all their children.
    ///
    /// # Errors
    /// If one of them is not there, or there is no /proc.
    pub(crate) fn trees(roots: &[u32]) -> Result<Self, Failure> {
        if roots.is_empty() {
            return Ok(Self::default());
        }
        let all = every()?;
        if let Some(missing) = roots.iter().find(|root| all.iter().all(|stat| stat.id.0 != **root)) {
            return Err(format!("there is no process {missing}, and its CPU time was asked for").into());
        }
        Ok(Self(tree(&all, roots)))
    }

    /// Of this process without the others it may have started.
    pub(crate) fn own() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|line| parse(&line));
        Self(stat.into_iter().map(|stat| (stat.id, Times { waited: Ticks::default(), ..stat.times })).collect())
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> Used {
        let of = |ticks: fn(Ticks) -> u64| {
            let before = |id: &Id| earlier.0.get(id).copied().unwrap_or_default();
            let sum = |pick: &dyn Fn(&Id, &Times) -> u64| self.0.iter().map(|(id, times)| pick(id, times)).sum::<u64>();
            let alive = sum(&|id, now| ticks(now.own).saturating_sub(ticks(before(id).own)));
            // What a process used in its whole life is its parent's once it was waited for; we saw some of it before.
            let waited = sum(&|id, now| ticks(now.waited).saturating_sub(ticks(before(id).waited)));
            let gone = earlier.0.iter().filter(|(id, _)| !self.0.contains_key(id));
            let seen: u64 = gone.map(|(_, times)| ticks(times.own) + ticks(times.waited)).sum();
            seconds(alive + waited.saturating_sub(seen))
        };
        Used { user: of(|ticks| ticks.user), system: of(|ticks| ticks.system) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it would take millions of years of CPU")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS
}

fn every() -> Result<Vec<Stat>, Failure> {
    let numbers = fs::read_dir("/proc").map_err(|error| format!("CPU time is read from /proc: {error}"))?;
    let numbers = numbers.flatten().filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
    // What ended since it was listed is no error.
    Ok(numbers.filter_map(|entry| parse(&fs::read_to_string(entry.path().join("stat")).ok()?)).collect())
}

/// proc(5): the name is in parentheses and may hold anything, spaces and parentheses too.
fn parse(line: &str) -> Option<Stat> {
    let (number, rest) = line.split_once(" (")?;
    let fields: Vec<&str> = rest.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        id: (number.parse().ok()?, field(19)?),
        parent: u32::try_from(field(1)?).ok()?,
        times: Times {
            own: Ticks { user: field(11)?, system: field(12)? },
            waited: Ticks { user: field(13)?, system: field(14)? },
        },
    })
}

/// Those of all processes that are these or descend from them.
fn tree(all: &[Stat], roots: &[u32]) -> BTreeMap<Id, Times> {
    let mut wanted: BTreeSet<u32> = roots.iter().copied().collect();
    loop {
        let before = wanted.len();
        wanted
            .extend(all.iter().filter(|stat| wanted.contains(&stat.parent)).map(|stat| stat.id.0).collect::<Vec<_>>());
        if wanted.len() == before {
            break;
        }
    }
    all.iter().filter(|stat| wanted.contains(&stat.id.0)).map(|stat| (stat.id, stat.times)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(number: u32, parent: u32, own: u64, waited: u64) -> Stat {
        let ticks = |user| Ticks { user, system: 0 };
        Stat { id: (number, 7), parent, times: Times { own: ticks(own), waited: ticks(waited) } }
    }

    fn user(earlier: &[Stat], later: &[Stat]) -> f64 {
        let [earlier, later] = [earlier, later].map(|all| Reading(tree(all, &[1])));
        later.since(&earlier).user
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn a_line_is_read_whatever_the_process_is_called() {
        let line = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 0 0 0 11 12 13 14 20 0 3 0 99 1 1";
        let stat = parse(line).unwrap();
        assert_eq!((stat.id, stat.parent), ((42, 99), 1));
        assert_eq!(stat.times.own, Ticks { user: 11, system: 12 });
        assert_eq!(stat.times.waited, Ticks { user: 13, system: 14 });
    }

    #[test]
    fn grandchildren_count_and_strangers_do_not() {
        let earlier = [stat(3, 2, 10, 0), stat(1, 0, 10, 0), stat(2, 1, 10, 0), stat(9, 8, 10, 0)];
        let later = [stat(3, 2, 30, 0), stat(1, 0, 20, 0), stat(2, 1, 10, 0), stat(9, 8, 99, 0)];
        assert!(close(user(&earlier, &later), 0.3));
    }

    #[test]
    fn a_child_that_ended_counts_for_what_it_used_since() {
        let earlier = [stat(1, 0, 10, 0), stat(2, 1, 500, 0)];
        let later = [stat(1, 0, 15, 520)];
        assert!(close(user(&earlier, &later), 0.25));
    }

    #[test]
    fn a_child_that_came_and_ended_between_counts_whole() {
        assert!(close(user(&[stat(1, 0, 10, 0)], &[stat(1, 0, 10, 40)]), 0.4));
    }

    #[test]
    fn a_child_nobody_waited_for_makes_nothing_negative() {
        let earlier = [stat(1, 0, 10, 0), stat(2, 1, 500, 0)];
        assert!(close(user(&earlier, &[stat(1, 0, 30, 0)]), 0.2));
        assert!(close(user(&earlier, &[]), 0.0));
    }

    #[test]
    fn another_process_with_the_number_of_one_that_ended_is_another() {
        let earlier = [stat(1, 0, 0, 0), stat(2, 1, 500, 0)];
        let mut reborn = stat(2, 1, 3, 0);
        reborn.id.1 = 8;
        assert!(close(user(&earlier, &[stat(1, 0, 0, 500), reborn]), 0.03));
    }
}
