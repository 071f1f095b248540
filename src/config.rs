//! What the program is told before it starts: one TOML file plus environment, read into one [`Config`], with every
//! mistake reported at once. It opens no socket and no database, and does not know what the other rooms do with what
//! they are given.
//!
//! The map: `settings` is the one table of all settings, and everything else follows from it. `source` finds a setting
//! in file and environment, `value` knows the forms a value can have, `resolve` says which value holds, `build` brings
//! them together, `clients` and `callers` read the two files of what is declared, `print` shows the result, `example` is
//! the file to begin with.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod build;
mod callers;
mod client;
mod clients;
mod declared;
mod dev;
mod example;
mod fault;
mod form;
mod print;
mod resolve;
mod secret;
mod settings;
mod source;
mod suggest;
mod told;
mod value;

#[cfg(test)]
mod tests;

pub use callers::{Caller, Callers, EDGE, PERMISSIONS};
pub use client::{Client, ClientDefaults};
pub use clients::Clients;
pub use example::example_toml;
pub use fault::{Fault, Faults, Remark, Source};
pub use print::{PrintedSetting, markdown_table};
pub use secret::{DatabaseUrl, Secret};
pub use told::{Told, Traces};

/// Which command is being configured: they differ in their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `symbolon dev`: everything on loopback, nothing needs to be set.
    Dev,
    /// `symbolon serve`: the issuer must be set, the edge is off unless asked for.
    Serve,
    /// `symbolon edge`: the edge alone, in front of a service elsewhere.
    Edge,
}

/// Everything the program is told, grouped by room.
#[derive(Clone, Debug)]
pub struct Config {
    /// Embedded database and generated keys.
    pub data_dir: PathBuf,
    /// `None`: `symbolon.db` in the data directory.
    pub database_url: Option<DatabaseUrl>,
    /// The `iss` of every token. Empty in `edge`, which learns it from the service.
    pub issuer: String,
    /// The gRPC listener.
    pub grpc: Grpc,
    /// Probes and metrics.
    pub ops: Ops,
    /// The HTTP edge.
    pub edge: Edge,
    /// Envoy's Check and the exchange of cookie for token.
    pub gateway: Gateway,
    /// Comma-separated `id:base64`, as written; `crate::keys` parses it. `None` in `dev`: generated.
    pub master_keys: Option<Secret>,
    /// Master keys whose tokens are over for good.
    pub retired_master_key_ids: Vec<u8>,
    /// Clients and callers as they are declared now.
    pub declared: Declared,
    /// Where they are declared, to be read again with [`Declarations::read`] when that changes.
    pub declarations: Declarations,
    /// How often the same one may ask.
    pub limits: Limits,
    /// Signing keys.
    pub keys: Keys,
    /// Log, audit and traces.
    pub told: Told,
}

/// What the clients and the callers file declare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Who signs in and for how long, by name. Never empty.
    pub clients: Clients,
    /// Who may call, by name.
    pub callers: Callers,
}

/// Where clients and callers are declared.
#[derive(Clone, Debug)]
pub struct Declarations {
    /// TOML of clients. `None`: the one client `web`.
    pub clients_file: Option<PathBuf>,
    /// TOML of callers. `None`: nobody is declared.
    pub callers_file: Option<PathBuf>,
    /// What a client has that says nothing else.
    pub client_defaults: ClientDefaults,
}

/// How often the same one may ask, a second; ten times as often at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rotations of one session.
    pub rotations: NonZeroU32,
    /// Sign-ins by one caller.
    pub issues: NonZeroU32,
}

/// The gRPC listener.
#[derive(Clone, Debug)]
pub struct Grpc {
    /// `host:port`; port 0 asks for a free one, IPv6 stands in brackets.
    pub listen: String,
    /// `None`: in plaintext.
    pub tls: Option<Tls>,
    /// Whether the API describes itself. `None`: where only this machine can ask.
    pub reflection: Option<bool>,
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM, the server's own certificate first.
    pub cert_file: PathBuf,
    /// The private key of that certificate.
    pub key_file: PathBuf,
    /// Callers may show a certificate of this CA.
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

/// Probes and metrics.
#[derive(Clone, Debug)]
pub struct Ops {
    /// `host:port`.
    pub listen: String,
}

/// Signing keys.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long it is published before it signs.
    pub publish_ahead: Duration,
}

