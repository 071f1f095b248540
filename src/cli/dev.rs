//! `symbolon dev`: everything on this machine with one command. Makes what it needs and says what it made.

mod page;
mod stage;
mod thief;
mod timeline;
mod upstream;
mod world;

use std::fmt::Write;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use clap::Args;

use self::stage::Stage;
use self::thief::Thief;
use self::world::{Outage, SkippingClock, watched};
use super::assemble::{World, assemble, master_keys};
use super::declared::Followed;
use super::https::ThrowAway;
use super::listen::Reach;
use super::listeners::Listeners;
use super::run::{Running, start_telemetry};
use super::{Configured, Failure, data_dir, edge, print, tls};
use crate::clock::Clock;
use crate::config::{Config, EdgeMode, Profile, from_process};
use crate::edge::issuer::Issuer;
use crate::entropy::SystemEntropy;
use crate::store::{Missing, Store, Url};

#[derive(Args)]
pub(super) struct Dev {
    #[command(flatten)]
    configured: Configured,
    /// Serves the edge by https, with a certificate made now and thrown away, so that the cookie is the real one
    #[arg(long)]
    https: bool,
    /// Has pages see no token: the edge in BFF mode, the exchange for a gateway, and an upstream that shows who it is told you are
    #[arg(long, conflicts_with = "https")]
    bff: bool,
}

pub(super) async fn dev(Dev { configured, https, bff }: Dev) -> Result<(), Failure> {
    let loaded = from_process(Profile::Dev, configured.config.as_deref(), tls::check)?;
    let telling = start_telemetry(&loaded)?;
    let mut config = loaded.config;
    let followed = Followed::new(&config, Profile::Dev);

    if bff {
        config.behind_a_gateway();
    }
    let bff = config.edge.mode == EdgeMode::Bff;
    let mut listeners = Listeners::bind(&config, this_machine()).await?;
    config.edge_bound_to(listeners.edge_port()?);
    let throw_away = https.then(ThrowAway::make).transpose()?;
    if https {
        config.edge_by_https();
        // Another issuer has another database.
        config.data_dir.push("https");
    }
    edge::check(&config, Profile::Dev, &listeners.edge)?;
    data_dir::make(&config.data_dir)?;
    let clock = Arc::new(SkippingClock::kept_in(config.data_dir.join("skipped-seconds")));
    let world = World::of(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemEntropy));
    let url = data_dir::database(&config)?;
    let (keys, keys_are) = match &config.master_keys {
        Some(keys) => (master_keys(keys.expose(), "SYMBOLON_MASTER_KEYS")?, "as configured".to_owned()),
        None => {
            let (keys, path, made) = data_dir::master_keys(&config.data_dir, world.entropy.as_ref())?;
            (keys, format!("{}{}", path.display(), if made { " (made now)" } else { "" }))
        }
    };
    let store = Store::open(&url, Missing::Create).await?;
    let taken = store.migrate().await?;
    world.skew.compare(&store).await?;
    let service = assemble(&config, store, keys, Profile::Dev, world.clone()).await?;

    let pin = throw_away.as_ref().map(|throw_away| throw_away.pin.clone());
    let banner = banner(&config, &listeners, &url.to_string(), taken.len(), &keys_are, pin.as_deref())?;
    let [mut edge_listeners, gateway] = [&mut listeners.edge, &mut listeners.gateway].map(std::mem::take);
    if let Some(throw_away) = throw_away {
        edge_listeners = vec![throw_away.before(edge_listeners).await?];
    }
    let mut running = Running::start(service, listeners, &telling.metrics, followed, config.grpc.reflection)?;
    let channel = running.channel().ok_or("there is no service")?;
    let outage = Arc::new(Outage::default());
    let issuer = Issuer::new(vec![watched(channel.clone(), Arc::clone(&outage))], None);
    let edge = Arc::new(edge::build(&config, Profile::Dev, issuer, world)?);
    running.serve_gateway(Arc::clone(&edge), gateway);
    if bff {
        running.serve_edge(Arc::clone(&edge), edge_listeners, upstream::beside);
    } else {
        let stage = Stage {
            cookie: edge.cookie_name().to_owned(),
            origins: edge::settings(&config, Profile::Dev)?.origins,
            base_path: config.edge.base_path.trim_end_matches('/').to_owned(),
            began: clock.now(),
            clock,
            may_skip: matches!(url, Url::Sqlite(_)),
            outage,
            service: channel,
            losses: AtomicU32::default(),
            timeline: Mutex::default(),
            thief: Thief::default(),
        };
        running.serve_edge(Arc::clone(&edge), edge_listeners, |routes| Arc::new(stage).around(routes));
    }
    edge.ready().await;
    // Whoever holds the edge holds the service, which is closed when nobody does.
    drop(edge);
    print(&banner)?;
    running.until_told().await
}

