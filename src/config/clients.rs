//! The clients file. It knows which keys a client can have and their limits; what the keys of one client ask of each
//! other is said in `client`.

use std::collections::BTreeMap;
use std::path::Path;

use super::client::{Client, ClientDefaults};
use super::declared::{self, Entry, Keys};
use super::fault::{Fault, Faults};
use super::settings::{ACCESS_TOKEN_TTL, BURST, LEEWAY, RECOVERY_LIMIT, SESSION_TTL};
use super::value::Kind;

/// Clients by name.
pub type Clients = BTreeMap<String, Client>;

const KEYS: Keys = &[
    ("profile", Kind::Choice(&["aal1", "aal2", "aal3"])),
    ("audience", Kind::Names),
    ("scope", Kind::Scopes),
    ("access_token_ttl", ACCESS_TOKEN_TTL),
    ("session_ttl", SESSION_TTL),
    ("idle_ttl", SESSION_TTL),
    ("leeway", LEEWAY),
    ("burst", BURST),
    ("recovery_limit", RECOVERY_LIMIT),
    ("rotation_when_due", Kind::Flag),
];

/// Reads a clients file.
pub(super) fn read(text: &str, path: &Path, defaults: &ClientDefaults) -> Result<Clients, Faults> {
    let clients = declared::read(text, path, "clients", KEYS, |entry| client(entry, defaults), |_| Vec::new())?;
    if clients.is_empty() {
        let nobody = "no client is declared: nobody could sign in";
        return Err(Faults(vec![Fault::in_file("clients", path, nobody)]));
    }
    Ok(clients)
}

/// What there is without a clients file.
pub(super) fn only_web(defaults: &ClientDefaults) -> Clients {
    Clients::from([("web".to_owned(), defaults.client(vec!["api".to_owned()]))])
}

/// What is allowed but probably not meant, a sentence each.
pub(super) fn warnings(clients: &Clients) -> Vec<String> {
    clients.iter().flat_map(|(name, client)| client.warnings(name)).collect()
}

fn client(entry: &mut Entry<'_>, defaults: &ClientDefaults) -> Client {
    let mut client = defaults.client(Vec::new());
    if let Some(profile) = entry.get::<String>("profile") {
        client.take_profile(&profile);
    }
    entry.set("audience", &mut client.audience);
    entry.set("scope", &mut client.scope);
    entry.set("access_token_ttl", &mut client.access_token_ttl);
    entry.set("session_ttl", &mut client.session_ttl);
    entry.set("idle_ttl", &mut client.idle_ttl);
    entry.set("leeway", &mut client.leeway);
    entry.set("burst", &mut client.burst);
    entry.set("recovery_limit", &mut client.recovery_limit);
    entry.set("rotation_when_due", &mut client.rotation_when_due);
    // A faulty audience was reported; a missing or empty one was not.
    if !entry.says("audience") || entry.is_empty_list("audience") {
        entry.fault("audience", "missing: a client needs at least one audience");
    }
    client
}
