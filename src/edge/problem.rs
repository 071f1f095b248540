//! What the edge says when it does not do as asked: RFC 9457, with a stable `code` for pages to react to. Sentences are
//! fixed; causes go to the log.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// Every code there is: a contract with pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    SessionExpired,
    SessionRevoked,
    SessionReused,
    SessionInvalid,
    RefreshStale,
    NoSession,
    AccessTokenInvalid,
    AccessTokenInsufficient,
    CredentialsRejected,
    MoreRequired,
    AccountDisabled,
    Locked,
    RateLimited,
    IssuerUnavailable,
    VerifierUnavailable,
    CrossSite,
    CsrfHeaderMissing,
    OriginNotAllowed,
    DuplicateCookie,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    SessionLimit,
}

impl Code {
    /// Each of them.
    pub const ALL: [Self; 23] = [
        Self::SessionExpired,
        Self::SessionRevoked,
        Self::SessionReused,
        Self::SessionInvalid,
        Self::RefreshStale,
        Self::NoSession,
        Self::AccessTokenInvalid,
        Self::AccessTokenInsufficient,
        Self::CredentialsRejected,
        Self::MoreRequired,
        Self::AccountDisabled,
        Self::Locked,
        Self::RateLimited,
        Self::IssuerUnavailable,
        Self::VerifierUnavailable,
        Self::CrossSite,
        Self::CsrfHeaderMissing,
        Self::OriginNotAllowed,
        Self::DuplicateCookie,
        Self::BadRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::SessionLimit,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionExpired => "session_expired",
            Self::SessionRevoked => "session_revoked",
            Self::SessionReused => "session_reused",
            Self::SessionInvalid => "session_invalid",
            Self::RefreshStale => "refresh_stale",
            Self::NoSession => "no_session",
            Self::AccessTokenInvalid => "access_token_invalid",
            Self::AccessTokenInsufficient => "access_token_insufficient",
            Self::CredentialsRejected => "credentials_rejected",
            Self::MoreRequired => "more_required",
            Self::AccountDisabled => "account_disabled",
            Self::Locked => "locked",
            Self::RateLimited => "rate_limited",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::VerifierUnavailable => "verifier_unavailable",
            Self::CrossSite => "cross_site",
            Self::CsrfHeaderMissing => "csrf_header_missing",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::DuplicateCookie => "duplicate_cookie",
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::SessionLimit => "session_limit",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::SessionExpired
            | Self::SessionRevoked
            | Self::SessionReused
            | Self::SessionInvalid
            | Self::NoSession
            | Self::AccessTokenInvalid
            | Self::CredentialsRejected
            | Self::MoreRequired => StatusCode::UNAUTHORIZED,
            Self::AccessTokenInsufficient
            | Self::AccountDisabled
            | Self::CrossSite
            | Self::CsrfHeaderMissing
            | Self::OriginNotAllowed
            | Self::SessionLimit => StatusCode::FORBIDDEN,
            Self::RefreshStale => StatusCode::CONFLICT,
            Self::Locked | Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::IssuerUnavailable | Self::VerifierUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DuplicateCookie | Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Whether the same request may succeed later.
    fn retryable(self) -> bool {
        match self {
            Self::RefreshStale
            | Self::Locked
            | Self::RateLimited
            | Self::IssuerUnavailable
            | Self::VerifierUnavailable => true,
            Self::SessionExpired
            | Self::SessionRevoked
            | Self::SessionReused
            | Self::SessionInvalid
            | Self::NoSession
            | Self::AccessTokenInvalid
            | Self::AccessTokenInsufficient
            | Self::CredentialsRejected
            | Self::MoreRequired
            | Self::AccountDisabled
            | Self::CrossSite
            | Self::CsrfHeaderMissing
            | Self::OriginNotAllowed
            | Self::DuplicateCookie
            | Self::BadRequest
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::SessionLimit => false,
        }
    }

    /// The sentence for people.
    fn sentence(self) -> &'static str {
        match self {
            Self::SessionExpired => "the session has expired: sign in again",
            Self::SessionRevoked => "the session was ended: sign in again",
            Self::SessionReused => "the session was ended because a spent refresh token was used: sign in again",
            Self::SessionInvalid => "the cookie holds no refresh token of this issuer: sign in again",
            Self::RefreshStale => "a newer cookie has been set since: ask again",
            Self::NoSession => "there is no session cookie: sign in",
            Self::AccessTokenInvalid => "the access token is missing or not valid",
            Self::AccessTokenInsufficient => "the access token is valid, but not for this",
            Self::CredentialsRejected => "the credentials are wrong",
            Self::MoreRequired => "the credentials are right so far, and more is needed",
            Self::AccountDisabled => "this account may not sign in",
            Self::Locked => "too many attempts for this account: try again later",
            Self::RateLimited => "too many requests: try again later",
            Self::IssuerUnavailable => "the token service cannot answer now: keep what you have and try again",
            Self::VerifierUnavailable => "the credentials cannot be checked now: try again",
            Self::CrossSite => "a page of another site asked",
            Self::CsrfHeaderMissing => "the header X-Symbolon-CSRF: 1 is missing",
            Self::OriginNotAllowed => "the origin of this page is not one that may use this edge",
            Self::DuplicateCookie => "there is more than one session cookie",
            Self::BadRequest => "the request is not as it must be",
            Self::NotFound => "there is nothing here",
            Self::MethodNotAllowed => "this cannot be asked with this method",
            Self::SessionLimit => "this account has as many sessions as it may have",
        }
    }
}

/// One answer of this kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub code: Code,
    status: StatusCode,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    details: Option<Map<String, Value>>,
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        let detail = Cow::Borrowed(code.sentence());
        Self { code, status: code.status(), detail, retry_after: None, details: None }
    }
}

impl Problem {
    /// A request that is wrong in a way with a status of its own.
    #[must_use]
    pub fn bad_request(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail: Cow::Borrowed(detail), ..Self::from(Code::BadRequest) }
    }

    /// Says more than the code's own sentence.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// Says when to ask again, in whole seconds.
    #[must_use]
    pub fn with_retry_after(self, after: Option<Duration>) -> Self {
        let seconds = |after: Duration| (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1);
        Self { retry_after: after.map(seconds), ..self }
    }

    /// Hands on what the verifier says to the page.
    #[must_use]
    pub fn with_details(self, details: Option<Map<String, Value>>) -> Self {
        Self { details, ..self }
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// As JSON.
    #[must_use]
    pub fn body(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            title: &'static str,
            status: u16,
            code: &'static str,
            detail: &'a str,
            retryable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a Map<String, Value>>,
        }
        let body = Body {
            // As RFC 9457 section 4.2.1 has it for a problem without a type of its own.
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            code: self.code.name(),
            detail: &self.detail,
            retryable: self.code.retryable(),
            retry_after: self.retry_after,
            details: self.details.as_ref(),
        };
        serde_json::to_string(&body).expect("cannot fail: text, numbers and JSON")
    }
}

pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::AccessTokenInvalid {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        }
        response
    }
}
