//! The settings as people read them: `config print` and the README's table. It shows no secret, because a value knows
//! how it is shown.

use std::fmt;

use super::Profile;
use super::fault::{Source, one_line};
use super::resolve::Settings;
use super::settings::{CONFIG_FILE, Fallback, SETTINGS, Setting, env_name, file_form};

/// One setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintedSetting {
    /// Where it stands in the TOML: `grpc.listen`.
    pub path: &'static str,
    /// Its name in the environment: `SYMBOLON_GRPC_LISTEN`.
    pub env: String,
    /// The value; `[redacted]` if secret; in parentheses what happens without one.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

impl fmt::Display for PrintedSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}, {}", self.path, one_line(&self.value), self.env, self.source)
    }
}

/// Every setting, in the order of the table.
pub(super) fn printed(profile: Profile, settings: &Settings) -> Vec<PrintedSetting> {
    let print = |setting: &Setting| {
        let entry = settings.entry(setting.path);
        let value = entry.value.as_ref().map(super::value::Value::shown).filter(|shown| !shown.is_empty());
        let value = value.unwrap_or_else(|| format!("({})", without(setting.fallback(profile))));
        PrintedSetting { path: setting.path, env: setting.env(), value, source: entry.source.clone() }
    };
    SETTINGS.iter().map(print).collect()
}

/// The table of all settings for the README, in Markdown.
#[must_use]
pub fn markdown_table() -> String {
    let mut table = String::from("| environment | in the TOML file | means | default in `dev` | in `serve` |\n");
    table.push_str("|---|---|---|---|---|\n");
    table.push_str(&row(&format!("`{CONFIG_FILE}`"), "–", "the TOML file; `--config` wins over it", "none", "none"));
    for setting in SETTINGS {
        let path = setting.path;
        let (env, toml) = if setting.kind.is_secret() {
            let file = file_form(path);
            (format!("`{}` or `{}`", setting.env(), env_name(&file)), format!("`{path}` or `{file}`"))
        } else {
            (format!("`{}`", setting.env()), format!("`{path}`"))
        };
        let [dev, serve] = [Profile::Dev, Profile::Serve].map(|profile| cell(setting.fallback(profile)));
        table.push_str(&row(&env, &toml, setting.means, &dev, &serve));
    }
    table
}

fn row(env: &str, toml: &str, means: &str, dev: &str, serve: &str) -> String {
    format!("| {env} | {toml} | {means} | {dev} | {serve} |\n")
}

fn cell(fallback: Fallback) -> String {
    match fallback {
        Fallback::Value("") => "none".to_owned(),
        Fallback::Value(text) | Fallback::Follows(text) => format!("`{text}`"),
        Fallback::Unset(words) => words.to_owned(),
        Fallback::Required => "required".to_owned(),
    }
}

fn without(fallback: Fallback) -> &'static str {
    match fallback {
        Fallback::Unset(words) => words,
        Fallback::Value(_) | Fallback::Follows(_) | Fallback::Required => "none",
    }
}
