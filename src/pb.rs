//! The generated code of `proto/`, and nothing else may include it. Messages that carry a secret get a `Debug` here
//! that does not show it.

use std::fmt;

/// The descriptors of everything in `proto/`, comments included: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// `symbolon.auth.v1`.
pub mod auth {
    #![expect(clippy::pedantic, clippy::allow_attributes, reason = "generated")]
    tonic::include_proto!("symbolon.auth.v1");
}

/// `symbolon.identity.v1`.
pub mod identity {
    #![expect(clippy::pedantic, clippy::allow_attributes, reason = "generated")]
    tonic::include_proto!("symbolon.identity.v1");
}

/// `envoy.service.auth.v3`: of Envoy's ext_authz what a gateway asks and is told.
pub mod envoy {
    #![expect(clippy::pedantic, clippy::allow_attributes, missing_docs, reason = "generated")]
    tonic::include_proto!("envoy.service.auth.v3");
}

/// Stands for a secret that is there; an empty one shows that it is not.
struct Redacted<'a>(&'a str);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "[unset]" } else { "[redacted]" })
    }
}

impl fmt::Debug for auth::TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPair")
            .field("access_token", &Redacted(&self.access_token))
            .field("token_type", &self.token_type)
            .field("access_token_expire_time", &self.access_token_expire_time)
            .field("refresh_token", &Redacted(&self.refresh_token))
            .field("refresh_token_expire_time", &self.refresh_token_expire_time)
            .field("refresh_after", &self.refresh_after)
            .finish()
    }
}

impl fmt::Debug for auth::RefreshTokensRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokensRequest")
            .field("refresh_token", &Redacted(&self.refresh_token))
            .field("audience", &self.audience)
            .field("scope", &self.scope)
            .field("device", &self.device)
            .field("rotation", &self.rotation)
            .finish()
    }
}

impl fmt::Debug for auth::RevokeSessionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevokeSessionRequest")
            .field("target", &self.target)
            .field("reason", &self.reason)
            .field("subject", &self.subject)
            .finish()
    }
}

impl fmt::Debug for auth::revoke_session_request::Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RefreshToken(token) => f.debug_tuple("RefreshToken").field(&Redacted(token)).finish(),
            Self::SessionId(id) => f.debug_tuple("SessionId").field(id).finish(),
        }
    }
}

impl fmt::Debug for auth::IntrospectTokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectTokenRequest").field("token", &Redacted(&self.token)).finish()
    }
}

impl fmt::Debug for identity::VerifyCredentialsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which members a page sends is nobody's secret, but a password in the wrong place may be a member's name.
        let credentials = if self.credentials.is_some() { Redacted("{…}") } else { Redacted("") };
        f.debug_struct("VerifyCredentialsRequest")
            .field("credentials", &credentials)
            .field("client_id", &self.client_id)
            .field("user_agent", &self.user_agent)
            .field("ip_address", &self.ip_address)
            .finish()
    }
}

/// Cookies and tokens go through it: a name has to do.
impl fmt::Debug for envoy::HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderValue").field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for envoy::attribute_context::HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}
