//! The refresh cookie for an access token, for whoever never shows a token to a page: gateways, and the edge's own routes in
//! BFF mode. A token that is current is kept until its successor is due, so that a page load asks neither the database nor
//! for a signature; one question at a time asks the service about one cookie, and all who wait get its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use symbolon_verifier::{Claims, Refusal};

use crate::edge::Edge;
use crate::edge::problem::{Code, Problem};
use crate::edge::session::refused;
use crate::edge::times::at;
use crate::pb::auth as pb;
use crate::time::Timestamp;

/// So many cookies are remembered.
const REMEMBERED: usize = 100_000;

/// How long a spent cookie is still exchanged for what its rotation gave: page loads that were on their way. No longer than
/// the leeway a client may have that rotates when due.
const SPENT: Duration = Duration::from_secs(5);

/// What the cookies are worth that were exchanged lately, by their SHA-256.
pub(super) struct Exchange(Cache<[u8; 32], Arc<Worth>>);

/// What a cookie is worth.
pub(super) struct Worth {
    pub(super) access_token: String,
    pub(super) claims: Claims,
    /// To be sent to the browser: the cookie has been spent.
    successor: Option<Successor>,
    /// Until then it is worth this.
    until: Timestamp,
}

struct Successor {
    refresh_token: String,
    ends: Timestamp,
    browser_session: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl Edge {
    /// What this refresh token is worth now.
    pub(super) async fn exchange(&self, presented: &str, device: pb::Device) -> Result<Arc<Worth>, Problem> {
        let key: [u8; 32] = Sha256::digest(presented).into();
        let held = &self.exchange.0;
        let now = self.clock.now();
        held.remove_if(&key, |worth| worth.until <= now);
        let worth = held.get_or_insert_async(&key, self.redeem(presented, device)).await?;
        match self.revocations.judge(&worth.access_token, &worth.claims.sid).await {
            Ok(()) => Ok(worth),
            Err(Refusal::Undecided) => Err(Code::IssuerUnavailable.into()),
            Err(_) => {
                held.remove(&key);
                Err(Code::SessionRevoked.into())
            }
        }
    }

    /// Asks the service. What it answers is remembered under the successor, too, which is what comes next.
    async fn redeem(&self, presented: &str, device: pb::Device) -> Result<Arc<Worth>, Problem> {
        let request = pb::RefreshTokensRequest {
            refresh_token: presented.to_owned(),
            device: Some(device),
            rotation: pb::Rotation::WhenDue.into(),
            ..pb::RefreshTokensRequest::default()
        };
        let refreshed = self.issuer.refresh(request).await.map_err(refused)?;
        let (Some(tokens), Some(session)) = (refreshed.tokens, refreshed.session) else {
            return Err(Code::IssuerUnavailable.into());
        };
        let claims = self.verified(&tokens.access_token).await?;
        let due = at(tokens.refresh_after).min(Timestamp::from_seconds(claims.exp));
        let current = |successor| Worth {
            access_token: tokens.access_token.clone(),
            claims: claims.clone(),
            successor,
            until: due,
        };
        if tokens.refresh_token == presented {
            return Ok(Arc::new(current(None)));
        }
        self.exchange.0.insert(Sha256::digest(&tokens.refresh_token).into(), Arc::new(current(None)));
        let successor = Successor {
            ends: at(tokens.refresh_token_expire_time),
            browser_session: session.browser_session,
            refresh_token: tokens.refresh_token.clone(),
        };
        Ok(Arc::new(Worth { until: due.min(self.clock.now().after(SPENT)), ..current(Some(successor)) }))
    }
}

impl Worth {
    /// What the browser is to keep from now on; nothing if it has it.
    pub(super) fn set_cookie(&self, edge: &Edge) -> Result<Option<HeaderValue>, Problem> {
        let Some(Successor { refresh_token, ends, browser_session }) = &self.successor else { return Ok(None) };
        let lives = (!browser_session).then(|| ends.since(edge.clock.now()));
        edge.cookie.set(refresh_token, lives).map(Some).map_err(|_| Code::IssuerUnavailable.into())
    }
}
