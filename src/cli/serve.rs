//! `symbolon serve`: the service as it is run for others. Makes nothing by itself but the first signing key, and says
//! what is missing.

use std::sync::Arc;

use super::assemble::{World, assemble, master_keys};
use super::run::{Listeners, Running, start_telemetry};
use super::{Configured, Failure, data_dir, edge, listen};
use crate::config::{Config, Profile, from_process};
use crate::keys::MasterKeys;
use crate::store::{Missing, Store};

pub(super) async fn serve(configured: Configured) -> Result<(), Failure> {
    let loaded = from_process(Profile::Serve, configured.config.as_deref())?;
    let metrics = start_telemetry(&loaded)?;
    let config = loaded.config;

    let keys = held_keys(&config)?;
    let mut listeners = Listeners::bind(&config).await?;
    edge::check(&config, Profile::Serve, &listeners.edge)?;
    let store = Store::open(&data_dir::database(&config)?, Missing::Refuse).await?;
    store.check_schema().await?;
    if store.may_lose_commits().await == Some(true) {
        tracing::warn!(
            "the database does not replicate synchronously: a fail-over loses sign-ins and revocations that no rule \
             can heal. Set synchronous_standby_names, and leave synchronous_commit on"
        );
    }
    let service = assemble(&config, store, &keys, World::default()).await?;

    let (grpc, ops) = (listeners.grpc_port()?, listeners.ops_port()?);
    let edge_listeners = std::mem::take(&mut listeners.edge);
    let edge = listen::port(&edge_listeners)?;
    let mut running = Running::start(service, listeners, &metrics, config.grpc.reflection);
    if !edge_listeners.is_empty() {
        let built = Arc::new(edge::build(&config, Profile::Serve, running.issuer(), World::default())?);
        running.serve_edge(Arc::clone(&built), edge_listeners, edge::nothing_more());
        // What is built here goes out of scope: whoever holds the edge holds the service, which is closed when nobody does.
        built.ready().await;
    }
    let edge = (edge != 0).then_some(edge);
    let master_keys: Vec<_> = keys.iter().map(|key| key.id().to_string()).collect();
    tracing::info!(grpc, ops, edge, issuer = config.issuer, master_keys = master_keys.join(","), "serving");
    running.until_told().await
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