/// Nobody else may reach a server that asks nobody for a credential.
fn this_machine() -> Reach {
    Reach::Loopback { condition: "`symbolon dev` serves this machine only; `symbolon serve` serves others".to_owned() }
}

fn banner(
    config: &Config,
    listeners: &Listeners,
    url: &str,
    steps: usize,
    keys: &str,
    pin: Option<&str>,
) -> Result<String, Failure> {
    let (grpc, ops) = (listeners.grpc_port()?, listeners.ops_port()?);
    let migrated = if steps == 0 { String::new() } else { format!(" (migrated, {steps} step{})", plural(steps)) };
    // Whose certificate it is, grpcurl cannot know.
    let (with_tls, flag) = if config.grpc.tls.is_some() { (" with TLS", "-insecure") } else { ("", "-plaintext") };
    let mut text = String::new();
    writeln!(text, "Symbolon {} for development, on this machine only", env!("CARGO_PKG_VERSION"))?;
    writeln!(text)?;
    writeln!(text, "  gRPC         localhost:{grpc}{with_tls}, with reflection, no credential needed")?;
    writeln!(text, "  ops          http://localhost:{ops}/livez /readyz /metrics")?;
    let edge = config.edge.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
    let users = if config.edge.verifier.urls.is_empty() { ", users alice/alice and bob/bob" } else { "" };
    if config.edge.mode == EdgeMode::Bff {
        let own = listeners.edge_port()?;
        writeln!(text, "  page         {edge}/ once a gateway is there (deploy/gateways){users}")?;
        writeln!(
            text,
            "  edge         http://localhost:{own}{} and the upstream, for the gateway",
            config.edge.base_path
        )?;
    } else {
        writeln!(text, "  page         {edge}/ shows what happens{users}")?;
        writeln!(text, "  edge         {edge}{} for pages and cookies", config.edge.base_path)?;
    }
    if let Some(port) = listeners.gateway_port()? {
        writeln!(text, "  exchange     localhost:{port} for the gateway alone")?;
    }
    if let Some(pin) = pin {
        writeln!(
            text,
            "  certificate  thrown away when this ends; chromium --ignore-certificate-errors-spki-list={pin}"
        )?;
    }
    writeln!(text, "  issuer       {}", config.issuer)?;
    writeln!(text, "  database     {url}{migrated}")?;
    writeln!(text, "  master keys  {keys}")?;
    writeln!(text, "  clients      {}", config.declared.clients.keys().cloned().collect::<Vec<_>>().join(", "))?;
    writeln!(text)?;
    writeln!(text, "Try it:")?;
    writeln!(text)?;
    let post = |route: &str, more: &str| {
        let at = format!("{edge}{}{route}", config.edge.base_path.trim_end_matches('/'));
        let insecure = if pin.is_some() { " -k" } else { "" };
        format!("  curl -i{insecure} -b jar -c jar -H 'Origin: {edge}' -H 'X-Symbolon-CSRF: 1'{more} -X POST {at}")
    };
    let credentials = r#"{"username":"alice","password":"alice"}"#;
    writeln!(text, "{}", post("/login", &format!(" -H 'Content-Type: application/json' -d '{credentials}'")))?;
    if config.edge.mode == EdgeMode::Token {
        writeln!(text, "{}", post("/refresh", ""))?;
    }
    let call = |data: &str, method: &str| {
        format!("  grpcurl {flag} -d '{data}' localhost:{grpc} symbolon.auth.v1.AuthService/{method}")
    };
    writeln!(text, "{}", call(r#"{"subject":"alice"}"#, "IssueTokens"))?;
    writeln!(text, "{}", call(r#"{"refresh_token":"sr1_…"}"#, "RefreshTokens"))?;
    writeln!(text, "{}", call(r#"{"subject":"alice"}"#, "ListSessions"))?;
    writeln!(text, "  grpcurl {flag} localhost:{grpc} describe symbolon.auth.v1.AuthService")?;
    Ok(text)
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
