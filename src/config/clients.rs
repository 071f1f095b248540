//! The clients file, all its faults at once. It knows which keys a client can have and their limits; what the keys of
//! one client ask of each other is said in `client`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value as Toml};

use super::client::{Client, ClientDefaults};
use super::fault::{Fault, Faults};
use super::form;
use super::resolve::Typed;
use super::settings::{ACCESS_TOKEN_TTL, BURST, LEEWAY, RECOVERY_LIMIT, SESSION_TTL};
use super::source::parse_toml;
use super::suggest::{hint, nearest};
use super::value::Kind;

/// Clients by name.
pub type Clients = BTreeMap<String, Client>;

/// Clients without a fault.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) clients: Clients,
    pub(super) warnings: Vec<String>,
}

const KEYS: [(&str, Kind); 10] = [
    ("profile", Kind::Choice(&["aal1", "aal2", "aal3"])),
    ("audience", Kind::Names),
    ("scope", Kind::Names),
    ("access_token_ttl", ACCESS_TOKEN_TTL),
    ("session_ttl", SESSION_TTL),
    ("idle_ttl", SESSION_TTL),
    ("leeway", LEEWAY),
    ("burst", BURST),
    ("recovery_limit", RECOVERY_LIMIT),
    ("rotation_when_due", Kind::Flag),
];

/// Reads a clients file: the clients, and a sentence for whatever is allowed but probably not meant.
pub fn read(text: &str, path: &Path, defaults: &ClientDefaults) -> Result<(Clients, Vec<String>), Faults> {
    check(text, path, defaults).map(|checked| (checked.clients, checked.warnings))
}

pub(super) fn check(text: &str, path: &Path, defaults: &ClientDefaults) -> Result<Checked, Faults> {
    let table = parse_toml(text, path).map_err(|fault| Faults(vec![fault]))?;
    let mut file = File { path, faults: Vec::new() };
    let mut clients = Clients::new();
    for (section, value) in &table {
        match value.as_table() {
            Some(entries) if section == "clients" => {
                for (name, entry) in entries {
                    clients.extend(file.client(name, entry, defaults).map(|client| (name.clone(), client)));
                }
            }
            None if section == "clients" => file.fault(section, "expected sections, [clients.<name>]"),
            _ => file.fault(section, &format!("unknown section{}", hint(nearest(section, ["clients"])))),
        }
    }
    if clients.is_empty() && file.faults.is_empty() {
        file.fault("clients", "no client is declared: nobody could sign in");
    }
    if file.faults.is_empty() { Ok(checked(clients)) } else { Err(Faults(file.faults)) }
}

/// What there is without a clients file.
pub(super) fn only_web(defaults: &ClientDefaults) -> Checked {
    checked(Clients::from([("web".to_owned(), defaults.client(vec!["api".to_owned()]))]))
}

fn checked(clients: Clients) -> Checked {
    let warnings = clients.iter().flat_map(|(name, client)| client.warnings(name)).collect();
    Checked { clients, warnings }
}

/// The file being read and what was wrong with it so far.
struct File<'a> {
    path: &'a Path,
    faults: Vec<Fault>,
}

impl File<'_> {
    fn fault(&mut self, key: &str, message: &str) {
        self.faults.push(Fault::in_file(key, self.path, message));
    }

    /// `None` if it is no section at all; else a client, whose faults are recorded.
    fn client(&mut self, name: &str, entry: &Toml, defaults: &ClientDefaults) -> Option<Client> {
        let path = format!("clients.{name}");
        if !form::name(name) {
            self.fault(&path, "expected a name of 1 to 255 printable ASCII characters without spaces");
        }
        let Some(table) = entry.as_table() else {
            self.fault(&path, &format!("expected a section; this is of type {}", entry.type_str()));
            return None;
        };
        let known = KEYS.map(|(key, _)| key);
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            self.fault(&format!("{path}.{key}"), &format!("unknown key{}", hint(nearest(key, known))));
        }
        let mut values = Values { file: self, table, path: &path };
        let mut client = defaults.client(Vec::new());
        if let Some(profile) = values.get::<String>("profile") {
            client.take_profile(&profile);
        }
        values.set("audience", &mut client.audience);
        values.set("scope", &mut client.scope);
        values.set("access_token_ttl", &mut client.access_token_ttl);
        values.set("session_ttl", &mut client.session_ttl);
        values.set("idle_ttl", &mut client.idle_ttl);
        values.set("leeway", &mut client.leeway);
        values.set("burst", &mut client.burst);
        values.set("recovery_limit", &mut client.recovery_limit);
        values.set("rotation_when_due", &mut client.rotation_when_due);
        // A faulty audience was reported; a missing or empty one was not.
        if table.get("audience").is_none_or(|audience| audience.as_array().is_some_and(Vec::is_empty)) {
            self.fault(&format!("{path}.audience"), "missing: a client needs at least one audience");
        }
        Some(client)
    }
}

/// The keys of one client.
struct Values<'a, 'f> {
    file: &'a mut File<'f>,
    table: &'a Table,
    path: &'a str,
}

impl Values<'_, '_> {
    fn get<T: Typed>(&mut self, key: &str) -> Option<T> {
        let toml = self.table.get(key)?;
        let (_, kind) = KEYS.iter().find(|(known, _)| *known == key)?;
        match kind.read_toml(toml) {
            Ok(value) => T::of(value),
            Err(message) => {
                self.file.fault(&format!("{}.{key}", self.path), &message);
                None
            }
        }
    }

    fn set<T: Typed>(&mut self, key: &str, field: &mut T) {
        if let Some(value) = self.get(key) {
            *field = value;
        }
    }
}
