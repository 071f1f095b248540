//! `KeyService`: looking at the signing keys, and changing them on the bad day. On all other days they change by
//! themselves: see [`crate::service::keyring`].

use std::cmp::Reverse;

use crate::keys::plan::{Schedule, schedule};
use crate::keys::ring::{KeyState, Member};
use crate::service::{Caller, Error, Service};
use crate::store::StoredKey;

/// A key, and when it does what.
#[derive(Clone, Debug)]
pub struct KeyView {
    pub key: Member,
    pub schedule: Schedule,
}

/// How often a lost race is run again.
const ATTEMPTS: usize = 5;

impl Service {
    /// The keys of the ring in the order of their life: the next to sign first. With `ended` also those that verify no more.
    pub async fn list_keys(&self, ended: bool) -> Result<Vec<KeyView>, Error> {
        let stored = self.store.signing_keys(ended).await?;
        let ring: Vec<_> = stored.into_iter().map(|key| key.member).collect();
        let mut listed: Vec<_> = ring.iter().filter(|key| ended || key.state.is_published()).collect();
        listed.sort_by_key(|key| (key.state, Reverse(key.created_at)));
        Ok(listed.into_iter().map(|key| self.view(key, &ring)).collect())
    }

    /// Has the next key sign as soon as verifiers have had time to fetch it, or at once. Answers the one that signs next,
    /// or already. Asking again while that is under way changes nothing.
    pub async fn rotate_key(&self, caller: &Caller, at_once: bool) -> Result<KeyView, Error> {
        for _ in 0..ATTEMPTS {
            let ring = self.tend_keys().await?;
            let find = |state| ring.iter().find(|key| key.state == state);
            let (Some(pending), Some(active)) = (find(KeyState::Pending), find(KeyState::Active)) else { continue };
            let (next, now) = (pending.public.key_id(), self.now());
            let is_new = |since| now.since(since) < self.keyring.policy().publish_ahead;
            if !at_once && active.asked_at.is_some() && active.activated_at.is_some_and(is_new) {
                return Ok(self.view(active, &ring));
            }
            let changed = if at_once {
                self.store.activate_key(next, Some(active.public.key_id()), now).await?
            } else {
                pending.asked_at.is_some() || self.store.ask_for_key(next, now).await?
            };
            if !changed {
                continue;
            }
            let told = |change, key: &str| self.audit.signing_key(change, key, "requested", Some(&caller.name));
            if at_once {
                told("activated", next);
                told("retired", active.public.key_id());
            } else if pending.asked_at.is_none() {
                told("asked_for", next);
            }
            let ring = self.tend_keys().await?;
            let signs_next = ring.iter().find(|key| key.public.key_id() == next);
            return signs_next.map(|key| self.view(key, &ring)).ok_or(Error::SigningKeyNotFound);
        }
        Err(Error::StoreUnavailable("the signing keys changed at every attempt".into()))
    }

    /// Takes a key out of use at once, and has the next one sign if it signed. Answers the one that signs now.
    pub async fn revoke_key(&self, caller: &Caller, key_id: &str) -> Result<KeyView, Error> {
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let keys: Vec<_> = self.store.signing_keys(true).await?.into_iter().map(|key| key.member).collect();
            let key = keys.iter().find(|key| key.public.key_id() == key_id).ok_or(Error::SigningKeyNotFound)?;
            if key.state != KeyState::Compromised {
                let pending = keys.iter().find(|key| key.state == KeyState::Pending);
                let successor = pending.filter(|_| key.state == KeyState::Active).map(|key| key.public.key_id());
                if !self.store.compromise_key(key, successor, now).await? {
                    continue;
                }
                self.audit.signing_key("revoked", key_id, "compromised", Some(&caller.name));
                if let Some(successor) = successor {
                    self.audit.signing_key("activated", successor, "compromised", Some(&caller.name));
                }
            }
            let ring = self.tend_keys().await?;
            let active = ring.iter().find(|key| key.state == KeyState::Active);
            return active
                .map(|key| self.view(key, &ring))
                .ok_or_else(|| Error::SigningUnavailable("no key signs".into()));
        }
        Err(Error::StoreUnavailable("the signing keys changed at every attempt".into()))
    }

    /// Follows the ring, does what is due, and tells the feed of keys that were compromised.
    pub(super) async fn tend_keys(&self) -> Result<Vec<Member>, Error> {
        let keys: Vec<_> = self.keyring.tend().await?.into_iter().map(|StoredKey { member, .. }| member).collect();
        self.feed.compromised(&keys);
        Ok(keys)
    }

    fn view(&self, key: &Member, ring: &[Member]) -> KeyView {
        KeyView { key: key.clone(), schedule: schedule(key, ring, &self.keyring.policy()) }
    }
}
