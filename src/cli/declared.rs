//! Between the configuration, which reads the clients and the callers file, and the service, which obeys them: how they
//! become what the service knows, and how that follows the files.

use std::sync::Arc;

use super::Failure;
use super::reload::Watched;
use crate::config::{self, Config, Declarations, Declared, EDGE, Profile};
use crate::service::caller::{Allowed, Permission};
use crate::service::{Caller, Callers, Client, Clients, Service};
use crate::session::redeem::Policy;

/// The two files of a running service.
pub struct Followed {
    declarations: Declarations,
    edge: config::Edge,
    profile: Profile,
    watched: Watched,
}

impl Followed {
    /// The files this configuration was read from.
    #[must_use]
    pub fn new(config: &Config, profile: Profile) -> Self {
        let declarations = config.declarations.clone();
        let files = declarations.clients_file.iter().chain(&declarations.callers_file).cloned().collect();
        let mut watched = Watched::now("declarations", files);
        // They may have changed since.
        if declarations.read().is_ok_and(|(declared, _)| declared != config.declared) {
            watched.outdate();
        }
        Self { declarations, edge: config.edge.clone(), profile, watched }
    }

    /// Has the service obey what the files say, until `stop`. What is wrong in either leaves both as they were, since one
    /// speaks of the other.
    pub(super) async fn follow(self, service: Arc<Service>, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        let Self { declarations, edge, profile, watched } = self;
        let renew = move || {
            let (declared, warnings) = declarations.read().map_err(|faults| faults.to_string().replace('\n', "; "))?;
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            service.clients.store(Arc::new(clients(&declared)));
            service.callers.store(Arc::new(callers(&declared, profile, &edge)));
            Ok(())
        };
        watched.follow(stop, renew).await
    }
}

/// The clients as the service knows them.
pub(super) fn clients(declared: &Declared) -> Clients {
    Clients::new(declared.clients.iter().map(|(id, declared)| (id.clone(), client(declared))))
}

/// The callers as the service knows them.
pub(super) fn callers(declared: &Declared, profile: Profile, edge: &config::Edge) -> Callers {
    let mut callers = Callers::default();
    // `dev` is for this machine only: whoever is on it may ask for everything.
    if profile == Profile::Dev {
        callers.let_in_local();
        callers.declare(Caller::unlimited(EDGE), &[], &[]);
    } else if edge.listen.is_some() {
        // Whoever opens an edge in this process wants it to work: an entry of its own says otherwise.
        callers.declare(caller_of_the_edge(edge), &[], &[]);
    }
    for (name, declared) in &declared.callers {
        callers.declare(caller(name, declared), &declared.token_sha256, &declared.san);
    }
    callers
}

/// What an edge needs for the client it signs in for, whatever its verifier says of a user.
fn caller_of_the_edge(edge: &config::Edge) -> Caller {
    Caller {
        permissions: [Permission::Issue, Permission::Refresh, Permission::Revoke, Permission::List, Permission::Watch]
            .into(),
        clients: Allowed::Only([edge.client_id.clone()].into()),
        audience: Some(Allowed::Only(edge.audience.iter().cloned().collect())),
        access_token_ttl: None,
        session_ttl: None,
        idle_ttl: None,
        ..Caller::unlimited(EDGE)
    }
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
