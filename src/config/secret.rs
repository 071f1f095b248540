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
    /// Only its scheme, unless it is a file's: a password may stand in more than one place of it, and be written wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(':').filter(|(scheme, _)| *scheme != "sqlite") {
            Some((scheme, _)) => write!(f, "{scheme}://{REDACTED}"),
            None => f.write_str(&self.0),
        }
    }
}
