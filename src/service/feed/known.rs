//! What a replica knows to be over: numbered in the order in which it became known here, so that whoever reads it stands at
//! a number. It knows no database, no clock and no reader.

use std::collections::{BTreeMap, HashSet};

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
    entries: BTreeMap<u64, Entry>,
    sessions: HashSet<SessionId>,
    keys: HashSet<String>,
    next: u64,
    /// Whatever ended before this is among them.
    pub(super) complete_to: Timestamp,
}

impl Known {
    /// The number of the next entry.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn has_ended(&self, id: SessionId) -> bool {
        self.sessions.contains(&id)
    }

    pub(super) fn learn(&mut self, entry: Entry) {
        let is_new = match &entry {
            Entry::Session(ended) => self.sessions.insert(ended.id),
            Entry::Key(key) => self.keys.insert(key.key_id.clone()),
        };
        if is_new {
            self.entries.insert(self.next, entry);
            self.next += 1;
        }
    }

    /// The entries from a number to before another, at most this many; and the number to go on from.
    pub(super) fn read(&self, from: u64, to: u64, most: usize) -> (Vec<Entry>, u64) {
        let mut numbered = self.entries.range(from..to.max(from));
        let entries: Vec<_> = numbered.by_ref().take(most).map(|(_, entry)| entry.clone()).collect();
        (entries, numbered.next().map_or(to.max(from), |(number, _)| *number))
    }

    /// The sessions that ended between two times and are not among these.
    pub(super) fn untold(&self, told: &HashSet<SessionId>, after: Timestamp, before: Timestamp) -> Vec<Ended> {
        let ended = self.entries.values().filter_map(|entry| match entry {
            Entry::Session(ended) => Some(ended),
            Entry::Key(_) => None,
        });
        let within = |ended: &&Ended| after < ended.revocation.at && ended.revocation.at < before;
        ended.filter(within).filter(|ended| !told.contains(&ended.id)).cloned().collect()
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        let Self { entries, sessions, keys, .. } = self;
        entries.retain(|_, entry| {
            let matters = entry.forgotten_at() > now;
            if !matters {
                match entry {
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
