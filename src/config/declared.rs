//! A file that declares things of one kind, `[clients.web]` or `[callers.backend]`, all its faults at once and each with
//! its line. It knows how such a file is laid out, not what is declared.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value as Toml};

use super::fault::{Fault, Faults};
use super::form;
use super::resolve::Typed;
use super::source::{locate, parse_toml};
use super::suggest::{hint, nearest};
use super::value::Kind;

/// What an entry can say, and in which form.
pub(super) type Keys = &'static [(&'static str, Kind)];

/// One entry being read.
pub(super) struct Entry<'a> {
    keys: Keys,
    table: &'a Table,
    /// `clients.web`
    path: String,
    file: &'a Path,
    faults: &'a mut Vec<Fault>,
}

/// Reads every entry of the one section the file has, by its name. `read` is asked for each that is a section, and then
/// `across` for what is wrong with all of them together; what an entry has in a wrong form is left out there.
pub(super) fn read<T>(
    text: &str,
    file: &Path,
    section: &str,
    keys: Keys,
    mut read: impl FnMut(&mut Entry<'_>) -> T,
    across: impl FnOnce(&BTreeMap<String, T>) -> Vec<Fault>,
) -> Result<BTreeMap<String, T>, Faults> {
    let table = parse_toml(text, file).map_err(|fault| Faults(vec![fault]))?;
    let mut faults = Vec::new();
    let mut entries = BTreeMap::new();
    for (name, value) in &table {
        match value.as_table() {
            Some(declared) if name == section => {
                for (name, value) in declared {
                    let path = format!("{section}.{name}");
                    let mut fault = |message: &str| faults.push(Fault::in_file(&path, file, message));
                    if !form::name(name) {
                        fault("expected a name of 1 to 255 printable ASCII characters without spaces");
                    }
                    match value.as_table() {
                        Some(table) => {
                            let mut entry = Entry { keys, table, path, file, faults: &mut faults };
                            entry.refuse_strangers();
                            let declared = read(&mut entry);
                            entries.insert(name.clone(), declared);
                        }
                        None => fault(&format!("expected a section; this is of type {}", value.type_str())),
                    }
                }
            }
            None if name == section => {
                faults.push(Fault::in_file(name, file, format!("expected sections, [{section}.<name>]")));
            }
            _ => {
                let message = format!("unknown section{}", hint(nearest(name, [section])));
                faults.push(Fault::in_file(name, file, message));
            }
        }
    }
    faults.extend(across(&entries));
    if faults.is_empty() {
        return Ok(entries);
    }
    locate(&mut faults, text, file);
    faults.sort_by_key(|fault| fault.line);
    Err(Faults(faults))
}

impl Entry<'_> {
    /// Where it stands: `clients.web`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong with one of its keys.
    pub(super) fn fault(&mut self, key: &str, message: &str) {
        self.faults.push(Fault::in_file(format!("{}.{key}", self.path), self.file, message));
    }

    /// What is wrong with the entry as a whole.
    pub(super) fn fault_of_all(&mut self, message: &str) {
        self.faults.push(Fault::in_file(self.path.clone(), self.file, message));
    }

    fn refuse_strangers(&mut self) {
        let known = || self.keys.iter().map(|(key, _)| *key);
        let strangers = self.table.keys().filter(|key| !known().any(|known| known == key.as_str()));
        let faults = strangers.map(|key| (key.clone(), format!("unknown key{}", hint(nearest(key, known())))));
        for (key, message) in faults.collect::<Vec<_>>() {
            self.fault(&key, &message);
        }
    }

    /// Whether it says anything of a key, be it wrong.
    pub(super) fn says(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a list is there and empty.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.table.get(key).and_then(Toml::as_array).is_some_and(Vec::is_empty)
    }

    /// The value of a key, if it is there and as it must be.
    pub(super) fn get<T: Typed>(&mut self, key: &str) -> Option<T> {
        let toml = self.table.get(key)?;
        let (_, kind) = self.keys.iter().find(|(known, _)| *known == key)?;
        match kind.read_toml(toml) {
            Ok(value) => T::of(value),
            Err(message) => {
                self.fault(key, &message);
                None
            }
        }
    }

    /// Puts the value of a key where its default is.
    pub(super) fn set<T: Typed>(&mut self, key: &str, field: &mut T) {
        if let Some(value) = self.get(key) {
            *field = value;
        }
    }
}
