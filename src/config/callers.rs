//! The callers file: who may call, how it proves who it is, and what it may ask for. It knows the clients, since a caller
//! is given some of them; what a permission permits is another room's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::clients::Clients;
use super::declared::{self, Entry, Keys};
use super::fault::{Fault, Faults};
use super::settings::{ACCESS_TOKEN_TTL, SESSION_TTL};
use super::suggest::{hint, nearest};
use super::value::Kind;

/// Callers by name.
pub type Callers = BTreeMap<String, Caller>;

/// One caller. What it is not given, it may not ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// SHA-256 of its bearer secrets; two while one is changed.
    pub token_sha256: Vec<[u8; 32]>,
    /// URI or DNS names in its certificate, as [`certificate_name`] spells them.
    pub san: Vec<String>,
    /// Of [`PERMISSIONS`].
    pub permissions: Vec<String>,
    pub clients: Vec<String>,
    /// `None`: the client's default, and nothing else.
    pub audience: Option<Vec<String>>,
    /// Likewise.
    pub scope: Option<Vec<String>>,
    pub claims: Vec<String>,
    pub acr: Vec<String>,
    /// The longest it may ask for. `None`: what the client has by default.
    pub access_token_ttl: Option<Duration>,
    /// Likewise.
    pub session_ttl: Option<Duration>,
    /// Likewise.
    pub idle_ttl: Option<Duration>,
    /// Whether it is let through whatever it asks for but `keys` and `erase`, and only told of.
    pub dry_run: bool,
}

/// What a caller can be given.
pub const PERMISSIONS: [&str; 9] =
    ["issue", "refresh", "revoke", "introspect", "list", "update", "watch", "keys", "erase"];

/// Those that are of no use without a client.
const ABOUT_CLIENTS: [&str; 6] = ["issue", "refresh", "revoke", "list", "update", "erase"];

/// The edge in the process of the service is this caller, and needs no credential there. Without an entry it may do
/// what an edge needs.
pub const EDGE: &str = "edge";

/// What a peer without a credential is called in `dev`, in audit events too.
const LOCAL: &str = "local";

const KEYS: Keys = &[
    ("token_sha256", Kind::Hashes),
    ("san", Kind::Names),
    ("permissions", Kind::Choices(&PERMISSIONS)),
    ("clients", Kind::Names),
    ("audience", Kind::Names),
    ("scope", Kind::Scopes),
    ("claims", Kind::Names),
    ("acr", Kind::Names),
    ("access_token_ttl", ACCESS_TOKEN_TTL),
    ("session_ttl", SESSION_TTL),
    ("idle_ttl", SESSION_TTL),
    ("dry_run", Kind::Flag),
];

/// Reads a callers file: the callers, and a sentence for whatever is allowed but probably not meant. `clients` is `None`
/// if it is not known which are declared.
pub(super) fn read(text: &str, path: &Path, clients: Option<&Clients>) -> Result<(Callers, Vec<String>), Faults> {
    let callers = declared::read(text, path, "callers", KEYS, caller, |callers| {
        let mut faults = shared_credentials(callers, path);
        for (name, caller) in callers {
            faults.extend(clients.into_iter().flat_map(|clients| unknown_clients(name, caller, clients, path)));
        }
        faults
    })?;
    let mut warnings: Vec<_> = callers.iter().flat_map(|(name, caller)| caller.warnings(name)).collect();
    if callers.is_empty() {
        warnings.push(format!("callers: {} declares nobody", path.display()));
    }
    Ok((callers, warnings))
}

