//! From file and environment to a [`Config`]: the order of the steps, and what settings ask of each other. Forms and
//! defaults of single settings are the table's.

use std::collections::BTreeMap;
use std::path::Path;

use super::client::ClientDefaults;
use super::fault::{Fault, Faults, Remark, Source};
use super::resolve::Settings;
use super::settings::env_name;
use super::source::{ReadFile, Sources};
use super::suggest::hint;
use super::{
    Config, Declarations, Declared, Edge, EdgeMode, Gateway, Grpc, Keys, Limits, Loaded, Ops, Profile, Tls, TlsVersion,
    Told, Upstream, form, print,
};
use super::{callers, clients};

pub(super) fn load(
    profile: Profile,
    config_path: Option<&Path>,
    env: &BTreeMap<String, String>,
    read_file: ReadFile<'_>,
    check_tls: &dyn Fn(&Tls) -> Vec<Remark>,
) -> Result<Loaded, Faults> {
    let mut faults = Vec::new();
    let sources = Sources::read(config_path, env, read_file, &mut faults);
    faults.extend(sources.unknown_keys());
    let mut settings = Settings::resolve(profile, &sources, read_file, &mut faults);
    follow(profile, &mut settings);

    let unknown = sources.unknown_variables();
    if sources.whole {
        faults.extend(missing_issuer(profile, &settings, &unknown));
        faults.extend(missing_for_the_edge(profile, &settings));
        faults.extend(half_pairs(&settings));
    }
    let declarations = declarations(&settings);
    let (declared, unwise) = declarations.read_with(read_file).unwrap_or_else(|Faults(more)| {
        faults.extend(more);
        Default::default()
    });
    let tls = tls(&settings);
    let remarks = tls.as_ref().map(check_tls).unwrap_or_default();
    let mut warnings: Vec<String> =
        unknown.iter().map(|(name, near)| format!("{name}: unknown variable{}", hint(near.as_deref()))).collect();
    for remark in remarks {
        match remark {
            Remark::Fault { setting, message } => {
                faults.push(Fault::new(setting, settings.entry(setting).source.clone(), message));
            }
            Remark::Warning { setting, message } => warnings.push(format!("{setting}: {message}")),
        }
    }
    if !faults.is_empty() {
        sources.locate(&mut faults);
        return Err(Faults(faults));
    }

    warnings.extend(unwise);
    if tls.as_ref().is_none_or(|tls| tls.client_ca_file.is_none()) {
        let unseen = declared.callers.iter().filter(|(_, caller)| caller.has_only_a_certificate());
        warnings.extend(unseen.map(|(name, _)| {
            format!("callers.{name}.san: without grpc.tls_client_ca_file no certificate is asked for")
        }));
    }
    let printed = print::printed(profile, &settings);
    Ok(Loaded { config: build(&settings, declarations, declared, tls), warnings, printed })
}

impl Declarations {
    /// Reads both files: what they declare, and a sentence for whatever is allowed but probably not meant.
    ///
    /// # Errors
    /// Everything that is wrong with either.
    pub fn read(&self) -> Result<(Declared, Vec<String>), Faults> {
        self.read_with(&|path| std::fs::read_to_string(path))
    }

    fn read_with(&self, read_file: ReadFile<'_>) -> Result<(Declared, Vec<String>), Faults> {
        let text = |key: &str, path: &Path| {
            let unreadable = |error| Fault::in_file(key, path, format!("cannot be read: {error}"));
            read_file(path).map_err(|error| Faults(vec![unreadable(error)]))
        };
        let clients = match &self.clients_file {
            Some(path) => text("clients_file", path).and_then(|text| clients::read(&text, path, &self.client_defaults)),
            None => Ok(clients::only_web(&self.client_defaults)),
        };
        // Both files' faults at once: what is wrong with the clients does not hide what is wrong with the callers.
        let known = clients.as_ref().ok();
        let callers = match &self.callers_file {
            Some(path) => text("callers_file", path).and_then(|text| callers::read(&text, path, known)),
            None => Ok(<_>::default()),
        };
        match (clients, callers) {
            (Ok(clients), Ok((callers, mut warnings))) => {
                warnings.extend(clients::warnings(&clients));
                Ok((Declared { clients, callers }, warnings))
            }
            (clients, callers) => {
                let faults = [clients.err(), callers.err()];
                Err(Faults(faults.into_iter().flatten().flat_map(|Faults(faults)| faults).collect()))
            }
        }
    }
}

/// In `dev` the public URL follows the edge's port, and the issuer the public URL.
fn follow(profile: Profile, settings: &mut Settings) {
    if profile != Profile::Dev {
        return;
    }
    let listen: String = settings.of("edge.listen");
    let port = listen.rsplit(':').next().and_then(form::port).unwrap_or_default();
    settings.follow("edge.public_url", &format!("http://localhost:{port}"));
    let public_url: String = settings.of("edge.public_url");
    settings.follow("issuer", public_url.trim_end_matches('/'));
}

fn missing_issuer(profile: Profile, settings: &Settings, unknown: &[(&str, Option<String>)]) -> Option<Fault> {
    if settings.is_set("issuer") || profile == Profile::Edge {
        return None;
    }
    let env = env_name("issuer");
    let slip = unknown.iter().find(|(_, near)| near.as_ref() == Some(&env));
    let slip = slip.map(|(name, _)| format!(" ({name} is set, which nobody knows)")).unwrap_or_default();
    let message = format!("missing: `serve` needs to know its `iss` URL; set `issuer` or {env}{slip}");
    Some(Fault::new("issuer", Source::Default, message))
}

