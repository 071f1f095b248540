//! Who presents an access token, as far as the token itself says. Whether its session has been revoked since is not
//! known here.

use axum::http::{HeaderMap, header};
use symbolon_verifier::{Audience, Claims, Expected, Rejection, bearer, verify};

use crate::edge::Edge;
use crate::edge::csrf::Header;
use crate::edge::keys::Published;
use crate::edge::problem::{Code, Problem};

/// By how many seconds the issuer's clock may be ahead of ours.
const IAT_LEEWAY: i64 = 30;

impl Edge {
    /// The claims of the token in `Authorization`, for any audience. Whatever is not a good token is the same 401; that
    /// nothing can be decided is 503.
    pub(super) async fn bearer(&self, headers: &HeaderMap) -> Result<Claims, Problem> {
        let refused = || Problem::from(Code::AccessTokenInvalid);
        let token = match Header::of(headers, &header::AUTHORIZATION) {
            Header::Once(value) => bearer(value).ok_or_else(refused)?,
            Header::Absent | Header::Repeated => return Err(refused()),
        };
        let published = self.keys.current().ok_or(Code::IssuerUnavailable)?;
        let judge = |published: &_| self.judge(token, published);
        match judge(&published) {
            Ok(claims) => Ok(claims),
            Err(Rejection::UnknownKey) => {
                let newer = self.keys.newer().await.ok_or(Code::IssuerUnavailable)?;
                judge(&newer).map_err(|_| refused())
            }
            Err(rejection) => {
                tracing::debug!(reason = rejection.label(), "an access token was refused");
                Err(refused())
            }
        }
    }

    /// The same for one of the edge's own routes, which are for those the edge signs in.
    pub(super) async fn signed_in(&self, headers: &HeaderMap) -> Result<Claims, Problem> {
        let claims = self.bearer(headers).await?;
        if self.is_for_us(&claims) { Ok(claims) } else { Err(Code::AccessTokenInvalid.into()) }
    }

    /// Whether a token is for one of the audiences a sign-in here asks for.
    pub(super) fn is_for_us(&self, claims: &Claims) -> bool {
        self.audience.is_empty() || claims.aud.iter().any(|audience| self.audience.contains(audience))
    }

    fn judge(&self, token: &str, published: &Published) -> Result<Claims, Rejection> {
        let expected = Expected {
            issuer: &published.issuer,
            audience: Audience::Any,
            now: self.clock.now().seconds(),
            exp_leeway: 0,
            iat_leeway: IAT_LEEWAY,
        };
        verify(token, &published.keys, &expected)
    }
}
