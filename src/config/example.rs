//! The file to begin with: every setting, what it means, its name in the environment, and its default or else an
//! example, all behind a `#` but what has to be set. It follows from the table, so it cannot leave a setting out.

use std::fmt::Write;

use toml::Value;

use super::settings::{Fallback, SETTINGS, Setting, file_form};
use super::value::Kind;
use super::{Profile, settings};

const HEAD: &str = "\
# Symbolon: every setting of `serve` and `edge`, with its default, or an example where there is none. What has no `#`
# has to be set. Each setting can also stand in the environment, which wins. Unknown keys are refused; `symbolon config
# check --config FILE` says everything that is wrong, `symbolon config print` what holds and where it came from.
#
# Written from the program by its tests (UPDATE_GENERATED=1 cargo test --test it -- example): edit a copy.
";

/// The file, in TOML.
#[must_use]
pub fn example_toml() -> String {
    let (top, sections): (Vec<_>, Vec<_>) = SETTINGS.iter().partition(|setting| section(setting).is_none());
    let mut text = HEAD.to_owned();
    for setting in top {
        entry(&mut text, setting);
    }
    let mut begun = Vec::new();
    for name in sections.iter().filter_map(|setting| section(setting)) {
        if begun.contains(&name) {
            continue;
        }
        begun.push(name);
        let _ = write!(text, "\n[{name}]\n");
        for setting in sections.iter().filter(|setting| section(setting) == Some(name)) {
            entry(&mut text, setting);
        }
    }
    text
}

fn section(setting: &Setting) -> Option<&'static str> {
    setting.path.split_once('.').map(|(section, _)| section)
}

fn entry(text: &mut String, setting: &Setting) {
    let secret = setting.kind.is_secret();
    // A secret in a file of its own can have its own reader.
    let path = if secret { file_form(setting.path) } else { setting.path.to_owned() };
    let kind = if secret { Kind::Path } else { setting.kind };
    let key = path.rsplit('.').next().unwrap_or_default();
    let fallback = setting.fallback(Profile::Serve);
    let (value, without) = match fallback {
        Fallback::Value(value) | Fallback::Follows(value) => (written(kind, value), String::new()),
        Fallback::Unset(words) => (written(kind, &example(kind, setting, key)), format!("; default: {words}")),
        Fallback::Required => (written(kind, &example(kind, setting, key)), "; has to be set".to_owned()),
    };
    let means = format!("{}{}", setting.means, if secret { ", in a file" } else { "" });
    let hidden = if matches!(fallback, Fallback::Required) { "" } else { "#" };
    let _ = write!(text, "\n# {means}\n# {}{without}\n{hidden}{key} = {value}\n", settings::env_name(&path));
}

/// As it stands in TOML. An empty list has an empty text.
fn written(kind: Kind, text: &str) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    if kind.is_list() {
        let items = text.split(',').filter(|item| !item.is_empty());
        let items: Vec<_> =
            items.map(|item| if matches!(kind, Kind::Ids) { item.to_owned() } else { quoted(item) }).collect();
        format!("[{}]", items.join(", "))
    } else if matches!(kind, Kind::Flag | Kind::Count { .. } | Kind::Rate { .. }) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Something of a good form where there is no default.
fn example(kind: Kind, setting: &Setting, key: &str) -> String {
    match kind {
        Kind::Path => {
            let name = key.trim_end_matches("_file").replace('_', "-");
            let ending = if setting.means.starts_with("TOML") {
                ".toml"
            } else if ["cert", "key", "ca"].iter().any(|part| name.ends_with(part)) {
                ".pem"
            } else {
                ""
            };
            return format!("/etc/symbolon/{name}{ending}");
        }
        Kind::HostPort => "127.0.0.1:8080",
        Kind::HttpUrl | Kind::HttpUrls => "https://auth.example.com",
        Kind::RedirectTarget => "/sign-in",
        Kind::Database => "postgres://symbolon@localhost/symbolon",
        Kind::UrlPath => "/auth",
        Kind::CookieName => "__Host-Http-symbolon",
        Kind::Name | Kind::Names | Kind::Scopes => "web",
        Kind::Words => "info",
        Kind::Choice(of) | Kind::Choices(of) => of.first().copied().unwrap_or_default(),
        Kind::Hashes => "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        Kind::Origins => "https://app.example.com",
        Kind::Cidrs => "10.0.0.0/8",
        Kind::Ids | Kind::Count { .. } | Kind::Rate { .. } => "1",
        Kind::Flag => "true",
        Kind::Span { .. } => "30s",
        Kind::Secret => "secret",
    }
    .to_owned()
}
