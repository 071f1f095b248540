//! Building the service from configuration, store and keys. What is ambient, time and dice, is handed in.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Failure;
use crate::audit::Audit;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Declared, EDGE, Profile};
use crate::entropy::{Entropy, SystemEntropy};
use crate::keys::MasterKeys;
use crate::service::caller::{Allowed, Permission};
use crate::service::limits::Rates;
use crate::service::rotations::{Batching, Rotations};
use crate::service::{Caller, Callers, Client, Clients, Limits, Service, keyring};
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
    profile: Profile,
    world: World,
) -> Result<Service, keyring::LoadError> {
    let World { clock, entropy } = world;
    let issuer = &config.issuer;
    let ring = keyring::load(&store, master_keys, issuer, clock.as_ref(), entropy.as_ref()).await?;
    let clients = Arc::new(ArcSwap::from_pointee(clients(&config.declared)));
    let callers = Arc::new(ArcSwap::from_pointee(callers(&config.declared, profile)));
    let rotations = Rotations::start(store.clone(), Arc::clone(&clock), Arc::clone(&clients), Batching::DEFAULT);
    let rates = Rates { rotations: config.limits.rotations, issues: config.limits.issues };
    let limits = Limits::new(rates, Arc::clone(&clock));
    Ok(Service {
        store,
        clock,
        entropy,
        clients,
        callers,
        limits,
        rotations,
        ring,
        access_tokens: AccessTokens::new(master_keys, issuer),
        refresh_tokens: RefreshTokens::new(master_keys, issuer, &config.retired_master_key_ids),
        audit: Audit::default(),
    })
}

/// The clients as the service knows them.
pub(super) fn clients(declared: &Declared) -> Clients {
    Clients::new(declared.clients.iter().map(|(id, declared)| (id.clone(), client(declared))))
}

/// The callers as the service knows them.
pub(super) fn callers(declared: &Declared, profile: Profile) -> Callers {
    let mut callers = Callers::default();
    // `dev` is for this machine only: whoever is on it may ask for everything.
    if profile == Profile::Dev {
        callers.let_in_local();
        callers.declare(Caller::unlimited(EDGE), &[], &[]);
    }
    for (name, declared) in &declared.callers {
        callers.declare(caller(name, declared), &declared.token_sha256, &declared.san);
    }
    callers
}

fn caller(name: &str, declared: &config::Caller) -> Caller {
    let only = |names: &[String]| Allowed::Only(names.iter().cloned().collect());
    let permission = |name: &String| Permission::named(name).expect("cannot fail: both rooms know the same names");
    Caller {
        name: name.to_owned(),
        permissions: declared.permissions.iter().map(permission).collect(),
        clients: only(&declared.clients),
        audience: declared.audience.as_deref().map(only),
        scope: declared.scope.as_deref().map(only),
        claims: only(&declared.claims),
        acr: only(&declared.acr),
        access_token_ttl: declared.access_token_ttl,
        session_ttl: declared.session_ttl,
        idle_ttl: declared.idle_ttl,
        dry_run: declared.dry_run,
    }
}

fn client(declared: &config::Client) -> Client {
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
