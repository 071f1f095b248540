//! A mistake in the configuration and where it was made. It refuses to know values: a fault says what was expected and
//! never repeats what was found, for that may be a secret in the wrong place.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// This file.
    File(PathBuf),
    /// This variable.
    Environment(String),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path in the TOML (`grpc.listen`, `clients.web.leeway`).
    pub key: String,
    /// Where it was made; [`Source::Default`] if something is missing.
    pub source: Source,
    /// The line of the file, from 1; `None` if it is no file's, or unknown.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub message: String,
}

/// What somebody who understands the file that a setting names says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// It cannot be used.
    Fault { setting: &'static str, message: String },
    /// It can, and is probably not meant.
    Warning { setting: &'static str, message: String },
}

/// Every mistake there is, never none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl Fault {
    pub(super) fn new(key: impl Into<String>, source: Source, message: impl Into<String>) -> Self {
        Self { key: key.into(), source, line: None, message: message.into() }
    }

    pub(super) fn in_file(key: impl Into<String>, file: &Path, message: impl Into<String>) -> Self {
        Self::new(key, Source::File(file.to_owned()), message)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let line = match (self.key.as_str(), &self.source) {
            (key, Source::Default) => format!("{key}: {}", self.message),
            ("", source) => format!("{source}{at}: {}", self.message),
            (key, source) => format!("{key} ({source}{at}): {}", self.message),
        };
        f.write_str(&one_line(&line))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

/// A quoted TOML key may hold anything; a report stays one line a fault and sends no escape sequence to a terminal.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}
