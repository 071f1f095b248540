//! The ring of a running service: loaded at start, followed while others change it, and changed when the plan says so.
//! The plan is made by [`crate::keys::plan`]; each change is applied only to the ring it was made for, so that any number
//! of replicas agree.

mod unreadable;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::Mutex;
use uuid::{Builder, Uuid};

use self::unreadable::{apart, tell};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::keys::plan::{Change, Policy, plan};
use crate::keys::ring::KeyState;
use crate::keys::seal::Closed;
use crate::keys::{MasterKeys, Ring, SigningKey};
use crate::service::Skew;
use crate::store::{self, Store, StoredKey};
use crate::time::Timestamp;

/// Why the keys cannot be used: a sentence for whoever starts the process, with what to do.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error(
        "this database belongs to the issuer {stored}, not {configured}: set SYMBOLON_ISSUER={stored}, or use another database"
    )]
    OtherIssuer { stored: String, configured: String },
    #[error(
        "master key {0} is not the key that was used under this id before: give the right key, or give the new one another id"
    )]
    OtherMasterKey(u8),
    #[error(
        "the active signing key {key_id} cannot be opened: it is {closed}. Add that master key to SYMBOLON_MASTER_KEYS, or, if it is lost, run `symbolon keys give-up` with its id"
    )]
    ActiveKeyClosed { key_id: String, closed: Closed },
    #[error(
        "no key signs, and the one that is published to sign next cannot be opened: add its master key to SYMBOLON_MASTER_KEYS, or, if it is lost, run `symbolon keys give-up` with its id"
    )]
    NobodySigns,
    #[error(
        "this database is being restored, or a restore ended early: run `symbolon restore` (again), then start this"
    )]
    BeingRestored,
    #[error("no key signs yet, and none is made at a wrong time: {0}")]
    WrongClock(String),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What the keyring is made of.
pub struct Parts {
    pub store: Store,
    pub master_keys: MasterKeys,
    pub issuer: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub audit: Arc<Audit>,
    pub skew: Arc<Skew>,
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long it is published before it signs.
    pub publish_ahead: Duration,
}

/// The signing keys of one issuer.
pub struct Keyring {
    parts: Parts,
    /// Of the database.
    epoch: Uuid,
    /// Seconds: the longest life an access token was ever granted here, as far as is known.
    longest_token: AtomicU64,
    ring: ArcSwap<Ring>,
    /// Taken by whoever reads the ring and makes it the current one: an older reading must not come later. What could not
    /// be read the last time.
    reading: Mutex<Vec<String>>,
}

/// How many changes may follow from each other at once: a first key is published, signs, and has a successor published.
const STEPS: usize = 4;

impl Keyring {
    /// Loads the ring of this issuer, and makes its first keys if there are none.
    pub async fn open(parts: Parts) -> Result<Self, LoadError> {
        let Parts { store, master_keys, issuer, entropy, .. } = &parts;
        let identity = store.identify(issuer, Builder::from_random_bytes(entropy.bytes()).into_uuid()).await?;
        if identity.issuer != *issuer {
            return Err(LoadError::OtherIssuer { stored: identity.issuer, configured: issuer.clone() });
        }
        if identity.is_being_restored() {
            return Err(LoadError::BeingRestored);
        }
        for key in master_keys.iter() {
            if !store.recognise_master_key(key.id(), key.check_value()).await? {
                return Err(LoadError::OtherMasterKey(key.id()));
            }
        }
        let nobody_signs = Ring::new(Err(Closed::Forgotten), Vec::new(), Duration::ZERO);
        let keyring = Self {
            epoch: identity.epoch,
            longest_token: AtomicU64::new(identity.longest_access_token_ttl.as_secs()),
            ring: ArcSwap::from_pointee(nobody_signs),
            reading: Mutex::default(),
            parts,
        };
        keyring.tend().await?;
        let ring = keyring.ring();
        let Err(closed) = ring.signer() else { return Ok(keyring) };
        // Perhaps it is the one that signs which cannot be read.
        keyring.parts.store.signing_keys(false).await?;
        let active = ring.members().iter().find(|member| member.state == KeyState::Active);
        if let (None, Some(sentence)) = (active, keyring.parts.skew.sentence()) {
            return Err(LoadError::WrongClock(sentence));
        }
        let key_id = active.map(|active| active.public.key_id().to_owned()).ok_or(LoadError::NobodySigns)?;
        Err(LoadError::ActiveKeyClosed { key_id, closed })
    }

