//! `IntrospectToken`: whether a token is good at this moment, revocations included (RFC 7662). Whatever is not good gets
//! the same answer. An access token is judged from memory; the database is asked only where that has not been filled for
//! too long.

use std::sync::Arc;

use symbolon_verifier::{Audience, Claims, Expected};

use crate::service::{Caller, Error, Service};
use crate::session::{Session, SessionId, State};
use crate::time::Timestamp;
use crate::token::refresh::PREFIX;

/// A token that is good.
pub enum Active {
    Access(Arc<Claims>),
    Refresh(Box<Session>),
}

/// Another replica's clock may be this much ahead, in seconds; one that is more is told of long before (R-JWS-03).
const IAT_LEEWAY: i64 = 5;

impl Service {
    /// Judges an access or a refresh token; its form tells which. `None`: not active.
    pub async fn introspect(&self, caller: &Caller, token: &str, now: Timestamp) -> Result<Option<Active>, Error> {
        self.skew.check()?;
        if token.starts_with(PREFIX) {
            self.introspect_refresh_token(caller, token, now).await
        } else {
            self.introspect_access_token(caller, token, now).await
        }
    }

    async fn introspect_refresh_token(
        &self,
        caller: &Caller,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Active>, Error> {
        let Ok(token) = self.refresh_tokens.read(token) else { return Ok(None) };
        let session = self.live_session(token.session_id, now).await?;
        let session = session.filter(|session| self.may_touch(caller, "IntrospectToken", session));
        let current = session.filter(|session| session.chain.generation == token.generation);
        Ok(current.map(|session| Active::Refresh(Box::new(session))))
    }

    async fn introspect_access_token(
        &self,
        caller: &Caller,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Active>, Error> {
        let expected = Expected {
            issuer: self.access_tokens.issuer(),
            audience: Audience::Any,
            now: now.seconds(),
            exp_leeway: 0,
            iat_leeway: IAT_LEEWAY,
        };
        let claims = match self.verified.verify(token, self.keyring.ring().as_ref(), &expected) {
            Ok(claims) => claims,
            Err(rejection) => {
                metrics::counter!("symbolon_introspections_refused_total", "reason" => rejection.label()).increment(1);
                return Ok(None);
            }
        };
        if !caller.may_judge(&claims.aud, &claims.client_id)
            && !self.lets_through(caller, "IntrospectToken", "audience", None)
        {
            return Ok(None);
        }
        let Some(id) = SessionId::parse(&claims.sid) else { return Ok(None) };
        // No access token outlives its session, so what is left to know is whether that was ended before its time.
        let is_over = match self.feed.has_ended(id) {
            Some(ended) => ended,
            None => self.live_session(id, now).await?.is_none(),
        };
        Ok((!is_over).then_some(Active::Access(claims)))
    }

    async fn live_session(&self, id: SessionId, now: Timestamp) -> Result<Option<Session>, Error> {
        let session = self.store.session(id).await?;
        Ok(session.filter(|session| session.state(now) == State::Active))
    }
}
