//! `KeyService`: looking at the signing keys, and changing them on the bad day. On all other days they change by
//! themselves: see [`crate::service::keyring`].

use std::cmp::Reverse;
use std::time::Duration;

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

/// Within this a rotation that was to be at once is not asked for again, but once more.
const RETRIES: Duration = Duration::from_secs(60);

impl Service {
    /// The keys of the ring in the order of their life: the next to sign first. With `ended` also those that verify no more.
    pub async fn list_keys(&self, ended: bool) -> Result<Vec<KeyView>, Error> {
        let ring: Vec<_> = self.keyring.readable().await?.into_iter().map(|key| key.member).collect();
        let mut listed: Vec<_> = ring.iter().filter(|key| ended || key.state.is_published()).collect();
        listed.sort_by_key(|key| (key.state, Reverse(key.created_at)));
        let policy = self.keyring.policy();
        let view = |key: &Member| KeyView { key: key.clone(), schedule: schedule(key, &ring, &policy) };
        Ok(listed.into_iter().map(view).collect())
    }

    /// Has the next key sign as soon as verifiers have had time to fetch it, or at once. Answers the one that signs next,
    /// or already. Asking again while that is under way changes nothing.
    pub async fn rotate_key(&self, caller: &Caller, at_once: bool) -> Result<KeyView, Error> {
        // The times that are written say when it leaves.
        self.skew.check()?;
        for _ in 0..ATTEMPTS {
            let keys = self.tend_keys().await?;
            let find = |state| keys.iter().find(|key| key.member.state == state);
            let (Some(pending), Some(active)) = (find(KeyState::Pending), find(KeyState::Active)) else { continue };
            let (next, signs, now) = (pending.member.public.key_id(), &active.member, self.now());
            let again = if at_once { RETRIES } else { self.keyring.policy().publish_ahead };
            let is_new = |activated_at| now.since(activated_at) < again;
            if signs.asked_at.is_some() && signs.activated_at.is_some_and(is_new) {
                return self.view(signs.public.key_id(), &keys);
            }
            if pending.member.asked_at.is_none() && self.store.ask_for_key(next, now).await? {
                self.audit.signing_key("asked_for", next, "requested", Some(&caller.name));
            }
            if at_once {
                self.keyring.open_key(pending)?;
                if !self.store.activate_key(next, Some(signs.public.key_id()), now).await? {
                    continue;
                }
                self.audit.signing_key("activated", next, "requested", Some(&caller.name));
                self.audit.signing_key("retired", signs.public.key_id(), "requested", Some(&caller.name));
            }
            return self.view(next, &self.tend_keys().await?);
        }
        Err(Error::StoreUnavailable("the signing keys changed at every attempt".into()))
    }

    /// Takes a key out of use at once, and has the next one sign if it signed. Answers the one that signs now.
    pub async fn revoke_key(&self, caller: &Caller, key_id: &str) -> Result<KeyView, Error> {
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let keys: Vec<_> = self.keyring.readable().await?.into_iter().map(|key| key.member).collect();
            let key = keys.iter().find(|key| key.public.key_id() == key_id).ok_or(Error::SigningKeyNotFound)?;
            if key.state != KeyState::Compromised {
                let pending = keys.iter().find(|key| key.state == KeyState::Pending);
                // Perhaps this replica cannot open it: another one can, and one that signs for a thief must not go on.
                let successor = pending.filter(|_| key.state == KeyState::Active).map(|key| key.public.key_id());
                if !self.store.compromise_key(key, successor, now).await? {
                    continue;
                }
                self.audit.signing_key("revoked", key_id, "compromised", Some(&caller.name));
                if let Some(successor) = successor {
                    self.audit.signing_key("activated", successor, "compromised", Some(&caller.name));
                }
            }
            let keys = self.tend_keys().await?;
            let active = keys.iter().find(|key| key.member.state == KeyState::Active);
            let active = active.map(|key| key.member.public.key_id().to_owned());
            return self.view(&active.ok_or_else(|| Error::SigningUnavailable("no key signs".into()))?, &keys);
        }
        Err(Error::StoreUnavailable("the signing keys changed at every attempt".into()))
    }

    /// Follows the ring, does what is due, and tells the feed of keys that were compromised.
    pub(super) async fn tend_keys(&self) -> Result<Vec<StoredKey>, Error> {
        let keys = self.keyring.tend().await?;
        self.feed.compromised(keys.iter().map(|key| &key.member));
        Ok(keys)
    }

    fn view(&self, key_id: &str, keys: &[StoredKey]) -> Result<KeyView, Error> {
        let ring: Vec<_> = keys.iter().map(|key| key.member.clone()).collect();
        let key = ring.iter().find(|key| key.public.key_id() == key_id).ok_or(Error::SigningKeyNotFound)?;
        Ok(KeyView { key: key.clone(), schedule: schedule(key, &ring, &self.keyring.policy()) })
    }
}
