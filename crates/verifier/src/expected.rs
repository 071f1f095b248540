//! What a verifier expects of a token it is shown: who issued it, for whom, and what time it is. It owns the comparison of
//! claims with these, and reads neither clock nor configuration.

use crate::{Claims, Rejection};

/// What the claims are compared with once the signature holds.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// What `iss` must equal byte for byte (RFC 9068, section 4). No URL is normalised: a slash more is another issuer.
    pub issuer: &'a str,
    /// Whom `aud` must name.
    pub audience: Audience<'a>,
    /// The time, in seconds since 1970.
    pub now: i64,
    /// For how many seconds after its `exp` a token still passes. 0 at the issuer, whose clock set it.
    pub exp_leeway: i64,
    /// By how many seconds `iat` (and `nbf`) may lie ahead of `now`: the signer's clock may be ahead of ours.
    pub iat_leeway: i64,
}

/// Whom a token's `aud` must name (RFC 7519, section 4.1.3).
#[derive(Clone, Copy, Debug)]
pub enum Audience<'a> {
    /// Anybody. Only for the issuer's own introspection, which answers for tokens of every audience and reports whose they
    /// are. A service that accepts these accepts tokens meant for another.
    Any,
    /// At least one of these, byte for byte. An empty list accepts nothing.
    OneOf(&'a [String]),
}

impl Expected<'_> {
    /// Compares `claims`. Time comes last, and `exp` last of all, so that [`Rejection::Expired`] means that nothing else
    /// was wrong. [`verify`](crate::verify) does it itself; what it believed once can be compared with another time again.
    ///
    /// # Errors
    /// What does not hold: issuer, audience, start or end.
    pub fn compare(&self, claims: &Claims) -> Result<(), Rejection> {
        if claims.iss != self.issuer {
            return Err(Rejection::Issuer);
        }
        if !self.audience.names_one_of(&claims.aud) {
            return Err(Rejection::Audience);
        }
        let latest_start = self.now.saturating_add(self.iat_leeway);
        if claims.iat > latest_start || claims.not_before().is_some_and(|nbf| nbf > latest_start) {
            return Err(Rejection::NotYetValid);
        }
        if claims.exp <= self.now.saturating_sub(self.exp_leeway) {
            return Err(Rejection::Expired);
        }
        Ok(())
    }
}

impl Audience<'_> {
    fn names_one_of(&self, aud: &[String]) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(accepted) => aud.iter().any(|named| accepted.contains(named)),
        }
    }
}
