//! Where a database is.

use std::fmt;
use std::path::PathBuf;

use super::OpenError;

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Url {
    /// A file: one machine, one process.
    Sqlite(PathBuf),
    /// A server: any number of processes. May hold a password.
    Postgres(String),
}

impl Url {
    /// Reads `sqlite:PATH`, `sqlite://PATH` or `postgres://…`.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or_default();
        if path.is_empty() || path.starts_with(':') || path.contains('?') {
            return Err(OpenError::Url);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

impl fmt::Display for Url {
    /// Without what comes before the host: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let place = url.rsplit_once('@').or_else(|| url.split_once("://")).map_or("", |(_, place)| place);
                write!(f, "postgres://{}", place.split('?').next().unwrap_or_default())
            }
        }
    }
}
