//! Building the service from configuration, store and keys. What is ambient, time and dice, is handed in.

use std::sync::Arc;

use super::Failure;
use crate::audit::Audit;
use crate::clock::{Clock, SystemClock};
use crate::config::{Client as Declared, Config};
use crate::entropy::{Entropy, SystemEntropy};
use crate::keys::MasterKeys;
use crate::service::rotations::{Batching, Rotations};
use crate::service::{Client, Clients, Service, keyring};
use crate::session::redeem::Policy;
use crate::store::Store;
use crate::token::access::AccessTokens;
use crate::token::refresh::RefreshTokens;

/// What is ambient.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

impl Default for World {
    /// The machine's own.
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
}

/// The service on this store, with these master keys.
pub async fn assemble(
    config: &Config,
    store: Store,
    master_keys: &MasterKeys,
    world: World,
) -> Result<Service, keyring::LoadError> {
    let World { clock, entropy } = world;
    let issuer = &config.issuer;
    let ring = keyring::load(&store, master_keys, issuer, clock.as_ref(), entropy.as_ref()).await?;
    let clients = Clients::new(config.clients.iter().map(|(id, declared)| (id.clone(), client(declared))));
    let rotations = Rotations::start(store.clone(), Arc::clone(&clock), &clients, Batching::DEFAULT);
    Ok(Service {
        store,
        clock,
        entropy,
        clients,
        rotations,
        ring,
        access_tokens: AccessTokens::new(master_keys, issuer),
        refresh_tokens: RefreshTokens::new(master_keys, issuer, &config.retired_master_key_ids),
        audit: Audit::default(),
    })
}

fn client(declared: &Declared) -> Client {
    Client {
        audience: declared.audience.clone(),
        scope: declared.scope.clone(),
        access_token_ttl: declared.access_token_ttl,
        session_ttl: declared.session_ttl,
        idle_ttl: declared.idle_ttl,
        policy: Policy {
            leeway: declared.leeway,
            recovery_limit: declared.recovery_limit,
            burst: declared.burst,
            rotation_when_due: declared.rotation_when_due,
        },
    }
}

/// The master keys in `text`, which came from `setting`.
pub(super) fn master_keys(text: &str, setting: &str) -> Result<MasterKeys, Failure> {
    MasterKeys::parse(text).map_err(|malformed| format!("{setting} {malformed}").into())
}
