//! The kinds of value a setting can have: how each is written in environment and TOML, and what was expected when it
//! is not. It does not know which setting has which kind.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::Value as Toml;

use super::form;
use super::secret::{DatabaseUrl, REDACTED, Secret};

/// The kind of a setting. What is said of a number is inclusive.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Path,
    HostPort,
    HttpUrl,
    HttpUrls,
    RedirectTarget,
    Database,
    UrlPath,
    CookieName,
    Name,
    Words,
    Choice(&'static [&'static str]),
    Names,
    Choices(&'static [&'static str]),
    Scopes,
    Hashes,
    Origins,
    Cidrs,
    Ids,
    Flag,
    Count { most: u32 },
    Rate { most: u32 },
    Span { least: u64, most: u64 },
    Secret,
}

/// A value of a good form. No `Debug`: a text may be a database URL.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    Ids(Vec<u8>),
    Hashes(Vec<[u8; 32]>),
    Flag(bool),
    Count(u32),
    Rate(NonZeroU32),
    Span(Duration),
    Secret(Secret),
    Database(DatabaseUrl),
}

impl Kind {
    /// Whether it is never shown and has a `_FILE` form.
    pub(super) fn is_secret(self) -> bool {
        matches!(self, Self::Secret)
    }

    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::Names
                | Self::Choices(_)
                | Self::Scopes
                | Self::Hashes
                | Self::Origins
                | Self::Cidrs
                | Self::HttpUrls
                | Self::Ids
        )
    }

    /// Reads what stands in the environment. The error says what was expected.
    pub(super) fn read_text(self, text: &str) -> Result<Value, String> {
        if text.is_empty() && !self.is_list() {
            return Err(format!("expected {}; it is empty: leave it out to get the default", self.expected()));
        }
        self.parse(text).ok_or_else(|| format!("expected {}", self.expected()))
    }

    /// Reads what stands in a TOML file. The error says what was expected.
    pub(super) fn read_toml(self, toml: &Toml) -> Result<Value, String> {
        let items = |of: fn(&Toml) -> bool| toml.as_array().is_some_and(|items| items.iter().all(of));
        let well_typed = if matches!(self, Self::Flag) {
            toml.is_bool()
        } else if matches!(self, Self::Count { .. } | Self::Rate { .. }) {
            toml.is_integer()
        } else if self.is_list() {
            items(if matches!(self, Self::Ids) { Toml::is_integer } else { Toml::is_str })
        } else {
            toml.is_str()
        };
        if well_typed {
            self.convert(toml).ok_or_else(|| format!("expected {}", self.expected()))
        } else {
            Err(format!("expected {}; this is of type {}", self.expected_in_toml(), toml.type_str()))
        }
    }

    fn convert(self, toml: &Toml) -> Option<Value> {
        if let Some(items) = toml.as_array() {
            return if matches!(self, Self::Ids) {
                items.iter().map(|item| id(item.as_integer()?)).collect::<Option<_>>().map(Value::Ids)
            } else {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?;
                self.list(items)
            };
        }
        if let Some(flag) = toml.as_bool() {
            return Some(Value::Flag(flag));
        }
        match toml.as_integer() {
            Some(number) => self.parse(&number.to_string()),
            None => self.parse(toml.as_str()?),
        }
    }

    fn parse(self, text: &str) -> Option<Value> {
        let text_if = |good: bool| good.then(|| Value::Text(text.to_owned()));
        match self {
            Self::Path => text_if(!text.is_empty() && !text.contains('\0')),
            Self::HostPort => text_if(form::host_port(text)),
            Self::HttpUrl => text_if(form::http_url(text)),
            Self::RedirectTarget => text_if(form::redirect_target(text)),
            Self::Database => form::database_url(text).then(|| Value::Database(DatabaseUrl::new(text))),
            Self::UrlPath => text_if(form::url_path(text)),
            Self::CookieName => text_if(form::cookie_name(text)),
            Self::Name => text_if(form::name(text)),
            Self::Words => text_if(!text.trim().is_empty()),
            Self::Choice(of) => text_if(of.contains(&text)),
            Self::Names
            | Self::Choices(_)
            | Self::Scopes
            | Self::Hashes
            | Self::Origins
            | Self::Cidrs
            | Self::HttpUrls => self.list(split(text).map(str::to_owned).collect()),
            Self::Ids => split(text).map(|item| id(item.parse().ok()?)).collect::<Option<_>>().map(Value::Ids),
            Self::Flag => match text {
                "true" | "on" => Some(Value::Flag(true)),
                "false" | "off" => Some(Value::Flag(false)),
                _ => None,
            },
            Self::Count { most } => text.parse().ok().filter(|count| *count <= most).map(Value::Count),
            Self::Rate { most } => text.parse().ok().filter(|rate: &NonZeroU32| rate.get() <= most).map(Value::Rate),
            Self::Span { least, most } => {
                let span = humantime::parse_duration(text).ok().filter(|span| span.subsec_nanos() == 0)?;
                // `humantime` takes a bare 0; everything else needs its unit, so this does too.
                let with_unit = text.contains(char::is_alphabetic);
                (with_unit && (least..=most).contains(&span.as_secs())).then_some(Value::Span(span))
            }
            Self::Secret => {
                let secret = text.trim();
                (!secret.is_empty()).then(|| Value::Secret(Secret::new(secret)))
            }
        }
    }

    fn list(self, items: Vec<String>) -> Option<Value> {
        let good = |item: &String| {
            if matches!(self, Self::Origins) {
                form::origin(item)
            } else if matches!(self, Self::Cidrs) {
                form::cidr(item)
            } else if matches!(self, Self::HttpUrls) {
                form::http_url(item)
            } else if matches!(self, Self::Scopes) {
                form::scope(item)
            } else if let Self::Choices(of) = self {
                of.contains(&item.as_str())
            } else {
                form::name(item)
            }
        };
        if matches!(self, Self::Hashes) {
            return items.iter().map(|item| form::sha256(item)).collect::<Option<_>>().map(Value::Hashes);
        }
        items.iter().all(good).then_some(Value::List(items))
    }

    fn expected(self) -> String {
        match self {
            Self::Path => "a path".into(),
            Self::HostPort => "`host:port` like localhost:8080, IPv6 as [::1]:8080, port 0 for a free one".into(),
            Self::HttpUrl => "an http:// or https:// URL without user, query, fragment or spaces".into(),
            Self::HttpUrls => "a list of http:// or https:// URLs".into(),
            Self::RedirectTarget => "an http:// or https:// URL, or a path that begins with one `/`".into(),
            Self::Database => "`sqlite:…`, `postgres://…` or `postgresql://…`".into(),
            Self::UrlPath => "a path like /auth: it begins with `/` and does not end with one".into(),
            Self::CookieName => "a cookie's name: letters, digits and !#$%&'*+-.^_`|~".into(),
            Self::Name => "1 to 255 printable ASCII characters without spaces".into(),
            Self::Words => "text".into(),
            Self::Choice(of) => format!("one of {}", of.join(", ")),
            Self::Names => "a list of names, each 1 to 255 printable ASCII characters without spaces".into(),
            Self::Choices(of) => format!("a list of {}", of.join(", ")),
            Self::Scopes => {
                "a list of scopes, each 1 to 255 printable ASCII characters without space, \" and \\".into()
            }
            Self::Hashes => "a list of SHA-256 hashes, 64 hexadecimal digits each".into(),
            Self::Origins => {
                "a list of origins like https://app.example.com: lower case, no path, no default port".into()
            }
            Self::Cidrs => "a list of CIDRs like 10.0.0.0/8".into(),
            Self::Ids => "a list of ids from 1 to 255".into(),
            Self::Flag => "true or false".into(),
            Self::Count { most } => format!("a whole number from 0 to {most}"),
            Self::Rate { most } => format!("a whole number from 1 to {most}"),
            Self::Span { least, most } => format!(
                "a duration of whole seconds from {} to {}, written like \"15m\", \"30d\" or \"900s\"",
                spell(Duration::from_secs(least)),
                spell(Duration::from_secs(most))
            ),
            Self::Secret => "a secret that is not empty".into(),
        }
    }

    fn expected_in_toml(self) -> String {
        let shape = if self.is_list() { " (an array)" } else { "" };
        format!("{}{shape}", self.expected())
    }
}

impl Value {
    /// As `config print` shows it: as it would be written, a secret not at all. Empty for an empty list.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
            Self::Ids(ids) => ids.iter().map(u8::to_string).collect::<Vec<_>>().join(","),
            Self::Flag(flag) => flag.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Rate(rate) => rate.to_string(),
            Self::Span(span) => spell(*span),
            Self::Secret(_) | Self::Hashes(_) => REDACTED.to_owned(),
            Self::Database(url) => url.to_string(),
        }
    }
}

/// A duration in the largest unit that leaves no rest: `15m`, `24h`, `30d`.
pub(super) fn spell(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        // A day is a round number of hours that people say in hours.
        86_400 => "24h".to_owned(),
        s if s > 0 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// The items of a list in the environment; no text, no items.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(move |_| !text.trim().is_empty())
}

fn id(number: i64) -> Option<u8> {
    u8::try_from(number).ok().filter(|id| *id > 0)
}
