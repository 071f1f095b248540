//! Who presents an access token: as the token itself says, and the issuer's feed of revocations.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use symbolon_verifier::{
    Audience, Claims, Expected, KeySet, KeySource, Refusal, Rejection, Revocations, VerifyingKey, bearer, verify,
};

use crate::edge::Edge;
use crate::edge::csrf::Header;
use crate::edge::keys::Published;
use crate::edge::problem::{Code, Problem};
use crate::edge::session::Jar;
use crate::edge::visitor::Visitor;

/// For how many seconds after its `exp` a token still passes.
pub(super) const EXP_LEEWAY: i64 = 0;

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
        let claims = self.verified(token).await?;
        match self.revocations.judge(token, &claims.sid).await {
            Ok(()) => Ok(claims),
            Err(Refusal::Undecided) => Err(Code::IssuerUnavailable.into()),
            Err(_) => Err(refused()),
        }
    }

    /// The claims of a token that the service has just answered, which may have run out; `None` if its signature does not
    /// hold, or its clock and ours are too far apart.
    pub(super) async fn issued(&self, token: &str) -> Option<Claims> {
        // By its own clock: it may be a repeat of long ago.
        let judge = |published: &Published| {
            let expected = Expected { now: 0, exp_leeway: 0, iat_leeway: i64::MAX, ..self.expected(published) };
            verify(token, &StillTrusted { published: &published.keys, revocations: &self.revocations }, &expected)
        };
        self.by_published(judge)
            .await?
            .inspect_err(|rejection| tracing::warn!(reason = rejection.label(), "the service's own token is refused"))
            .ok()
    }

    /// What a token says whose signature holds and whose time it is; whether it was revoked is another question.
    pub(super) async fn verified(&self, token: &str) -> Result<Claims, Problem> {
        let judged = self.by_published(|published| self.judge(token, published)).await;
        let judged = judged.ok_or(Code::IssuerUnavailable)?;
        judged.map_err(|rejection| {
            tracing::debug!(reason = rejection.label(), "an access token was refused");
            Code::AccessTokenInvalid.into()
        })
    }

    /// Judges by the published keys, and by newer ones if the token is of another; `None` if those cannot be had.
    async fn by_published(
        &self,
        judge: impl Fn(&Published) -> Result<Claims, Rejection>,
    ) -> Option<Result<Claims, Rejection>> {
        match judge(&*self.keys.current()?) {
            Err(Rejection::UnknownKey) => Some(judge(&*self.keys.newer().await?)),
            judged => Some(judged),
        }
    }

    /// The same for one of the edge's own routes, which are for those the edge signs in: by their access token, or by the
    /// cookie where pages have none. Answers the next cookie, too, if there is one.
    pub(super) async fn signed_in(self: &Arc<Self>, parts: &Parts) -> Result<(Claims, Option<HeaderValue>), Problem> {
        let (claims, cookie) = if self.hides_tokens {
            let presented = Jar::of(self, parts)?.token().ok_or(Code::NoSession)?;
            let worth = self.exchange(&presented, Visitor::of(parts, &self.trusted_proxies).device()).await?;
            (worth.claims.clone(), worth.set_cookie(self)?)
        } else {
            (self.bearer(&parts.headers).await?, None)
        };
        if self.is_for_us(&claims) { Ok((claims, cookie)) } else { Err(Code::AccessTokenInvalid.into()) }
    }

    /// Whether a token is for one of the audiences a sign-in here asks for.
    pub(super) fn is_for_us(&self, claims: &Claims) -> bool {
        self.audience.is_empty() || claims.aud.iter().any(|audience| self.audience.contains(audience))
    }

    fn expected<'a>(&self, published: &'a Published) -> Expected<'a> {
        Expected {
            issuer: &published.issuer,
            audience: Audience::Any,
            now: self.clock.now().seconds(),
            exp_leeway: EXP_LEEWAY,
            iat_leeway: IAT_LEEWAY,
        }
    }

    fn judge(&self, token: &str, published: &Published) -> Result<Claims, Rejection> {
        let expected = self.expected(published);
        let keys = StillTrusted { published: &published.keys, revocations: &self.revocations };
        self.verified.verify(token, &keys, &expected).map(Arc::unwrap_or_clone)
    }
}

/// The published keys without those that were compromised, which the published ones may name for a while yet.
struct StillTrusted<'a> {
    published: &'a KeySet,
    revocations: &'a Revocations,
}

impl KeySource for StillTrusted<'_> {
    fn verifying_key(&self, kid: &str) -> Option<VerifyingKey> {
        if self.revocations.names_key(kid) { None } else { self.published.verifying_key(kid) }
    }
}
