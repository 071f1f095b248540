//! `symbolon serve`: the service as it is run for others. Makes nothing by itself but the first signing key, and says
//! what is missing.

use std::convert::identity;
use std::sync::Arc;

use clap::Args;

use super::assemble::{World, assemble, master_keys};
use super::declared::Followed;
use super::listen::{Reach, is_reached};
use super::listeners::Listeners;
use super::run::{Running, start_telemetry};
use super::{Configured, Failure, data_dir, edge, listen, tls};
use crate::config::{Config, Profile, from_process};
use crate::keys::MasterKeys;
use crate::store::{Missing, Store};

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    configured: Configured,
    /// Lets others reach it although TLS or callers are missing, as where something in front of it has both
    #[arg(long)]
    insecure: bool,
}

/// What a server that others reach cannot do without.
struct Lack {
    settings: &'static str,
    danger: &'static str,
}

pub(super) async fn serve(Serve { configured, insecure }: Serve) -> Result<(), Failure> {
    let loaded = from_process(Profile::Serve, configured.config.as_deref(), tls::check)?;
    let telling = start_telemetry(&loaded)?;
    let config = loaded.config;
    let followed = Followed::new(&config, Profile::Serve);

    let keys = held_keys(&config)?;
    let lacks = lacks(&config);
    let mut listeners = Listeners::bind(&config, reach(&lacks, insecure)).await?;
    if is_reached(&listeners.grpc) {
        for Lack { settings, danger } in lacks {
            tracing::warn!("--insecure on {}: {danger}. Set {settings}", config.grpc.listen);
        }
    }
    edge::check(&config, Profile::Serve, &listeners.edge)?;
    let store = Store::open(&data_dir::database(&config)?, Missing::Refuse).await?;
    store.check_schema().await?;
    if store.may_lose_commits().await == Some(true) {
        tracing::warn!(
            "the database does not replicate synchronously: a fail-over loses sign-ins and revocations that no rule \
             can heal. Set synchronous_standby_names, and leave synchronous_commit on"
        );
    }
    let master_keys: Vec<_> = keys.iter().map(|key| key.id().to_string()).collect();
    let world = World::default();
    world.skew.compare(&store).await?;
    let service = assemble(&config, store, keys, Profile::Serve, world).await?;

    if config.declared.callers.is_empty() {
        tracing::warn!("no caller is declared: every call is refused. Declare some in SYMBOLON_CALLERS_FILE");
    }

    let (grpc, ops) = (listeners.grpc_port()?, listeners.ops_port()?);
    let exchange = listeners.gateway_port()?;
    let [edge_listeners, gateway] = [&mut listeners.edge, &mut listeners.gateway].map(std::mem::take);
    let edge = listen::port(&edge_listeners)?;
    let mut running = Running::start(service, listeners, &telling.metrics, followed, config.grpc.reflection)?;
    if !edge_listeners.is_empty() {
        let built = Arc::new(edge::build(&config, Profile::Serve, running.issuer(), World::default())?);
        running.serve_gateway(Arc::clone(&built), gateway);
        running.serve_edge(Arc::clone(&built), edge_listeners, identity);
        // What is built here goes out of scope: whoever holds the edge holds the service, which is closed when nobody does.
        built.ready().await;
    }
    let edge = (edge != 0).then_some(edge);
    let tls = config.grpc.tls.is_some();
    tracing::info!(
        grpc,
        ops,
        edge,
        gateway = exchange,
        tls,
        issuer = config.issuer,
        master_keys = master_keys.join(","),
        "serving"
    );
    running.until_told().await
}

fn lacks(config: &Config) -> Vec<Lack> {
    let tls = Lack {
        settings: "SYMBOLON_GRPC_TLS_CERT_FILE and SYMBOLON_GRPC_TLS_KEY_FILE",
        danger: "without TLS, whoever sees the traffic has every token in it",
    };
    let callers =
        Lack { settings: "SYMBOLON_CALLERS_FILE", danger: "without callers, nobody can be told from anybody" };
    let mut lacks = Vec::new();
    lacks.extend(config.grpc.tls.is_none().then_some(tls));
    lacks.extend((!can_be_called(config)).then_some(callers));
    lacks
}

/// Whether somebody is declared who can prove it from elsewhere; the edge of this process proves nothing.
fn can_be_called(config: &Config) -> bool {
    config.declared.callers.values().any(|caller| !caller.token_sha256.is_empty() || !caller.san.is_empty())
}

fn reach(lacks: &[Lack], insecure: bool) -> Reach {
    if insecure || lacks.is_empty() {
        return Reach::Anywhere;
    }
    let settings: Vec<_> = lacks.iter().map(|lack| lack.settings).collect();
    Reach::Loopback {
        condition: format!(
            "to be reached by others, set {}; or say `--insecure` if something in front of it protects it",
            settings.join(" and ")
        ),
    }
}

fn held_keys(config: &Config) -> Result<MasterKeys, Failure> {
    if let Some(keys) = &config.master_keys {
        return master_keys(keys.expose(), "SYMBOLON_MASTER_KEYS");
    }
    let developed = config.data_dir.join(data_dir::MASTER_KEYS);
    let hint = if developed.exists() {
        format!("`symbolon dev` left some in {0}: set SYMBOLON_MASTER_KEYS_FILE={0}", developed.display())
    } else {
        "make one with `echo \"1:$(head -c 32 /dev/urandom | base64)\"`, keep it outside the database, and keep it safe"
            .to_owned()
    };
    Err(format!("there is no master key: set SYMBOLON_MASTER_KEYS_FILE or SYMBOLON_MASTER_KEYS. {hint}").into())
}
