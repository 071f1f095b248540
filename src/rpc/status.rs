//! What an error becomes: one exhaustive mapping from reasons to gRPC status, `ErrorInfo`, `BadRequest` and `RetryInfo`
//! (AIP-193). The sentences are fixed; causes go to the log and never to the caller.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::pb::auth::ErrorReason;
pub use crate::rpc::violations::Violation;
use crate::service::Error;

/// The domain of every reason.
pub const DOMAIN: &str = "symbolon.auth.v1";

/// When to ask again: long enough for a failed-over connection, short enough for a person who waits.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Why a call is not answered as asked.
#[derive(Debug)]
pub enum Failure {
    FieldsInvalid(Vec<Violation>),
    CallerUnauthenticated,
    Service(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

/// One row of the error table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub reason: ErrorReason,
    pub code: Code,
    pub message: &'static str,
    /// Whether the answer says when to ask again.
    pub retry: bool,
}

impl Row {
    /// The reason as `ErrorInfo` carries it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let name = self.reason.as_str_name();
        name.strip_prefix("ERROR_REASON_").unwrap_or(name)
    }
}

/// Every reason this version answers.
pub const TABLE: [Row; 22] = {
    use ErrorReason as R;
    const fn row(reason: ErrorReason, code: Code, message: &'static str) -> Row {
        Row { reason, code, message, retry: false }
    }
    const fn retry(reason: ErrorReason, message: &'static str) -> Row {
        Row { reason, code: Code::Unavailable, message, retry: true }
    }
    [
        row(R::CallerUnauthenticated, Code::Unauthenticated, "the caller brought no credential that is known here"),
        row(R::CallerNotPermitted, Code::PermissionDenied, "the caller may not call this method"),
        row(R::GrantNotPermitted, Code::PermissionDenied, "the caller may not ask for this"),
        row(R::FieldInvalid, Code::InvalidArgument, "some fields are not as they must be"),
        row(R::TokenTooLarge, Code::InvalidArgument, "the access token would have more than 4096 bytes"),
        row(R::PageTokenInvalid, Code::InvalidArgument, "the page_token is not one of this query"),
        row(R::RequestIdUsed, Code::AlreadyExists, "the request_id was used for another request, or its tokens were"),
        row(R::RefreshTokenInvalid, Code::Unauthenticated, "sign in again: this is no refresh token of this issuer"),
        row(R::RefreshTokenReused, Code::Unauthenticated, "sign in again: a spent refresh token was presented"),
        row(R::SessionExpired, Code::Unauthenticated, "sign in again: the session has expired"),
        row(R::SessionRevoked, Code::Unauthenticated, "sign in again: the session was revoked"),
        row(R::SessionNotFound, Code::NotFound, "there is no such session"),
        row(R::RefreshTokenStale, Code::Aborted, "a newer refresh token is in use: present the newest one stored"),
        retry(R::MasterKeyUnknown, "this server does not hold the key of this token (yet): keep it and try again"),
        retry(R::StoreUnavailable, "the database is not available: try again"),
        retry(R::SigningUnavailable, "no signing key is usable: try again"),
        retry(R::ShuttingDown, "the stream ends here: connect again with the last cursor"),
        row(R::CursorExpired, Code::OutOfRange, "the cursor says nothing here: connect again without one"),
        retry(R::WatcherTooSlow, "too much was left unread: connect again with the last cursor"),
        row(R::SigningKeyNotFound, Code::NotFound, "there is no such signing key"),
        Row { code: Code::ResourceExhausted, ..retry(R::RateLimited, "too many of these calls: wait before the next") },
        row(R::Internal, Code::Internal, "a fault of the server; its log has the cause"),
    ]
};

impl Failure {
    fn reason(&self) -> ErrorReason {
        match self {
            Self::FieldsInvalid(_) => ErrorReason::FieldInvalid,
            Self::CallerUnauthenticated => ErrorReason::CallerUnauthenticated,
            Self::Service(error) => match error {
                Error::CallerNotPermitted { .. } => ErrorReason::CallerNotPermitted,
                Error::GrantNotPermitted { .. } => ErrorReason::GrantNotPermitted,
                Error::RateLimited(_) => ErrorReason::RateLimited,
                Error::TokenTooLarge => ErrorReason::TokenTooLarge,
                Error::PageTokenInvalid => ErrorReason::PageTokenInvalid,
                Error::RequestIdUsed => ErrorReason::RequestIdUsed,
                Error::RefreshTokenInvalid => ErrorReason::RefreshTokenInvalid,
                Error::RefreshTokenReused => ErrorReason::RefreshTokenReused,
                Error::RefreshTokenStale => ErrorReason::RefreshTokenStale,
                Error::SessionExpired => ErrorReason::SessionExpired,
                Error::SessionRevoked => ErrorReason::SessionRevoked,
                Error::SessionNotFound => ErrorReason::SessionNotFound,
                Error::SigningKeyNotFound => ErrorReason::SigningKeyNotFound,
                Error::CursorExpired => ErrorReason::CursorExpired,
                Error::WatcherTooSlow => ErrorReason::WatcherTooSlow,
                Error::ShuttingDown => ErrorReason::ShuttingDown,
                Error::MasterKeyUnknown(_) => ErrorReason::MasterKeyUnknown,
                Error::StoreUnavailable(_) => ErrorReason::StoreUnavailable,
                Error::SigningUnavailable(_) => ErrorReason::SigningUnavailable,
                Error::Internal(_) => ErrorReason::Internal,
            },
        }
    }

    /// The row of the table that this is answered with.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        let reason = self.reason();
        TABLE.iter().find(|row| row.reason == reason).expect("cannot fail: a test walks every failure")
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let row = failure.row();
        let mut metadata = HashMap::new();
        let mut details = ErrorDetails::new();
        let mut retry_after = RETRY_AFTER;
        match failure {
            Failure::FieldsInvalid(violations) => {
                let violations = violations.into_iter().map(|it| FieldViolation::new(it.field, it.description));
                details.set_bad_request(violations.collect::<Vec<_>>());
            }
            Failure::Service(Error::GrantNotPermitted { caller, field }) => {
                metadata.insert("caller".to_owned(), caller);
                metadata.insert("field".to_owned(), field.to_owned());
            }
            Failure::Service(Error::CallerNotPermitted { caller, permission }) => {
                metadata.insert("caller".to_owned(), caller);
                metadata.insert("permission".to_owned(), permission.name().to_owned());
            }
            Failure::Service(Error::RateLimited(wait)) => retry_after = wait,
            Failure::Service(_) | Failure::CallerUnauthenticated => {}
        }
        details.set_error_info(row.name(), DOMAIN, metadata);
        if row.retry {
            details.set_retry_info(Some(retry_after));
        }
        Status::with_error_details(row.code, row.message, details)
    }
}