/// The HTTP edge.
#[derive(Clone, Debug)]
pub struct Edge {
    /// `host:port`; `None`: no edge.
    pub listen: Option<String>,
    /// What browsers call it. In `dev` never `None`.
    pub public_url: Option<String>,
    /// Exact origins elsewhere on the same site. `None`: the edge's own choice.
    pub allowed_origins: Option<Vec<String>>,
    /// CIDRs whose `X-Forwarded-For` and `-Proto` count.
    pub trusted_proxies: Vec<String>,
    /// The client a login is for.
    pub client_id: String,
    /// The audience a login asks for.
    pub audience: Vec<String>,
    /// The scope a login asks for.
    pub scope: Vec<String>,
    /// Who knows the users. `None`: `dev`'s demo users.
    pub verifier: Upstream,
    /// The gRPC upstream of an edge that runs alone. No address: in process.
    pub issuer: Upstream,
    /// Whether the page sees the access token.
    pub mode: EdgeMode,
    /// Whether access tokens are undecided while nothing is heard of revocations.
    pub closed_when_stale: bool,
    /// Where the routes begin.
    pub base_path: String,
    /// `None`: the name the edge gives it.
    pub cookie_name: Option<String>,
    /// The cookie's `Path`.
    pub cookie_path: String,
    /// `None`: on with an https public URL.
    pub hsts: Option<bool>,
}

/// A gRPC server the edge calls.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// `http://` or `https://`. None: not configured; more than one: replicas of one service.
    pub urls: Vec<String>,
    /// Sent as bearer token.
    pub token: Option<Secret>,
    /// The certificate shown to it; set exactly if `key_file` is.
    pub cert_file: Option<PathBuf>,
    /// Set exactly if `cert_file` is.
    pub key_file: Option<PathBuf>,
    /// The CA its certificate is checked against. `None`: the system's.
    pub ca_file: Option<PathBuf>,
}

/// Whether the page sees the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeMode {
    /// The page holds the access token, the cookie the refresh token.
    Token,
    /// The page holds no token; the gateway exchanges the cookie.
    Bff,
}

/// Envoy's Check and the exchange of cookie for token.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// `host:port`; `None`: off.
    pub listen: Option<String>,
    /// Where signed-out page loads go: a URL, or a path on the same host.
    pub login_url: Option<String>,
}

/// What [`load`] makes of file and environment.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed but probably not meant, a sentence each.
    pub warnings: Vec<String>,
    /// Every setting with its effective value, for `config print`.
    pub printed: Vec<PrintedSetting>,
}

/// Reads the configuration. The TOML file is `config_path`, else what `SYMBOLON_CONFIG_FILE` names in `env`, else none.
/// `check_tls` looks into the files that are named, which takes somebody who knows certificates.
pub fn load(
    profile: Profile,
    config_path: Option<&Path>,
    env: &BTreeMap<String, String>,
    read_file: impl Fn(&Path) -> io::Result<String>,
    check_tls: impl Fn(&Tls) -> Vec<Remark>,
) -> Result<Loaded, Faults> {
    build::load(profile, config_path, env, &read_file, &check_tls)
}

/// [`load`] with the environment and the files of this process.
pub fn from_process(
    profile: Profile,
    config_path: Option<&Path>,
    check_tls: impl Fn(&Tls) -> Vec<Remark>,
) -> Result<Loaded, Faults> {
    let mut env = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with(settings::ENV_PREFIX) {
            continue;
        }
        match value.into_string() {
            Ok(value) => drop(env.insert(name, value)),
            Err(_) => faults.push(Fault::new(&name, Source::Environment(name.clone()), "expected UTF-8")),
        }
    }
    let loaded = load(profile, config_path, &env, |path| std::fs::read_to_string(path), check_tls);
    match loaded {
        Ok(loaded) if faults.is_empty() => Ok(loaded),
        Ok(_) => Err(Faults(faults)),
        Err(Faults(more)) => Err(Faults(faults.into_iter().chain(more).collect())),
    }
}
