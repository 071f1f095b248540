//! What a service says to a request it does not let pass: over HTTP (RFC 6750, section 3; RFC 9470; RFC 9457) and over
//! gRPC. It owns the public answers, of which all bad tokens share one; why a token was refused stays in the metric label.

use crate::Rejection;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full};

/// Why a request may not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no token.
    #[error("an access token is missing")]
    Missing,
    /// The token is not valid.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Its session has ended or its key was taken out of use. To the bearer the same as not valid.
    #[error("the access token is not valid")]
    Revoked,
    /// Nobody can say now: the issuer's keys, or whether the session was revoked, are not to be had. The token may be good.
    #[error("whether the access token is valid cannot be said now")]
    Undecided,
    /// The token is valid, and lacks a scope.
    #[error("the access token is valid, but not for this")]
    InsufficientScope {
        /// All that is needed, space-separated.
        scope: String,
    },
    /// The token is valid, and the subject must authenticate anew or better (RFC 9470).
    #[error("this needs a fresh or a stronger sign-in")]
    InsufficientAuthentication {
        /// One of these context classes, space-separated. Empty: any.
        acr_values: String,
        /// At most so many seconds ago.
        max_age: Option<u64>,
    },
}

/// The body of an answer: a service's own, or a refusal's.
pub type Body<B> = Either<Full<Bytes>, B>;

/// Codes of gRPC: <https://grpc.io/docs/guides/status-codes/>.
const PERMISSION_DENIED: u16 = 7;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

impl Refusal {
    /// The reason in a word, from a closed list: fit for a metric label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Rejected(rejection) => rejection.label(),
            Self::Revoked => "revoked",
            Self::Undecided => "undecided",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::InsufficientAuthentication { .. } => "insufficient_authentication",
        }
    }

    /// The HTTP status: 401, 403 or 503.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Missing | Self::Rejected(_) | Self::Revoked | Self::InsufficientAuthentication { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::InsufficientScope { .. } => StatusCode::FORBIDDEN,
            Self::Undecided => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A stable name of the public answer, for clients to react to.
    const fn code(&self) -> &'static str {
        match self {
            Self::Missing | Self::Rejected(_) | Self::Revoked => "access_token_invalid",
            Self::Undecided => "access_token_undecided",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::InsufficientAuthentication { .. } => "insufficient_user_authentication",
        }
    }

    const fn grpc_code(&self) -> u16 {
        match self {
            Self::Missing | Self::Rejected(_) | Self::Revoked | Self::InsufficientAuthentication { .. } => {
                UNAUTHENTICATED
            }
            Self::InsufficientScope { .. } => PERMISSION_DENIED,
            Self::Undecided => UNAVAILABLE,
        }
    }

    /// What `WWW-Authenticate` says. Who sent no token is told no error (RFC 6750, section 3.1).
    fn challenge(&self) -> Option<HeaderValue> {
        let parameter = |name, value: &str| {
            // A quoted string (RFC 9110, section 5.6.4).
            format!(", {name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        };
        let said = match self {
            Self::Undecided => return None,
            Self::Missing => "Bearer".to_owned(),
            Self::Rejected(_) | Self::Revoked => "Bearer error=\"invalid_token\"".to_owned(),
            Self::InsufficientScope { scope } => {
                format!("Bearer error=\"insufficient_scope\"{}", parameter("scope", scope))
            }
            Self::InsufficientAuthentication { acr_values, max_age } => {
                let acr_values = Some(acr_values).filter(|values| !values.is_empty());
                format!(
                    "Bearer error=\"insufficient_user_authentication\"{}{}",
                    acr_values.map(|values| parameter("acr_values", values)).unwrap_or_default(),
                    max_age.map(|seconds| parameter("max_age", &seconds.to_string())).unwrap_or_default(),
                )
            }
        };
        // A scope or class that cannot stand in a header is the service's own; the bare scheme still says 401 properly.
        Some(HeaderValue::from_str(&said).unwrap_or(HeaderValue::from_static("Bearer")))
    }

    /// The answer, in the protocol the request has spoken: `request` are its headers.
    pub(crate) fn answer<B>(&self, request: &HeaderMap) -> Response<Body<B>> {
        let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
        if request.get(header::CONTENT_TYPE).is_some_and(is_grpc) {
            self.over_grpc().map(|()| Either::Left(Full::default()))
        } else {
            self.over_http().map(|body| Either::Left(Full::from(body)))
        }
    }

    /// Problem details (RFC 9457).
    pub(crate) fn over_http(&self) -> Response<String> {
        let status = self.status();
        let body = serde_json::json!({
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "code": self.code(),
            "detail": self.to_string(),
            "retryable": *self == Self::Undecided,
        });
        let mut response = Response::new(body.to_string());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.challenge().map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
        response
    }

    /// A response of trailers only.
    fn over_grpc(&self) -> Response<()> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        let sentence = HeaderValue::from_str(&self.to_string()).expect("cannot fail: printable ASCII");
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(self.grpc_code()));
        headers.insert(HeaderName::from_static("grpc-message"), sentence);
        headers.extend(self.challenge().map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
        response
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for Refusal {
    fn into_response(self) -> axum_core::response::Response {
        self.over_http().map(axum_core::body::Body::from)
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        let mut status = Self::new(i32::from(refusal.grpc_code()).into(), refusal.to_string());
        if let Some(challenge) = refusal.challenge() {
            let challenge = tonic::metadata::MetadataValue::try_from(challenge.as_bytes());
            status.metadata_mut().insert("www-authenticate", challenge.expect("cannot fail: it was a header's value"));
        }
        status
    }
}

#[cfg(test)]
mod tests;
