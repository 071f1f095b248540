//! Building the service from configuration, store and keys. What is ambient, time and dice, is handed in.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Failure;
use super::declared::{callers, clients};
use crate::audit::Audit;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Profile};
use crate::entropy::{Entropy, SystemEntropy};
use crate::keys::MasterKeys;
use crate::service::limits::Rates;
use crate::service::rotations::{Batching, Rotations};
use crate::service::{Feed, Keyring, Limits, Service, Skew, keyring};
use crate::store::Store;
use crate::token::access::AccessTokens;
use crate::token::refresh::RefreshTokens;
use crate::verified::Verified;

/// What is ambient.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// To be compared with the database's before anything is done by it.
    pub skew: Arc<Skew>,
}

impl Default for World {
    /// The machine's own.
    fn default() -> Self {
        Self::of(Arc::new(SystemClock), Arc::new(SystemEntropy))
    }
}

impl World {
    /// A world whose clock is right, as far as nothing else is known.
    #[must_use]
    pub fn of(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { skew: Arc::new(Skew::new(Arc::clone(&clock))), clock, entropy }
    }
}

/// The service on this store, with these master keys.
pub async fn assemble(
    config: &Config,
    store: Store,
    master_keys: MasterKeys,
    profile: Profile,
    world: World,
) -> Result<Service, keyring::LoadError> {
    let World { clock, entropy, skew } = world;
    let issuer = &config.issuer;
    let audit = Arc::new(Audit::default());
    let access_tokens = AccessTokens::new(&master_keys, issuer);
    let refresh_tokens = RefreshTokens::new(&master_keys, issuer, &config.retired_master_key_ids);
    let keyring = Keyring::open(keyring::Parts {
        store: store.clone(),
        master_keys,
        issuer: issuer.clone(),
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        audit: Arc::clone(&audit),
        skew: Arc::clone(&skew),
        rotate_every: config.keys.rotate_every,
        publish_ahead: config.keys.publish_ahead,
    })
    .await?;
    let feed = Arc::new(Feed::new(store.clone(), Arc::clone(&clock), keyring.epoch()));
    feed.compromised(keyring.ring().members());
    // A wrong clock would ask for what has not happened yet: it is done once the clock is right.
    if skew.check().is_ok() {
        feed.read_again(keyring.policy().longest_token).await?;
    }
    let clients = Arc::new(ArcSwap::from_pointee(clients(&config.declared)));
    let callers = Arc::new(ArcSwap::from_pointee(callers(&config.declared, profile, &config.edge)));
    let rates = Rates { rotations: config.limits.rotations, issues: config.limits.issues };
    let limits = Arc::new(Limits::new(rates, Arc::clone(&clock)));
    let rotations = Rotations::start(
        store.clone(),
        Arc::clone(&clock),
        Arc::clone(&clients),
        Arc::clone(&limits),
        Batching::of(&store),
    );
    Ok(Service {
        store,
        clock,
        skew,
        entropy,
        clients,
        callers,
        limits,
        keyring,
        feed,
        access_tokens,
        verified: Verified::default(),
        refresh_tokens,
        rotations,
        audit,
    })
}

/// The master keys in `text`, which came from `setting`.
pub(super) fn master_keys(text: &str, setting: &str) -> Result<MasterKeys, Failure> {
    MasterKeys::parse(text).map_err(|malformed| format!("{setting} {malformed}").into())
}
