//! The callers file: who may call, how it proves who it is, and what it may ask for. It knows the clients, since a caller
//! is given some of them; what a permission permits is another room's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::clients::Clients;
use super::declared::{self, Entry, Keys};
use super::fault::{Fault, Faults};
use super::settings::{ACCESS_TOKEN_TTL, SESSION_TTL};
use super::source::locate;
use super::suggest::{hint, nearest};
use super::value::Kind;

/// Callers by name.
pub type Callers = BTreeMap<String, Caller>;

/// One caller. What it is not given, it may not ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// SHA-256 of its bearer secrets; two while one is changed.
    pub token_sha256: Vec<[u8; 32]>,
    /// URI or DNS names in its certificate.
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
    /// Whether it is let through whatever it asks for, and only told of.
    pub dry_run: bool,
}

/// What a caller can be given.
pub const PERMISSIONS: [&str; 8] = ["issue", "refresh", "revoke", "introspect", "list", "update", "watch", "keys"];

/// Those that are of no use without a client.
const ABOUT_CLIENTS: [&str; 5] = ["issue", "refresh", "revoke", "list", "update"];

/// The edge in the process of the service is this caller, and needs no credential there. Without an entry it may do
/// what an edge needs.
pub const EDGE: &str = "edge";

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
    let callers = declared::read(text, path, "callers", KEYS, caller)?;
    let mut faults = Vec::new();
    for (name, caller) in &callers {
        faults.extend(clients.and_then(|clients| unknown_clients(name, caller, clients, path)));
    }
    faults.extend(shared_credentials(&callers, path));
    if !faults.is_empty() {
        locate(&mut faults, text, path);
        return Err(Faults(faults));
    }
    let warnings = callers.iter().flat_map(|(name, caller)| caller.warnings(name)).collect();
    Ok((callers, warnings))
}

fn caller(entry: &mut Entry<'_>) -> Caller {
    let caller = Caller {
        token_sha256: entry.get("token_sha256").unwrap_or_default(),
        san: entry.get("san").unwrap_or_default(),
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
    if !entry.says("token_sha256") && !entry.says("san") && !is_edge {
        entry.fault("token_sha256", "missing: without it or `san` nobody can prove to be this caller");
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

fn unknown_clients(name: &str, caller: &Caller, clients: &Clients, path: &Path) -> Option<Fault> {
    let known = || clients.keys().map(String::as_str);
    let unknown: Vec<_> = caller.clients.iter().filter(|client| !clients.contains_key(*client)).collect();
    let first = unknown.first()?;
    let near = nearest(first, known())
        .map_or_else(|| format!("; declared are {}", known().collect::<Vec<_>>().join(", ")), |near| hint(Some(near)));
    Some(Fault::in_file(format!("callers.{name}.clients"), path, format!("no client `{first}` is declared{near}")))
}

/// A credential must say which caller it is.
fn shared_credentials(callers: &Callers, path: &Path) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut hashes = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (name, caller) in callers {
        let mut shared = |key: &str, owner: Option<&String>| {
            if let Some(owner) = owner {
                let message = format!("shares a credential with `callers.{owner}`: each caller needs its own");
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
    fn warnings(&self, name: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.dry_run {
            warnings.push(format!("callers.{name}.dry_run: nothing is refused to it, only told"));
        }
        if self.clients.is_empty()
            && let Some(of_no_use) = self.permissions.iter().find(|it| ABOUT_CLIENTS.contains(&it.as_str()))
        {
            warnings.push(format!("callers.{name}.clients: without any, `{of_no_use}` permits nothing"));
        }
        warnings
    }
}
