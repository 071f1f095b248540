//! Why a use case does not end as asked. Each variant is one reason a caller can tell apart; causes go to the log.

use std::time::Duration;

use thiserror::Error;

use crate::keys::seal::Closed;
use crate::service::caller::Permission;
use crate::store;
use crate::token::access::Unmintable;
use crate::token::refresh::Refused;

/// What lies behind a fault: for the log, never for the caller.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Error)]
pub enum Error {
    #[error("caller {caller} has no permission to {}", permission.name())]
    CallerNotPermitted { caller: String, permission: Permission },
    /// The caller may not mint or end what it asks for.
    #[error("caller {caller} may not ask for this {field}")]
    GrantNotPermitted { caller: String, field: &'static str },
    #[error("the access token would have more than 4 KiB")]
    TokenTooLarge,
    #[error("the page token is not one of ours, or belongs to another query")]
    PageTokenInvalid,
    #[error("the request_id was used for another request, or its tokens have been used since")]
    RequestIdUsed,
    #[error("not a refresh token of this issuer")]
    RefreshTokenInvalid,
    #[error("a spent refresh token was presented")]
    RefreshTokenReused,
    #[error("an older refresh token of a burst was presented")]
    RefreshTokenStale,
    #[error("the session has expired")]
    SessionExpired,
    #[error("the session was revoked")]
    SessionRevoked,
    /// Too many calls; this long until the next is taken.
    #[error("too many calls, the next one in {0:?}")]
    RateLimited(Duration),
    #[error("no such session")]
    SessionNotFound,
    #[error("no such signing key")]
    SigningKeyNotFound,
    #[error("the cursor is of another database, of the future, or too old")]
    CursorExpired,
    #[error("the watcher left lying what was there for it")]
    WatcherTooSlow,
    #[error("the stream ends")]
    ShuttingDown,
    #[error("minted under master key {0}, which this process does not hold")]
    MasterKeyUnknown(u8),
    /// The database did not answer, or others were faster every time.
    #[error("the database is not available")]
    StoreUnavailable(#[source] Cause),
    #[error("signing failed")]
    SigningUnavailable(#[source] Cause),
    /// A fault of ours.
    #[error("a fault of the service")]
    Internal(#[source] Cause),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(cause) => Self::StoreUnavailable(cause.into()),
            unknown @ (store::Error::TimedOut | store::Error::InDoubt) => Self::StoreUnavailable(unknown.into()),
            impossible @ store::Error::Impossible { .. } => Self::Internal(impossible.into()),
        }
    }
}

impl From<Closed> for Error {
    fn from(closed: Closed) -> Self {
        Self::SigningUnavailable(closed.into())
    }
}

impl From<Unmintable> for Error {
    fn from(unmintable: Unmintable) -> Self {
        match unmintable {
            Unmintable::TooLarge(_) => Self::TokenTooLarge,
            Unmintable::Signing(cause) => Self::SigningUnavailable(cause.into()),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid => Self::RefreshTokenInvalid,
            Refused::MasterKeyUnknown(id) => Self::MasterKeyUnknown(id),
        }
    }
}