fn caller(entry: &mut Entry<'_>) -> Caller {
    let caller = Caller {
        token_sha256: entry.get("token_sha256").unwrap_or_default(),
        san: entry.get("san").map(certificate_names).unwrap_or_default(),
        permissions: entry.get("permissions").unwrap_or_default(),
        clients: entry.get("clients").unwrap_or_default(),
        audience: entry.get("audience"),
        scope: entry.get("scope"),
        claims: entry.get("claims").unwrap_or_default(),
        acr: entry.get("acr").unwrap_or_default(),
        access_token_ttl: entry.get("access_token_ttl"),
        session_ttl: entry.get("session_ttl"),
        idle_ttl: entry.get("idle_ttl"),
        dry_run: entry.get("dry_run").unwrap_or_default(),
    };
    let is_edge = entry.path() == format!("callers.{EDGE}");
    let has = |key| entry.says(key) && !entry.is_empty_list(key);
    if !has("token_sha256") && !has("san") && !is_edge {
        entry.fault("token_sha256", "missing: without it or `san` nobody can prove to be this caller");
    }
    if caller.token_sha256.contains(&Sha256::digest([]).into()) {
        entry.fault("token_sha256", "one is the hash of nothing, which everybody knows: hash the secret itself");
    }
    if entry.path() == format!("callers.{LOCAL}") {
        entry.fault_of_all("is what `symbolon dev` calls a peer without a credential: choose another name");
    }
    if caller.token_sha256.len() > 2 {
        entry.fault("token_sha256", "expected at most two: the second is for the time in which a secret is changed");
    }
    if !entry.says("permissions") {
        entry.fault("permissions", &format!("missing: expected some of {}", PERMISSIONS.join(", ")));
    }
    if entry.is_empty_list("audience") {
        entry.fault("audience", "is empty: no token can be for nobody; leave it out for the client's default");
    }
    caller
}

fn certificate_names(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| certificate_name(&name)).collect()
}

/// A name in a certificate as it is compared: a host's is one in any case of letters, a URI stands as it is.
fn certificate_name(name: &str) -> String {
    let is_uri = name.contains(':');
    if is_uri { name.to_owned() } else { name.to_ascii_lowercase() }
}

fn unknown_clients(name: &str, caller: &Caller, clients: &Clients, path: &Path) -> Vec<Fault> {
    let known = || clients.keys().map(String::as_str);
    let declared = || format!("; declared are {}", known().collect::<Vec<_>>().join(", "));
    let unknown = caller.clients.iter().filter(|client| !clients.contains_key(*client));
    let fault = |client: &String| {
        let near = nearest(client, known()).map_or_else(declared, |near| hint(Some(near)));
        Fault::in_file(format!("callers.{name}.clients"), path, format!("no client `{client}` is declared{near}"))
    };
    unknown.map(fault).collect()
}

/// A credential must say which caller it is.
fn shared_credentials(callers: &Callers, path: &Path) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut hashes = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (name, caller) in callers {
        let mut shared = |key: &str, owner: Option<&String>| {
            if let Some(owner) = owner {
                let message = if owner == name {
                    "has the same one twice".to_owned()
                } else {
                    format!("shares a credential with `callers.{owner}`: each caller needs its own")
                };
                faults.push(Fault::in_file(format!("callers.{name}.{key}"), path, message));
            }
        };
        for hash in &caller.token_sha256 {
            shared("token_sha256", hashes.insert(hash, name));
        }
        for san in &caller.san {
            shared("san", names.insert(san, name));
        }
    }
    faults
}

impl Caller {
    /// Whether nothing but a certificate proves who it is.
    pub(super) fn has_only_a_certificate(&self) -> bool {
        self.token_sha256.is_empty() && !self.san.is_empty()
    }

    fn warnings(&self, name: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.dry_run {
            warnings
                .push(format!("callers.{name}.dry_run: nothing but `keys` and `erase` is refused to it, only told"));
        }
        if self.clients.is_empty()
            && let Some(of_no_use) = self.permissions.iter().find(|it| ABOUT_CLIENTS.contains(&it.as_str()))
        {
            warnings.push(format!("callers.{name}.clients: without any, `{of_no_use}` permits nothing"));
        }
        if self.clients.is_empty() && self.audience.is_none() && self.permissions.iter().any(|it| it == "introspect") {
            warnings.push(format!("callers.{name}.audience: without it or `clients`, `introspect` permits nothing"));
        }
        warnings
    }
}
