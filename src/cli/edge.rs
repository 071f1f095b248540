//! Building the edge, in front of a service in this process or elsewhere; and `symbolon edge`, which is the edge alone.

use std::sync::Arc;

use symbolon_verifier::WhenStale;
use tokio::net::TcpListener;

use super::assemble::World;
use super::listen::is_reached;
use super::listeners::Listeners;
use super::run::{Running, start_telemetry};
use super::{Configured, Failure, demo_users, tls, upstream};
use crate::config::{Config, EdgeMode, Profile, from_process};
use crate::edge::cookie::Shape;
use crate::edge::issuer::Issuer;
use crate::edge::network::Cidr;
use crate::edge::origin::{Origins, PublicUrl};
use crate::edge::{self, Channel, CredentialVerifier, Edge};

pub(super) async fn edge(configured: Configured) -> Result<(), Failure> {
    let loaded = from_process(Profile::Edge, configured.config.as_deref(), tls::check)?;
    let telling = start_telemetry(&loaded)?;
    let config = loaded.config;
    let issuer = Issuer::new(
        upstream::channels(&config.edge.issuer, "SYMBOLON_EDGE_ISSUER_URL")?,
        upstream::token(&config.edge.issuer, "SYMBOLON_EDGE_ISSUER_TOKEN")?,
    );
    let edge = Arc::new(build(&config, Profile::Edge, issuer, World::default())?);
    let listeners = Listeners::bind_edge(&config).await?;
    check_reach(&config, &listeners.edge)?;
    let (port, ops, gateway) = (listeners.edge_port()?, listeners.ops_port()?, listeners.gateway_port()?);
    let running = Running::start_alone(edge, listeners, &telling.metrics);
    tracing::info!(edge = port, gateway, ops, "serving");
    running.until_told().await
}

/// The edge this configuration asks for, in front of this token service.
pub fn build(config: &Config, profile: Profile, issuer: Issuer, world: World) -> Result<Edge, Failure> {
    let World { clock, entropy, skew: _ } = world;
    let verifier = verifier(config, profile)?;
    if verifier.is_none() {
        tracing::info!("nobody signs in at the edge: SYMBOLON_EDGE_VERIFIER_URL is not set");
    }
    Ok(Edge::new(settings(config, profile)?, issuer, verifier, clock, entropy))
}

/// What the edge is told; the error is a sentence, of what no single setting shows.
pub(super) fn settings(config: &Config, profile: Profile) -> Result<edge::Config, Failure> {
    let told = &config.edge;
    let url = told.public_url.as_deref().unwrap_or_default();
    let own = PublicUrl::parse(url).ok_or_else(|| format!("SYMBOLON_EDGE_PUBLIC_URL is {url}, which is no URL"))?;
    let hides_tokens = told.mode == EdgeMode::Bff;
    let cookie = Shape::new(told.cookie_name.as_deref(), &told.cookie_path, own.https, own.port)?;
    let cookie = if hides_tokens { cookie.for_page_loads() } else { cookie };
    // A browser that was told once would come to every other server on `localhost` by https.
    let hsts = told.hsts.unwrap_or(own.https && !own.is_localhost());
    if hsts && !own.https {
        return Err("SYMBOLON_EDGE_HSTS is on, and the edge's public URL is http".into());
    }
    let listed = told.allowed_origins.clone().unwrap_or_else(|| usual_origins(config, profile));
    Ok(edge::Config {
        origins: Origins::new(own, listed),
        cookie,
        base_path: told.base_path.clone(),
        hsts,
        trusted_proxies: told.trusted_proxies.iter().filter_map(|cidr| Cidr::parse(cidr)).collect(),
        client_id: told.client_id.clone(),
        audience: told.audience.clone(),
        scope: told.scope.clone(),
        hides_tokens,
        login_url: config.gateway.login_url.clone(),
        when_stale: if told.closed_when_stale { WhenStale::Closed } else { WhenStale::Open },
    })
}

/// In `dev` the names a machine has for itself, and where front ends are usually developed.
fn usual_origins(config: &Config, profile: Profile) -> Vec<String> {
    if profile != Profile::Dev {
        return Vec::new();
    }
    let url = config.edge.public_url.as_deref().and_then(PublicUrl::parse);
    let port = url.as_ref().map_or(8080, |url| url.port);
    let scheme = if url.is_some_and(|url| url.https) { "https" } else { "http" };
    let own = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{scheme}://{host}:{port}"));
    own.into_iter().chain(["http://localhost:5173".to_owned(), "http://localhost:3000".to_owned()]).collect()
}

/// Who knows the users: the configured verifier; in `dev` the demo users; else nobody.
fn verifier(config: &Config, profile: Profile) -> Result<Option<CredentialVerifier>, Failure> {
    let told = &config.edge.verifier;
    let configured = upstream::channels(told, "SYMBOLON_EDGE_VERIFIER_URL")?.into_iter().next();
    let demo = || (profile == Profile::Dev).then(demo_users::channel);
    let channel: Option<Channel> = configured.or_else(demo);
    let token = upstream::token(told, "SYMBOLON_EDGE_VERIFIER_TOKEN")?;
    Ok(channel.map(|channel| CredentialVerifier::new(channel, token)))
}

/// Says before anything is started what would keep the edge of `dev` or `serve` from working.
pub(super) fn check(config: &Config, profile: Profile, listeners: &[TcpListener]) -> Result<(), Failure> {
    if listeners.is_empty() {
        if config.gateway.listen.is_some() {
            return Err(
                "SYMBOLON_GATEWAY_LISTEN is set, and the exchange is the edge's: set SYMBOLON_EDGE_LISTEN too".into()
            );
        }
        return Ok(());
    }
    if !config.edge.issuer.urls.is_empty() {
        tracing::warn!(
            "SYMBOLON_EDGE_ISSUER_URL is for `symbolon edge`: here the edge asks the service of this process"
        );
    }
    check_reach(config, listeners)?;
    settings(config, profile)?;
    verifier(config, profile)?;
    check_exchange(config)?;
    Ok(())
}

/// The exchange rotates a cookie when its token is due: who may not ask for that would be told so by every call.
fn check_exchange(config: &Config) -> Result<(), Failure> {
    let exchanges = config.edge.mode == EdgeMode::Bff || config.gateway.listen.is_some();
    let client = &config.edge.client_id;
    let declared = config.declared.clients.get(client).is_some_and(|client| client.rotation_when_due);
    if exchanges && !declared {
        return Err(format!(
            "SYMBOLON_EDGE_MODE=bff and SYMBOLON_GATEWAY_LISTEN take a client that rotates when due: put \
             `rotation_when_due = true` and `leeway = \"5s\"` under [clients.{client}] in SYMBOLON_CLIENTS_FILE"
        )
        .into());
    }
    Ok(())
}

/// Refuses to be reached from elsewhere by http: what a browser sends would be readable on the way.
fn check_reach(config: &Config, listeners: &[TcpListener]) -> Result<(), Failure> {
    let https = config.edge.public_url.as_deref().and_then(PublicUrl::parse).is_some_and(|url| url.https);
    if !https && is_reached(listeners) {
        let listen = config.edge.listen.as_deref().unwrap_or_default();
        return Err(format!(
            "SYMBOLON_EDGE_LISTEN is {listen}, which is reached from elsewhere, and SYMBOLON_EDGE_PUBLIC_URL is not https: \
             put a proxy with TLS in front, and set the https URL browsers use"
        )
        .into());
    }
    Ok(())
}
