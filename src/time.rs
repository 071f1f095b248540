//! An instant as a value: milliseconds since 1970, the unit of every time column. It knows no clock; whoever needs
//! "now" is handed one (see [`crate::clock`]).

use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since 1970; a negative number counts as 0.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.max(0))
    }

    /// From whole seconds since 1970, the unit of JWT's NumericDate (RFC 7519 section 2).
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// This instant, `duration` later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This instant, `duration` earlier; not before 1970.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(millis(duration)))
    }

    /// How long ago `earlier` was; zero if it is not earlier, as when another replica's clock runs a little ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    /// For people: `2026-05-03 10:15:02 UTC`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(self.0).unwrap_or(0));
        let text = humantime::format_rfc3339_seconds(instant).to_string();
        f.write_str(&text.replace('T', " ").replace('Z', " UTC"))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
