//! How long tokens and sessions live. One rule: a session ends at `min(last rotation + idle, sign-in + absolute)`, and
//! no access token outlives its session.

use std::time::Duration;

use crate::time::Timestamp;

/// What was granted at sign-in and stays, however often the session is refreshed. The absolute end is a date of the
/// session itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Whole seconds.
    pub access_token_ttl: Duration,
    /// Whole seconds.
    pub idle_ttl: Duration,
}

/// How long a session that was meant to end with the browser may be idle.
pub const BROWSER_SESSION_IDLE: Duration = Duration::from_secs(12 * 3600);

/// From when to when an access token is good: `iat` and `exp`, seconds since 1970 (RFC 7519 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessTokenLife {
    pub iat: i64,
    pub exp: i64,
}

impl AccessTokenLife {
    /// The earliest moment to refresh, 60 % into the life: also the moment from which the refresh token is due. Clients
    /// draw their own from here to 90 %, so that no answer tells a thief the second to strike.
    #[must_use]
    pub fn refresh_after(&self) -> Timestamp {
        Timestamp::from_millis(self.iat * 1000 + (self.exp - self.iat) * 600)
    }
}
