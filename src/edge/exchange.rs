//! The refresh cookie for an access token, for whoever never shows a token to a page: gateways, and the edge's own routes in
//! BFF mode. A token that is current is kept until its successor is due, so that a page load asks neither the database nor
//! for a signature; one question at a time asks the service about one cookie, and all who wait get its answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use symbolon_verifier::{Claims, Refusal};
use tracing::Instrument;

use crate::edge::Edge;
use crate::edge::issuer::Refusal as Refused;
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

/// What became of the cookies that were exchanged lately, by their SHA-256.
pub(super) struct Exchange(Cache<[u8; 32], Answer>);

/// What the service said of a cookie, and until when it is said again. A refusal is for those who waited for it.
#[derive(Clone)]
struct Answer {
    worth: Result<Arc<Worth>, Problem>,
    until: Timestamp,
}

/// What a cookie is worth.
pub(super) struct Worth {
    pub(super) access_token: String,
    pub(super) claims: Claims,
    /// To be sent to the browser: the cookie has been spent.
    successor: Option<Successor>,
}

struct Successor {
    refresh_token: String,
    ends: Timestamp,
    browser_session: bool,
}

impl Exchange {
    /// Forgets everything: the tokens of a key that was compromised are worth nothing.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

fn digest(refresh_token: &str) -> [u8; 32] {
    Sha256::digest(refresh_token).into()
}

impl Edge {
    /// What this refresh token is worth now.
    pub(super) async fn exchange(self: &Arc<Self>, presented: &str, device: pb::Device) -> Result<Arc<Worth>, Problem> {
        let key = digest(presented);
        let held = &self.exchange.0;
        let now = self.clock.now();
        held.remove_if(&key, |answer| answer.until <= now);
        let worth = match held.get(&key) {
            Some(answer) => answer.worth?,
            None => self.ask(key, presented.to_owned(), device).await?,
        };
        // That somebody ended a session is known from the feed, whatever is held.
        match self.revocations.judge(&worth.access_token, &worth.claims.sid).await {
            Ok(()) => Ok(worth),
            Err(Refusal::Undecided) => Err(Code::IssuerUnavailable.into()),
            Err(_) => {
                held.remove(&key);
                Err(Code::SessionRevoked.into())
            }
        }
    }

    /// Asks the service once for all who wait, and goes on if they do not: what it has rotated is kept.
    async fn ask(
        self: &Arc<Self>,
        key: [u8; 32],
        presented: String,
        device: pb::Device,
    ) -> Result<Arc<Worth>, Problem> {
        let edge = Arc::clone(self);
        let asked = async move {
            let answer = async { Ok::<_, Infallible>(edge.redeem(&presented, device).await) };
            let answer = edge.exchange.0.get_or_insert_async(&key, answer).await;
            // Those who waited have it, and it takes the place of none that somebody comes back with.
            edge.exchange.0.remove_if(&key, |answer| answer.worth.is_err());
            answer
        };
        match tokio::spawn(asked.in_current_span()).await {
            Ok(Ok(answer)) => answer.worth,
            Err(_) => Err(Code::IssuerUnavailable.into()),
        }
    }

    /// Forgets what this cookie was worth: its session is over, or another way has rotated it.
    pub(super) fn forget(&self, presented: &str) {
        self.exchange.0.remove(&digest(presented));
    }

    /// What the service answers now. A repeat may bring an access token that has run out meanwhile (the refresh rule mints
    /// none for it): then its refresh token is asked with.
    async fn redeem(&self, presented: &str, device: pb::Device) -> Answer {
        let mut answer = self.rotate(presented, presented, device.clone()).await;
        if let Ok(Answer { worth: Ok(first), .. }) = &answer
            && first.claims.exp <= self.clock.now().seconds()
        {
            answer = match &first.successor {
                Some(successor) => self.rotate(&successor.refresh_token, presented, device).await,
                None => Err(Code::IssuerUnavailable.into()),
            };
        }
        answer.unwrap_or_else(|problem| Answer { worth: Err(problem), until: self.clock.now() })
    }

    /// What the service answers to `asked_with`. It is remembered under the successor, too, which is what comes next; the
    /// browser, who has `presented`, is to have that.
    async fn rotate(&self, asked_with: &str, presented: &str, device: pb::Device) -> Result<Answer, Problem> {
        let request = pb::RefreshTokensRequest {
            refresh_token: asked_with.to_owned(),
            device: Some(device),
            rotation: pb::Rotation::WhenDue.into(),
            ..pb::RefreshTokensRequest::default()
        };
        let refreshed = self.issuer.refresh(request).await.map_err(|refusal| {
            if refusal == Refused::Asked {
                tracing::error!(
                    client_id = self.client_id,
                    "the token service refuses to rotate when due: set `rotation_when_due = true` for this client there"
                );
            }
            refused(refusal)
        })?;
        let (Some(tokens), Some(session)) = (refreshed.tokens, refreshed.session) else {
            return Err(Code::IssuerUnavailable.into());
        };
        // It is the service's own: what does not hold, whatever the reason, says nothing about the user.
        let claims = self.issued(&tokens.access_token).await.ok_or(Code::IssuerUnavailable)?;
        let due = at(tokens.refresh_after).min(Timestamp::from_seconds(claims.exp));
        let until = |until, successor| {
            let worth = Worth { access_token: tokens.access_token.clone(), claims: claims.clone(), successor };
            Answer { worth: Ok(Arc::new(worth)), until }
        };
        if tokens.refresh_token == presented {
            return Ok(until(due, None));
        }
        self.exchange.0.insert(digest(&tokens.refresh_token), until(due, None));
        let successor = Successor {
            ends: at(tokens.refresh_token_expire_time),
            browser_session: session.browser_session,
            refresh_token: tokens.refresh_token.clone(),
        };
        Ok(until(due.min(self.clock.now().after(SPENT)), Some(successor)))
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
