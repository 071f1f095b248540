//! The two places a setting can stand in, TOML file and environment, and the names in them that nobody knows. It does
//! not know what a value means or which layer wins.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use toml::Table;
use toml::de::DeTable;

use super::fault::{Fault, Source, one_line};
use super::settings::{CONFIG_FILE, ENV_PREFIX, SETTINGS, env_name, file_form};
use super::suggest::{hint, nearest};
use super::value::{Kind, Value};

/// How a file is read; tests have none.
pub(super) type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// A place a setting can stand in.
#[derive(Clone, Copy)]
pub(super) enum Layer {
    Environment,
    File,
}

/// Everything that was written down, not yet understood.
pub(super) struct Sources<'a> {
    env: &'a BTreeMap<String, String>,
    /// The file's; empty without one.
    text: String,
    table: Table,
    path: PathBuf,
    /// Whether the file could be read: else nobody knows what it sets.
    pub(super) whole: bool,
}

/// A value as it was written.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    Text(&'a str),
    Toml(&'a toml::Value),
}

impl Raw<'_> {
    pub(super) fn read(self, kind: Kind) -> Result<Value, String> {
        match self {
            Self::Text(text) => kind.read_text(text),
            Self::Toml(toml) => kind.read_toml(toml),
        }
    }
}

impl<'a> Sources<'a> {
    pub(super) fn read(
        config_path: Option<&Path>,
        env: &'a BTreeMap<String, String>,
        read_file: ReadFile<'_>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let (path, named_by) = match (config_path, env.get(CONFIG_FILE)) {
            (Some(path), _) => (path.to_owned(), Source::Default),
            (None, Some(path)) => (PathBuf::from(path), Source::Environment(CONFIG_FILE.to_owned())),
            (None, None) => {
                let (text, table, path) = (String::new(), Table::new(), PathBuf::new());
                return Self { env, text, table, path, whole: true };
            }
        };
        let read = read_file(&path);
        let table = match &read {
            Ok(text) => parse_toml(text, &path),
            Err(error) => Err(Fault::new("config_file", named_by, format!("cannot read {}: {error}", path.display()))),
        };
        let text = read.unwrap_or_default();
        let whole = table.is_ok();
        let table = table.unwrap_or_else(|fault| {
            faults.push(fault);
            Table::new()
        });
        Self { env, text, table, path, whole }
    }

    /// Gives each fault of the file its line.
    pub(super) fn locate(&self, faults: &mut [Fault]) {
        locate(faults, &self.text, &self.path);
    }

    /// What a layer says at a TOML path.
    pub(super) fn get(&self, layer: Layer, path: &str) -> Option<(Raw<'_>, Source)> {
        match layer {
            Layer::Environment => {
                let name = env_name(path);
                self.env.get(&name).map(|text| (Raw::Text(text), Source::Environment(name)))
            }
            Layer::File => {
                let toml = match path.split_once('.') {
                    None => self.table.get(path),
                    Some((section, key)) => self.table.get(section)?.as_table()?.get(key),
                };
                toml.map(|toml| (Raw::Toml(toml), Source::File(self.path.clone())))
            }
        }
    }

    /// Keys and sections of the file that no setting has.
    pub(super) fn unknown_keys(&self) -> Vec<Fault> {
        let known = known_paths();
        let mut faults = Vec::new();
        let mut unknown = |path: String, message| faults.push(Fault::in_file(path, &self.path, message));
        for (name, value) in &self.table {
            let prefix = format!("{name}.");
            let is_section = known.iter().any(|path| path.starts_with(&prefix));
            match value.as_table() {
                Some(section) if is_section => {
                    let strangers = section.keys().map(|key| format!("{prefix}{key}"));
                    for path in strangers.filter(|path| !known.contains(path)) {
                        let message = format!("unknown key{}", hint(nearest_path(&path, &known)));
                        unknown(path, message);
                    }
                }
                None if is_section => {
                    unknown(
                        name.clone(),
                        format!("expected a section, [{name}]; this is of type {}", value.type_str()),
                    );
                }
                // A setting of this name, whose value is looked at when it is read.
                _ if known.contains(name) => {}
                section => {
                    let what = if section.is_some() { "unknown section" } else { "unknown key" };
                    unknown(name.clone(), format!("{what}{}", hint(nearest_top(name, &known))));
                }
            }
        }
        faults
    }

    /// Variables that begin like ours and are no setting's, each with the known one nearest to it.
    pub(super) fn unknown_variables(&self) -> Vec<(&'a str, Option<String>)> {
        let mut known: Vec<String> = known_paths().iter().map(|path| env_name(path)).collect();
        known.push(CONFIG_FILE.to_owned());
        let bare = || known.iter().filter_map(|name| name.strip_prefix(ENV_PREFIX));
        let ours = self.env.keys().filter_map(|name| Some((name, name.strip_prefix(ENV_PREFIX)?)));
        // Without the prefix, which is alike in all of them.
        ours.filter(|(name, _)| !known.contains(name))
            .map(|(name, rest)| (name.as_str(), nearest(rest, bare()).map(|near| format!("{ENV_PREFIX}{near}"))))
            .collect()
    }
}

