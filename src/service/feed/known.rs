//! What a replica knows to be over: numbered in the order in which it became known here, so that whoever reads it stands at
//! a number. It knows no database, no clock and no reader.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::session::{Ended, SessionId};
use crate::time::Timestamp;

/// A key whose tokens are to be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedKey {
    pub key_id: String,
    /// When nobody can believe it any more.
    pub forgotten_at: Timestamp,
}

/// One thing that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Session(Ended),
    Key(RevokedKey),
}

/// Everything that is over and matters yet.
#[derive(Default)]
pub(super) struct Known {
    entries: BTreeMap<u64, Numbered>,
    /// The number of each.
    sessions: HashMap<SessionId, u64>,
    keys: HashMap<String, u64>,
    next: u64,
    /// Whatever ended before this is among them.
    pub(super) complete_to: Timestamp,
}

struct Numbered {
    entry: Entry,
    /// When it became known here.
    known_at: Timestamp,
}

impl Known {
    /// The number of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Up to when whoever stands at this number knows everything, if that can be said.
    pub(super) fn complete_at(&self, number: u64) -> Option<Timestamp> {
        (number == self.next).then_some(self.complete_to)
    }

    pub(super) fn has_ended(&self, id: SessionId) -> bool {
        self.sessions.contains_key(&id)
    }

    /// Takes what is new: what was not known, or matters longer than was known.
    pub(super) fn learn(&mut self, entry: Entry, now: Timestamp) {
        let before = match &entry {
            Entry::Session(ended) => self.sessions.get(&ended.id),
            Entry::Key(key) => self.keys.get(&key.key_id),
        };
        if let Some(before) = before {
            if self.entries.get(before).is_some_and(|it| it.entry.forgotten_at() >= entry.forgotten_at()) {
                return;
            }
            self.entries.remove(before);
        }
        match &entry {
            Entry::Session(ended) => self.sessions.insert(ended.id, self.next),
            Entry::Key(key) => self.keys.insert(key.key_id.clone(), self.next),
        };
        self.entries.insert(self.next, Numbered { entry, known_at: now });
        self.next += 1;
    }

    /// The entries from a number to before another that became known at a time or later, at most this many; and the number
    /// to go on from.
    pub(super) fn read(&self, from: u64, to: u64, known_from: Timestamp, most: usize) -> (Vec<Entry>, u64) {
        let numbered = self.entries.range(from..to.max(from));
        let mut wanted = numbered.filter(|(_, it)| it.known_at >= known_from);
        let entries: Vec<_> = wanted.by_ref().take(most).map(|(_, it)| it.entry.clone()).collect();
        (entries, wanted.next().map_or(to.max(from), |(number, _)| *number))
    }

    /// The sessions that ended between two times and are not among these.
    pub(super) fn untold(&self, told: &HashSet<SessionId>, after: Timestamp, before: Timestamp) -> Vec<Ended> {
        let ended = self.entries.values().filter_map(|it| match &it.entry {
            Entry::Session(ended) => Some(ended),
            Entry::Key(_) => None,
        });
        let within = |ended: &&Ended| after < ended.revocation.at && ended.revocation.at < before;
        ended.filter(within).filter(|ended| !told.contains(&ended.id)).cloned().collect()
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        let Self { entries, sessions, keys, .. } = self;
        entries.retain(|_, it| {
            let matters = it.entry.forgotten_at() > now;
            if !matters {
                match &it.entry {
                    Entry::Session(ended) => drop(sessions.remove(&ended.id)),
                    Entry::Key(key) => drop(keys.remove(&key.key_id)),
                }
            }
            matters
        });
    }

    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }
}

impl Entry {
    pub(super) fn forgotten_at(&self) -> Timestamp {
        match self {
            Self::Session(ended) => ended.forgotten_at(),
            Self::Key(key) => key.forgotten_at,
        }
    }
}

#[cfg(test)]
mod tests;