/// What an edge cannot guess: where it is, what browsers call it, and in `symbolon edge` where the service is.
fn missing_for_the_edge(profile: Profile, settings: &Settings) -> Vec<Fault> {
    let needed: &[(&str, &str)] = match profile {
        Profile::Serve if settings.is_set("edge.listen") => &[("edge.public_url", "what browsers call the edge")],
        Profile::Dev | Profile::Serve => &[],
        Profile::Edge => &[
            ("edge.listen", "where the edge listens"),
            ("edge.public_url", "what browsers call the edge"),
            ("edge.issuer_url", "where the gRPC service is"),
        ],
    };
    let missing = needed.iter().filter(|(path, _)| !settings.is_set(path));
    let fault = |(path, what): &(&str, &str)| {
        Fault::new(*path, Source::Default, format!("missing: {what}; set `{path}` or {}", env_name(path)))
    };
    missing.map(fault).collect()
}

/// Settings that are of no use without another.
fn half_pairs(settings: &Settings) -> Vec<Fault> {
    let needs = [
        ("grpc.tls_cert_file", "grpc.tls_key_file"),
        ("grpc.tls_key_file", "grpc.tls_cert_file"),
        ("grpc.tls_client_ca_file", "grpc.tls_cert_file"),
        ("edge.issuer_cert_file", "edge.issuer_key_file"),
        ("edge.issuer_key_file", "edge.issuer_cert_file"),
    ];
    let half = needs.iter().filter(|(one, other)| settings.is_set(one) && !settings.is_set(other));
    let fault = |(one, other): &(&str, &str)| {
        let message = format!("needs `{other}` ({}) too", env_name(other));
        Fault::new(*one, settings.entry(one).source.clone(), message)
    };
    half.map(fault).collect()
}

/// The TLS that is asked for. Half of a pair was a fault before.
fn tls(settings: &Settings) -> Option<Tls> {
    Some(Tls {
        cert_file: settings.get("grpc.tls_cert_file")?,
        key_file: settings.get("grpc.tls_key_file")?,
        client_ca_file: settings.get("grpc.tls_client_ca_file"),
        min_version: match settings.of::<String>("grpc.tls_min_version").as_str() {
            "1.2" => TlsVersion::V1_2,
            _ => TlsVersion::V1_3,
        },
    })
}

fn declarations(settings: &Settings) -> Declarations {
    Declarations {
        clients_file: settings.get("clients_file"),
        callers_file: settings.get("callers_file"),
        client_defaults: ClientDefaults {
            access_token_ttl: settings.of("access_token_ttl"),
            session_ttl: settings.of("session.ttl"),
            idle_ttl: settings.of("session.idle_ttl"),
            leeway: settings.of("session.leeway"),
            burst: settings.of("session.burst"),
            recovery_limit: settings.of("session.recovery_limit"),
        },
    }
}

fn build(settings: &Settings, declarations: Declarations, declared: Declared, tls: Option<Tls>) -> Config {
    Config {
        data_dir: settings.of("data_dir"),
        database_url: settings.get("database_url"),
        issuer: settings.get("issuer").unwrap_or_default(),
        grpc: Grpc { listen: settings.of("grpc.listen"), tls, reflection: settings.get("grpc.reflection") },
        ops: Ops { listen: settings.of("ops.listen") },
        edge: build_edge(settings),
        gateway: Gateway { listen: settings.get("gateway.listen"), login_url: settings.get("gateway.login_url") },
        master_keys: settings.get("master_keys"),
        retired_master_key_ids: settings.of("retired_master_key_ids"),
        declared,
        declarations,
        limits: Limits {
            rotations: settings.of("limits.rotations_per_second"),
            issues: settings.of("limits.issues_per_second"),
        },
        keys: Keys { rotate_every: settings.of("keys.rotate_every"), publish_ahead: settings.of("keys.publish_ahead") },
        told: Told::of(settings),
    }
}

fn build_edge(settings: &Settings) -> Edge {
    Edge {
        listen: settings.get("edge.listen"),
        public_url: settings.get("edge.public_url"),
        allowed_origins: settings.get("edge.allowed_origins"),
        trusted_proxies: settings.of("edge.trusted_proxies"),
        client_id: settings.of("edge.client_id"),
        audience: settings.of("edge.audience"),
        scope: settings.of("edge.scope"),
        verifier: Upstream {
            urls: settings.get::<String>("edge.verifier_url").into_iter().collect(),
            token: settings.get("edge.verifier_token"),
            cert_file: None,
            key_file: None,
            ca_file: settings.get("edge.verifier_ca_file"),
        },
        issuer: Upstream {
            urls: settings.get("edge.issuer_url").unwrap_or_default(),
            token: settings.get("edge.issuer_token"),
            cert_file: settings.get("edge.issuer_cert_file"),
            key_file: settings.get("edge.issuer_key_file"),
            ca_file: settings.get("edge.issuer_ca_file"),
        },
        mode: if settings.of::<String>("edge.mode") == "bff" { EdgeMode::Bff } else { EdgeMode::Token },
        closed_when_stale: settings.of::<String>("edge.when_stale") == "closed",
        base_path: settings.of("edge.base_path"),
        cookie_name: settings.get("edge.cookie_name"),
        cookie_path: settings.of("edge.cookie_path"),
        hsts: settings.get("edge.hsts"),
    }
}