/// Parses TOML; the fault says line and column and shows nothing of the file, whose lines may hold secrets.
pub(super) fn parse_toml(text: &str, path: &Path) -> Result<Table, Fault> {
    text.parse::<Table>().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let message = format!("not valid TOML at column {column}: {}", one_line(error.message()));
        Fault { line: Some(line), ..Fault::in_file("", path, message) }
    })
}

/// Gives each fault of this file the line of its key, or of the section that lacks it.
pub(super) fn locate(faults: &mut [Fault], text: &str, path: &Path) {
    let Ok(table) = DeTable::parse(text) else { return };
    for fault in faults.iter_mut().filter(|fault| fault.line.is_none() && !fault.key.is_empty()) {
        if fault.source == Source::File(path.to_owned()) {
            fault.line = place(table.get_ref(), &fault.key).map(|at| 1 + text[..at].matches('\n').count());
        }
    }
}

/// Where the key at a dotted path begins; a quoted key may hold dots itself.
fn place(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let all = table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value.get_ref()));
    let begin = all.filter_map(|(key, at, value)| {
        let rest = path.strip_prefix(key)?;
        (rest.is_empty() || rest.starts_with('.')).then_some((at, rest, value))
    });
    // Of `a` and `"a.b"`, the one that says more of it.
    let (at, rest, value) = begin.min_by_key(|(_, rest, _)| rest.len())?;
    let inner = value.as_table().and_then(|table| place(table, rest.strip_prefix('.')?));
    Some(inner.unwrap_or(at))
}

fn known_paths() -> Vec<String> {
    let forms = |path: &str, secret: bool| [Some(path.to_owned()), secret.then(|| file_form(path))];
    SETTINGS.iter().flat_map(|setting| forms(setting.path, setting.kind.is_secret())).flatten().collect()
}

/// What was meant by a key of a known section: one of that section, or one of that name elsewhere.
fn nearest_path<'k>(path: &str, known: &'k [String]) -> Option<&'k str> {
    let (section, key) = path.split_once('.')?;
    let inside = known.iter().filter_map(|path| path.strip_prefix(section)?.strip_prefix('.'));
    let near = nearest(key, inside).map(|near| format!("{section}.{near}"));
    let found = known.iter().find(|path| Some(*path) == near.as_ref()).or_else(|| elsewhere(key, known));
    found.map(String::as_str)
}

/// What was meant by a key or section at the top: one of the top, or a key of that name in a section.
fn nearest_top<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let top = known.iter().map(|path| path.split_once('.').map_or(path.as_str(), |(section, _)| section));
    nearest(name, top).or_else(|| elsewhere(name, known).map(String::as_str))
}

fn elsewhere<'k>(key: &str, known: &'k [String]) -> Option<&'k String> {
    known.iter().find(|path| path.rsplit('.').next() == Some(key))
}