    /// The ring as it is now.
    #[must_use]
    pub fn ring(&self) -> Arc<Ring> {
        self.ring.load_full()
    }

    /// Drawn anew when the database was restored.
    #[must_use]
    pub fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// The schedule keys are kept to.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy {
            rotate_every: self.parts.rotate_every,
            publish_ahead: self.parts.publish_ahead,
            longest_token: Duration::from_secs(self.longest_token.load(Ordering::Acquire)),
        }
    }

    /// Remembers, before it is done, that access tokens of this life are granted: keys verify for that long after they
    /// signed. Asks the database only if no longer one was ever granted.
    pub async fn grants(&self, ttl: Duration) -> Result<(), store::Error> {
        if ttl.as_secs() > self.longest_token.load(Ordering::Acquire) {
            self.parts.store.remember_access_token_ttl(ttl).await?;
            self.longest_token.fetch_max(ttl.as_secs(), Ordering::AcqRel);
        }
        Ok(())
    }

    /// Learns what other replicas have granted.
    pub async fn learn_longest_token(&self) -> Result<(), store::Error> {
        let identity = self.parts.store.identity().await?;
        self.longest_token.fetch_max(identity.longest_access_token_ttl.as_secs(), Ordering::AcqRel);
        Ok(())
    }

    /// Follows the ring in the database, and does what is due. Answers the keys that are not gone, as far as they can be
    /// read: what is due is not known of a ring that cannot be read whole.
    pub async fn tend(&self) -> Result<Vec<StoredKey>, store::Error> {
        let mut told = self.reading.lock().await;
        let mut steps = 0;
        loop {
            let (keys, unreadable) = apart(self.parts.store.each_signing_key(false).await?);
            // Perhaps it is the one that signs: then it does so as it was known.
            if unreadable.is_empty() || !self.signer_is_missing(&keys) {
                self.adopt(&keys);
            }
            tell(&unreadable, &told);
            told.clone_from(&unreadable);
            if !unreadable.is_empty() {
                return Ok(keys);
            }
            let now = self.parts.clock.now();
            let mut due = self.due(&keys, now);
            if due.iter().any(|change| matches!(change, Change::Bury { .. })) {
                // Another replica may have granted longer tokens a moment ago.
                self.learn_longest_token().await?;
                due = self.due(&keys, now);
            }
            steps += 1;
            if due.is_empty() || steps > STEPS {
                return Ok(keys);
            }
            for change in due {
                self.apply(&change, &keys, now).await?;
            }
        }
    }

    fn signer_is_missing(&self, keys: &[StoredKey]) -> bool {
        let ring = self.ring();
        let signs = ring.signer().map(|signer| signer.public().key_id());
        signs.is_ok_and(|signs| keys.iter().all(|key| key.member.public.key_id() != signs))
    }

    /// The keys, gone ones too, as far as they can be read.
    pub async fn readable(&self) -> Result<Vec<StoredKey>, store::Error> {
        Ok(apart(self.parts.store.each_signing_key(true).await?).0)
    }

    fn due(&self, keys: &[StoredKey], now: Timestamp) -> Vec<Change> {
        if self.parts.skew.check().is_err() {
            return Vec::new();
        }
        let members: Vec<_> = keys.iter().map(|key| key.member.clone()).collect();
        plan(&members, now, &self.policy()).into_iter().filter(|change| self.can_do(change, keys)).collect()
    }

    /// A key that nobody here could sign with is not made to sign here: replicas that hold its master key will do it.
    fn can_do(&self, change: &Change, keys: &[StoredKey]) -> bool {
        match change {
            Change::Activate { key_id, .. } => keys
                .iter()
                .find(|key| key.member.public.key_id() == key_id)
                .is_some_and(|key| self.open_key(key).is_ok()),
            Change::Publish | Change::Bury { .. } => true,
        }
    }

    async fn apply(&self, change: &Change, keys: &[StoredKey], now: Timestamp) -> Result<(), store::Error> {
        let Parts { store, master_keys, issuer, entropy, audit, .. } = &self.parts;
        match change {
            Change::Publish => {
                let fresh = SigningKey::generate(entropy.as_ref());
                let sealed = fresh.seal(master_keys, issuer, entropy.as_ref());
                if store.publish_key(fresh.public(), &sealed, now).await? {
                    audit.signing_key("published", fresh.public().key_id(), "scheduled", None);
                }
            }
            Change::Activate { key_id, retired } => {
                if store.activate_key(key_id, retired.as_deref(), now).await? {
                    let asked = |key: &StoredKey| key.member.public.key_id() == key_id && key.member.asked_at.is_some();
                    let reason = if keys.iter().any(asked) { "requested" } else { "scheduled" };
                    audit.signing_key("activated", key_id, reason, None);
                    if let Some(retired) = retired {
                        audit.signing_key("retired", retired, reason, None);
                    }
                }
            }
            Change::Bury { key_id } => {
                if store.bury_key(key_id, now).await? {
                    audit.signing_key("gone", key_id, "scheduled", None);
                }
            }
        }
        Ok(())
    }

    /// Makes these the ring, if they are not already.
    fn adopt(&self, keys: &[StoredKey]) {
        let max_age = self.policy().jwks_max_age();
        let known = self.ring.load();
        let changed = !known.members().iter().eq(keys.iter().map(|key| &key.member));
        // What could not be opened may have been sealed anew, which changes no member.
        if !changed && known.signer().is_ok() {
            return;
        }
        let find = |state| keys.iter().find(|key| key.member.state == state);
        let signer = find(KeyState::Active).map_or(Err(Closed::Forgotten), |active| self.open_key(active));
        if changed {
            if let Some(closed) = find(KeyState::Active).and(signer.as_ref().err()) {
                tracing::error!(%closed, "this replica cannot sign");
            }
            if let Some(closed) = find(KeyState::Pending).and_then(|pending| self.open_key(pending).err()) {
                tracing::warn!(%closed, "this replica cannot sign with the next signing key: \
                    give it that master key before the key is active");
            }
        }
        let members = keys.iter().map(|key| key.member.clone()).collect();
        self.ring.store(Arc::new(Ring::new(signer, members, max_age)));
    }

    /// Sets the figures of keys.
    pub fn measure(&self) {
        let ring = self.ring();
        for state in [KeyState::Pending, KeyState::Active, KeyState::Retiring, KeyState::Compromised] {
            let count = ring.members().iter().filter(|member| member.state == state).count();
            metrics::gauge!("symbolon_signing_keys", "state" => state.name())
                .set(u32::try_from(count).unwrap_or(u32::MAX));
        }
        let active = ring.members().iter().find(|member| member.state == KeyState::Active);
        if let Some(at) = active.and_then(|active| active.activated_at) {
            let at = u32::try_from(at.seconds()).unwrap_or(u32::MAX);
            metrics::gauge!("symbolon_signing_key_activated_timestamp_seconds").set(at);
        }
    }

    /// The pair of this key, if a master key that is held opens it.
    pub fn open_key(&self, key: &StoredKey) -> Result<SigningKey, Closed> {
        let sealed = key.sealed.as_ref().ok_or(Closed::Forgotten)?;
        SigningKey::open(&self.parts.master_keys, &self.parts.issuer, &key.member.public, sealed)
    }
}
