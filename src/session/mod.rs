//! A session: one sign-in, from `IssueTokens` until it expires or is revoked. Owns what a session is, when it is over
//! and what presenting one of its refresh tokens means. It knows no database, no network and no clock.

pub mod decision;
pub mod ended;
pub mod id;
pub mod redeem;

use std::time::Duration;

use crate::time::Timestamp;
use crate::token::lifetime::{AccessTokenLife, Lifetimes};
pub use decision::{Decision, DecisionKind};
pub use ended::Ended;
pub use id::SessionId;

/// One sign-in, as stored: one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub id: SessionId,
    /// Who signed in: 1 to 255 printable ASCII characters.
    pub subject: String,
    /// The application it belongs to.
    pub client_id: String,
    /// The caller that issued it.
    pub caller: String,
    /// Audiences granted at sign-in; never empty.
    pub audience: Vec<String>,
    /// Scopes granted at sign-in.
    pub scope: Vec<String>,
    /// Extra claims; members sorted at every level.
    pub claims: Claims,
    pub authentication: Authentication,
    /// What was granted at sign-in and stays.
    pub lifetimes: Lifetimes,
    /// Whether it was meant to end with the browser.
    pub browser_session: bool,
    pub chain: Chain,
    pub created_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    pub revocation: Option<Revocation>,
    pub device: Device,
    /// What was decided beside issue and plain rotations, oldest first; at most [`decision::KEPT`].
    pub decisions: Vec<Decision>,
}

/// The extra claims of a caller: a JSON object.
pub type Claims = serde_json::Map<String, serde_json::Value>;

/// The refresh tokens a session has handed out, as far as the refresh rule has to remember them: all that it writes
/// short of ending the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// How many refresh tokens the session has handed out; the current one carries this number. At least 1.
    pub generation: u32,
    /// When the current generation was reached.
    pub rotated_at: Timestamp,
    /// The newest generation that was handed out again after the leeway; 0 for none.
    pub recovered_generation: u32,
    /// When that happened.
    pub recovered_at: Timestamp,
    /// How many generations in a row were recovered, that one included.
    pub recovery_streak: u32,
    /// The oldest generation of the running burst.
    pub burst_generation: u32,
    /// When the running burst began.
    pub burst_at: Timestamp,
    /// When the session ends if nobody rotates; never past its absolute end.
    pub idle_expires_at: Timestamp,
}

impl Chain {
    /// The chain of a new session.
    #[must_use]
    pub fn begin(now: Timestamp, idle_expires_at: Timestamp) -> Self {
        Self {
            generation: 1,
            rotated_at: now,
            recovered_generation: 0,
            recovered_at: now,
            recovery_streak: 0,
            burst_generation: 1,
            burst_at: now,
            idle_expires_at,
        }
    }

    /// When the current access token was minted: at the rotation, or at the first recovery of this generation. Its
    /// `iat`.
    #[must_use]
    pub fn minted_at(&self) -> Timestamp {
        if self.recovered_generation == self.generation { self.recovered_at } else { self.rotated_at }
    }
}

/// How and when the subject was authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    pub auth_time: Timestamp,
    /// Authentication context class (RFC 9470), e.g. `aal2`.
    pub acr: Option<String>,
    /// Methods used (RFC 8176).
    pub amr: Vec<String>,
}

/// Where a session is used from: for people to recognise it, never for a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    pub user_agent: Option<String>,
    pub ip_address: Option<String>,
    pub label: Option<String>,
}

impl Device {
    /// This device with whatever `newer` knows; what it leaves unset stays.
    #[must_use]
    pub fn updated_by(&self, newer: &Device) -> Device {
        let newest = |old: &Option<String>, new: &Option<String>| new.clone().or_else(|| old.clone());
        Device {
            user_agent: newest(&self.user_agent, &newer.user_agent),
            ip_address: newest(&self.ip_address, &newer.ip_address),
            label: newest(&self.label, &newer.label),
        }
    }
}

/// The end of a session before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub at: Timestamp,
    pub reason: RevokeReason,
    /// The caller whose call led to it.
    pub by: String,
}

/// Why a session was revoked. The first six a caller may give, the others are the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevokeReason {
    SignedOut,
    SignedOutElsewhere,
    CredentialsChanged,
    AccountDisabled,
    Administrator,
    Superseded,
    ReuseDetected,
    SessionLimit,
    RolledBack,
}

impl RevokeReason {
    const NAMES: [(Self, &str); 9] = [
        (Self::SignedOut, "signed_out"),
        (Self::SignedOutElsewhere, "signed_out_elsewhere"),
        (Self::CredentialsChanged, "credentials_changed"),
        (Self::AccountDisabled, "account_disabled"),
        (Self::Administrator, "administrator"),
        (Self::Superseded, "superseded"),
        (Self::ReuseDetected, "reuse_detected"),
        (Self::SessionLimit, "session_limit"),
        (Self::RolledBack, "rolled_back"),
    ];

    /// The name in table, log and metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(reason, _)| *reason == self).map_or("", |(_, name)| name)
    }

    /// The reason of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(reason, _)| *reason)
    }
}

/// Whether a session can still be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    Expired,
    Revoked,
}

/// A session with less time left than this is over: whole seconds are the unit of a token's life, and one that would
/// live for less is not worth minting.
pub const LAST_MOMENT: Duration = Duration::from_secs(1);

impl Session {
    /// When it ends unless it is refreshed: the earlier of idle and absolute expiry.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.chain.idle_expires_at.min(self.expires_at)
    }

    /// Whether it can still be refreshed: the one answer for the refresh rule, lists and introspection.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        if self.revocation.is_some() {
            State::Revoked
        } else if self.ends_at() < now.after(LAST_MOMENT) {
            State::Expired
        } else {
            State::Active
        }
    }

    /// The life of the access token of the current generation.
    #[must_use]
    pub fn access_token_life(&self) -> AccessTokenLife {
        let iat = self.chain.minted_at().seconds();
        let ttl = i64::try_from(self.lifetimes.access_token_ttl.as_secs()).unwrap_or(i64::MAX);
        AccessTokenLife { iat, exp: iat + ttl.min(self.ends_at().seconds() - iat) }
    }

    /// When the session would end, idle, after a rotation at this instant: never past the absolute end.
    #[must_use]
    pub fn idle_expiry(&self, rotated_at: Timestamp) -> Timestamp {
        rotated_at.after(self.lifetimes.idle_ttl).min(self.expires_at)
    }
}
