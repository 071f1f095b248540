//! Where a database is.

use std::fmt;
use std::path::PathBuf;

use sea_orm::sqlx::postgres::PgConnectOptions;

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
            // What is wrong with it is not told: the sentence would quote it.
            let understood = text.parse::<PgConnectOptions>().is_ok();
            return if understood { Ok(Self::Postgres(text.to_owned())) } else { Err(OpenError::Url) };
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or_default();
        if path.is_empty() || path.starts_with(':') || path.contains('?') {
            return Err(OpenError::Url);
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }

    /// Whether a password stands in it, in any of the places the driver looks at.
    #[must_use]
    pub fn has_password(&self) -> bool {
        let Self::Postgres(address) = self else { return false };
        let address = address.split_once("://").map_or("", |(_, address)| address);
        let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
        let of_a_user = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
        let query = address.split_once('?').map_or("", |(_, query)| query);
        of_a_user || form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "password")
    }
}

impl fmt::Display for Url {
    /// What was understood of it, rebuilt from its parts: never the text itself, which may hold a password anywhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => match url.parse::<PgConnectOptions>() {
                Ok(options) => {
                    let database = options.get_database().unwrap_or_default();
                    write!(f, "postgres://{}:{}/{database}", options.get_host(), options.get_port())
                }
                Err(_) => f.write_str("postgres://…"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown_wherever_it_stands_and_however_it_is_written() {
        for (text, shown) in [
            ("postgres://ada:canary@db:6432/x", "postgres://db:6432/x"),
            ("postgres://db/x?user=ada&password=hun@canary", "postgres://db:5432/x"),
            ("postgres://ada:can%2Fary@db/x?sslmode=require", "postgres://db:5432/x"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.to_string(), url.has_password()), (shown.to_owned(), true));
        }
        for without in ["postgres://ada@db:6432/x?user=bob", "postgres://db/password=x", "sqlite:a:b@c"] {
            assert!(!Url::parse(without).unwrap().has_password(), "{without}");
        }
        for broken in ["postgres://ada:can/ary@db:1/x", "postgres://ada:canary@db:port/x", "sqlite:", "sqlite::memory:"]
        {
            let refused = Url::parse(broken).map(|_| ()).unwrap_err().to_string();
            assert!(!refused.contains("can") || refused.contains("cannot be read"), "{refused}");
            assert!(!refused.contains("canary") && !refused.contains("ary@"), "{refused}");
        }
    }
}
