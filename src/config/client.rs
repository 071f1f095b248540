//! One client: for which audience somebody signs in and how long. It refuses to know how a session ends or a token is
//! made; it holds numbers that are within their limits, and says which of them do not go together.

use std::time::Duration;

use super::value::spell;

/// One kind of sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Of its access tokens, unless less is asked for. Never empty.
    pub audience: Vec<String>,
    /// Likewise; may be empty.
    pub scope: Vec<String>,
    /// At most an hour.
    pub access_token_ttl: Duration,
    /// From sign-in.
    pub session_ttl: Duration,
    /// From the last rotation.
    pub idle_ttl: Duration,
    /// How long a spent token is answered with the same bytes; 0 to 60 s.
    pub leeway: Duration,
    /// How far behind uncoordinated holders may be; 1 to 600 s.
    pub burst: Duration,
    /// How many recoveries in a row are no theft yet; 0 to 3.
    pub recovery_limit: u32,
    /// Whether it may ask to rotate only when due.
    pub rotation_when_due: bool,
}

/// What a client has that says nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientDefaults {
    /// See [`Client::access_token_ttl`].
    pub access_token_ttl: Duration,
    /// See [`Client::session_ttl`].
    pub session_ttl: Duration,
    /// See [`Client::idle_ttl`].
    pub idle_ttl: Duration,
    /// See [`Client::leeway`].
    pub leeway: Duration,
    /// See [`Client::burst`].
    pub burst: Duration,
    /// See [`Client::recovery_limit`].
    pub recovery_limit: u32,
}

/// With `ROTATION_WHEN_DUE` thief and owner share the current token and come due together: within the leeway the
/// second of them looks like the first one's lost answer.
pub(super) const LEEWAY_WHEN_DUE: Duration = Duration::from_secs(5);
/// A burst shorter than a slow request signs uncoordinated tabs out.
const SHORT_BURST: Duration = Duration::from_secs(10);

impl ClientDefaults {
    /// A client that says no more than its audience.
    pub(super) fn client(&self, audience: Vec<String>) -> Client {
        Client {
            audience,
            scope: Vec::new(),
            access_token_ttl: self.access_token_ttl,
            session_ttl: self.session_ttl,
            idle_ttl: self.idle_ttl,
            leeway: self.leeway,
            burst: self.burst,
            recovery_limit: self.recovery_limit,
            rotation_when_due: false,
        }
    }
}

impl Client {
    /// The shipped profiles, after the authenticator assurance levels of NIST SP 800-63B.
    pub(super) fn take_profile(&mut self, profile: &str) {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        match profile {
            "aal2" => {
                (self.session_ttl, self.idle_ttl) = (hours(24), hours(1));
                self.recovery_limit = 1;
            }
            "aal3" => {
                (self.session_ttl, self.idle_ttl) = (hours(12), minutes(15));
                self.access_token_ttl = minutes(5);
                self.recovery_limit = 1;
            }
            _ => self.session_ttl = hours(30 * 24),
        }
    }

    /// What is allowed but probably not meant.
    pub(super) fn warnings(&self, name: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |key: &str, why: String| warnings.push(format!("clients.{name}.{key}: {why}"));
        if self.rotation_when_due && self.leeway > LEEWAY_WHEN_DUE {
            let leeway = spell(self.leeway);
            warn(
                "leeway",
                format!(
                    "{leeway} is too long with rotation_when_due: thief and owner share the current token and come due \
                 together, so a leeway above 5s hides the thief"
                ),
            );
        }
        if self.burst < SHORT_BURST {
            warn(
                "burst",
                format!("{} is short: below 10s, tabs that do not coordinate are signed out", spell(self.burst)),
            );
        }
        if self.idle_ttl > self.session_ttl {
            let (idle, session) = (spell(self.idle_ttl), spell(self.session_ttl));
            warn("idle_ttl", format!("{idle} has no effect: the session ends after session_ttl, {session}"));
        }
        if self.access_token_ttl >= self.idle_ttl {
            let (access, idle) = (spell(self.access_token_ttl), spell(self.idle_ttl));
            warn(
                "access_token_ttl",
                format!("{access} is not below idle_ttl, {idle}: the session may end before its token"),
            );
        }
        warnings
    }
}
