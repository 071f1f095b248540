//! The rotation plan: what has to change in a ring of signing keys at this moment. Every replica makes the same plan from
//! the same ring, and whoever applies a change first has done it for all. How a change is stored is not known here.

use std::time::Duration;

use crate::keys::ring::{KeyState, Member};
use crate::time::Timestamp;

/// How long keys do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long it is published before it signs.
    pub publish_ahead: Duration,
    /// The longest life an access token was ever given here.
    pub longest_token: Duration,
}

/// One change, to be made only if the ring is still as the plan found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make a key and publish it: pending.
    Publish,
    /// The pending key begins to sign, and the one that signed until now stops.
    Activate { key_id: String, retired: Option<String> },
    /// The last token it signed is dead: the key leaves the JWKS.
    Bury { key_id: String },
}

/// No cache of the JWKS is older, whatever the schedule would allow.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(300);

/// Replicas' clocks differ by no more, and a replica learns within it who signs now.
const MARGIN: Duration = Duration::from_secs(10);

impl Policy {
    /// How long verifiers may keep the JWKS, in whole seconds: at most half the time for which a key is published before it
    /// signs, so that a cache in front of a cache still knows it in time.
    #[must_use]
    pub fn jwks_max_age(&self) -> Duration {
        Duration::from_secs(self.publish_ahead.as_secs() / 2).min(LONGEST_MAX_AGE)
    }

    /// When the pending key begins to sign: when it is due or asked for, and never before verifiers had time to fetch it.
    #[must_use]
    pub fn activates_at(&self, pending: &Member, active: Option<&Member>) -> Timestamp {
        let due = active.and_then(|active| active.activated_at).map(|activated| activated.after(self.rotate_every));
        let wanted = pending.asked_at.or(due).unwrap_or(pending.created_at);
        wanted.max(pending.created_at.after(self.publish_ahead))
    }

    /// When a key that stopped signing leaves the JWKS: the last token it signed has died, wherever it was signed.
    #[must_use]
    pub fn leaves_at(&self, retired_at: Timestamp) -> Timestamp {
        retired_at.after(self.longest_token + self.jwks_max_age() + MARGIN)
    }
}

/// When a key did or will do what, as far as that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// It begins to sign.
    pub activates_at: Option<Timestamp>,
    /// It stops.
    pub retires_at: Option<Timestamp>,
    /// It leaves the JWKS.
    pub leaves_at: Option<Timestamp>,
}

/// The schedule of a key of this ring.
#[must_use]
pub fn schedule(key: &Member, ring: &[Member], policy: &Policy) -> Schedule {
    let find = |state| ring.iter().find(|member| member.state == state);
    let next = || find(KeyState::Pending).map(|pending| policy.activates_at(pending, find(KeyState::Active)));
    let retires_at = match key.state {
        KeyState::Active => next(),
        KeyState::Pending | KeyState::Retiring | KeyState::Gone | KeyState::Compromised => key.retired_at,
    };
    Schedule {
        activates_at: if key.state == KeyState::Pending { next() } else { key.activated_at },
        retires_at,
        leaves_at: key.ended_at.or(retires_at.map(|retires| policy.leaves_at(retires))),
    }
}

/// What has to change now. Nothing, most of the time.
#[must_use]
pub fn plan(ring: &[Member], now: Timestamp, policy: &Policy) -> Vec<Change> {
    let find = |state| ring.iter().find(|member| member.state == state);
    let id = |member: &Member| member.public.key_id().to_owned();
    let (pending, active) = (find(KeyState::Pending), find(KeyState::Active));
    let mut changes = Vec::new();
    match pending {
        // There is always one that every verifier knows, in case the one that signs is lost.
        None => changes.push(Change::Publish),
        // Without one that signs there is nothing to wait for.
        Some(pending) if active.is_none() || policy.activates_at(pending, active) <= now => {
            changes.push(Change::Activate { key_id: id(pending), retired: active.map(id) });
        }
        Some(_) => {}
    }
    let retiring = ring.iter().filter(|member| member.state == KeyState::Retiring);
    let over = retiring.filter(|key| key.retired_at.is_none_or(|retired| policy.leaves_at(retired) <= now));
    changes.extend(over.map(|key| Change::Bury { key_id: id(key) }));
    changes
}

#[cfg(test)]
mod tests;
