//! Values that nobody may see by accident: they are wiped when dropped, and debug output does not show them. What they
//! mean is another room's.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroizing;

/// What stands where a secret would be shown.
pub(super) const REDACTED: &str = "[redacted]";

/// A secret from file or environment.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// A database URL, which may hold a password. It dereferences to the whole; shown, it has no password.
#[derive(Clone)]
pub struct DatabaseUrl(Zeroizing<String>);

impl Secret {
    pub(super) fn new(secret: &str) -> Self {
        Self(Zeroizing::new(secret.to_owned()))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl DatabaseUrl {
    pub(super) fn new(url: &str) -> Self {
        Self(Zeroizing::new(url.to_owned()))
    }
}

impl Deref for DatabaseUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
            return f.write_str(&self.0);
        };
        // The last `@` ends the password even if somebody forgot to escape one, a `/` or a `?` inside it: rather hide
        // too much than show its tail.
        let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
        write!(f, "{scheme}://")?;
        if let Some(user) = user {
            match user.split_once(':') {
                Some((name, _)) => write!(f, "{name}:{REDACTED}@")?,
                None => write!(f, "{user}@")?,
            }
        }
        let (place, query) = place.split_once('?').map_or((place, None), |(place, query)| (place, Some(query)));
        f.write_str(place)?;
        for (at, parameter) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
            f.write_str(if at == 0 { "?" } else { "&" })?;
            let name = parameter.split('=').next().unwrap_or_default();
            // An escaped name could spell `password` too.
            let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'-');
            if plain && !name.contains("pass") {
                f.write_str(parameter)?;
            } else {
                write!(f, "{name}={REDACTED}")?;
            }
        }
        Ok(())
    }
}
