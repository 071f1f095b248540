//! Every setting with the value that holds and where it came from: the environment wins over the file, the file over
//! the default. It knows the table, not what any single setting is for.

use std::collections::BTreeMap;
use std::path::Path;

use zeroize::Zeroizing;

use super::Profile;
use super::fault::{Fault, Source};
use super::settings::{Fallback, SETTINGS, Setting, env_name, file_form};
use super::source::{Layer, Raw, ReadFile, Sources};
use super::value::{Kind, Value};

/// The settings that hold.
pub(super) struct Settings(BTreeMap<&'static str, Resolved>);

/// One setting that holds.
pub(super) struct Resolved {
    /// `None` where the table has no value either.
    pub(super) value: Option<Value>,
    pub(super) source: Source,
    /// Set, but not to anything that can be used.
    pub(super) faulty: bool,
}

impl Settings {
    pub(super) fn resolve(
        profile: Profile,
        sources: &Sources<'_>,
        read_file: ReadFile<'_>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let resolve = |setting: &Setting| (setting.path, resolve_one(setting, profile, sources, read_file, faults));
        Self(SETTINGS.iter().map(resolve).collect())
    }

    /// Gives a setting the value that follows from others, unless it was set.
    pub(super) fn follow(&mut self, path: &'static str, value: &str) {
        if let Some(entry) = self.0.get_mut(path).filter(|entry| entry.value.is_none()) {
            entry.value = Some(Value::Text(value.to_owned()));
        }
    }

    pub(super) fn entry(&self, path: &str) -> &Resolved {
        self.0.get(path).expect("cannot fail: `resolve` gave every row of the table an entry, and paths are rows")
    }

    /// The value of a setting that may have none.
    pub(super) fn get<T: Typed>(&self, path: &str) -> Option<T> {
        self.entry(path).value.clone().and_then(T::of)
    }

    /// The value of a setting that always has one.
    pub(super) fn of<T: Typed>(&self, path: &str) -> T {
        self.get(path).expect("cannot fail: the row has a default of this type, or its absence was a fault before")
    }

    /// Whether it has a value, or was at least meant to have one.
    pub(super) fn is_set(&self, path: &str) -> bool {
        let entry = self.entry(path);
        entry.value.is_some() || entry.faulty
    }
}

fn resolve_one(
    setting: &Setting,
    profile: Profile,
    sources: &Sources<'_>,
    read_file: ReadFile<'_>,
    faults: &mut Vec<Fault>,
) -> Resolved {
    let mut resolved: Option<Resolved> = None;
    for layer in [Layer::Environment, Layer::File] {
        // A mistake is one even where the environment wins over it; only files are not read in vain.
        let found = match resolved {
            None => read_layer(setting, layer, sources, Some(read_file)),
            Some(_) => read_layer(setting, layer, sources, None),
        };
        match found {
            Ok(None) => {}
            Ok(Some((value, source))) => {
                resolved.get_or_insert(Resolved { value, source, faulty: false });
            }
            Err(fault) => {
                let source = fault.source.clone();
                faults.push(fault);
                resolved.get_or_insert(Resolved { value: default(setting, profile), source, faulty: true });
            }
        }
    }
    resolved.unwrap_or_else(|| Resolved { value: default(setting, profile), source: Source::Default, faulty: false })
}

fn default(setting: &Setting, profile: Profile) -> Option<Value> {
    match setting.fallback(profile) {
        Fallback::Value(text) => setting.kind.read_text(text).ok(),
        Fallback::Unset(_) | Fallback::Follows(_) | Fallback::Required => None,
    }
}

/// What one layer says of a setting. Without `read_file` a secret's file is left alone.
fn read_layer(
    setting: &Setting,
    layer: Layer,
    sources: &Sources<'_>,
    read_file: Option<ReadFile<'_>>,
) -> Result<Option<(Option<Value>, Source)>, Fault> {
    let path = setting.path;
    let plain = sources.get(layer, path);
    let in_file = if setting.kind.is_secret() { sources.get(layer, &file_form(path)) } else { None };
    match (plain, in_file) {
        (None, None) => Ok(None),
        (Some((raw, source)), None) => match raw.read(setting.kind) {
            Ok(value) => Ok(Some((Some(value), source))),
            Err(message) => Err(Fault::new(path, source, message)),
        },
        (None, Some((raw, source))) => match read_secret(raw, setting.kind, read_file) {
            Ok(value) => Ok(Some((value, source))),
            Err(message) => Err(Fault::new(file_form(path), source, message)),
        },
        (Some((_, source)), Some(_)) => {
            let (one, other) = match layer {
                Layer::Environment => (env_name(path), env_name(&file_form(path))),
                Layer::File => (path.to_owned(), file_form(path)),
            };
            Err(Fault::new(path, source, format!("`{one}` and `{other}` are both set; keep one")))
        }
    }
}

/// The secret in the file that `raw` names.
fn read_secret(raw: Raw<'_>, kind: Kind, read_file: Option<ReadFile<'_>>) -> Result<Option<Value>, String> {
    let Value::Text(path) = raw.read(Kind::Path)? else { return Ok(None) };
    let Some(read_file) = read_file else { return Ok(None) };
    let text = read_file(Path::new(&path)).map_err(|error| {
        // `id:base64` where its file's path belongs: a slip that must not put the key into a log.
        if path.contains(':') {
            "cannot read the file; the value looks like the secret itself, not like a path".to_owned()
        } else {
            format!("cannot read {path}: {error}")
        }
    })?;
    kind.read_text(&Zeroizing::new(text)).map(Some).map_err(|message| format!("{path}: {message}"))
}

/// A type a setting can have.
pub(super) trait Typed: Sized {
    fn of(value: Value) -> Option<Self>;
}

macro_rules! typed {
    ($($type:ty: $pattern:pat => $value:expr),+ $(,)?) => {
        $(impl Typed for $type {
            fn of(value: Value) -> Option<Self> {
                if let $pattern = value { Some($value) } else { None }
            }
        })+
    };
}
typed! {
    String: Value::Text(text) => text,
    std::path::PathBuf: Value::Text(text) => text.into(),
    Vec<String>: Value::List(items) => items,
    Vec<u8>: Value::Ids(ids) => ids,
    Vec<[u8; 32]>: Value::Hashes(hashes) => hashes,
    bool: Value::Flag(flag) => flag,
    u32: Value::Count(count) => count,
    std::num::NonZeroU32: Value::Rate(rate) => rate,
    std::time::Duration: Value::Span(span) => span,
    super::Secret: Value::Secret(secret) => secret,
    super::DatabaseUrl: Value::Database(url) => url,
}
