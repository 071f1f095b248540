//! `IssueTokens`: starts a session for a subject that the caller has just authenticated.

use std::time::Duration;

use crate::service::caller::Wish;
use crate::service::{Caller, Client, Error, Granted, Service};
use crate::session::{Authentication, Chain, Claims, Device, Session, SessionId, State};
pub use crate::store::IssueRequest;
use crate::store::Issued;
use crate::time::Timestamp;
use crate::token::lifetime::{BROWSER_SESSION_IDLE, Lifetimes};

/// What to put into the new session; every field already checked for its form.
#[derive(Clone, Debug)]
pub struct Issue {
    pub subject: String,
    /// Unset: the only declared client.
    pub client_id: Option<String>,
    /// Empty: the client's default.
    pub audience: Vec<String>,
    /// Empty: the client's default.
    pub scope: Vec<String>,
    pub claims: Claims,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    pub device: Device,
    pub access_token_ttl: Option<Duration>,
    pub session_ttl: Option<Duration>,
    pub idle_ttl: Option<Duration>,
    pub browser_session: bool,
    pub request: Option<IssueRequest>,
}

/// How long a retry with the same `request_id` gets the same answer.
const RETRIES: Duration = Duration::from_secs(10 * 60);

/// The cell of new sessions. One cell until somebody runs several; then a function of the subject, so that a subject's
/// sessions and request ids stay together.
const PLACEMENT: u16 = 0;

impl Service {
    /// Starts a session, or answers again what the same `request_id` started.
    pub async fn issue(&self, caller: &Caller, issue: Issue, now: Timestamp) -> Result<Granted, Error> {
        self.skew.check()?;
        self.limits.issue(&caller.name)?;
        let session = self.new_session(caller, &issue, now)?;
        // Minted before it is stored: a session whose token cannot be made shall not exist.
        let granted = self.grant(session, &[], &[], now, "issued")?;
        self.keyring.grants(granted.session.lifetimes.access_token_ttl).await?;
        match self.store.create(&granted.session, issue.request.as_ref()).await? {
            Issued::Created => {
                self.audit.issued(&caller.name, &granted.session);
                Ok(granted)
            }
            Issued::Before { session_id, same_request, at } => {
                self.issued_before(session_id, same_request && now.since(at) < RETRIES, now).await
            }
        }
    }

    async fn issued_before(&self, id: SessionId, may_repeat: bool, now: Timestamp) -> Result<Granted, Error> {
        let session = if may_repeat { self.store.session(id).await? } else { None };
        match session {
            Some(session) if session.chain.generation == 1 && session.state(now) == State::Active => {
                self.grant(session, &[], &[], now, "issued")
            }
            _ => Err(Error::RequestIdUsed),
        }
    }

    fn new_session(&self, caller: &Caller, issue: &Issue, now: Timestamp) -> Result<Session, Error> {
        let denied = |field| self.denied(caller, "IssueTokens", field, None);
        let clients = self.clients.load();
        let (client_id, client) = match &issue.client_id {
            Some(id) => clients.get(id).map(|client| (id.as_str(), client)),
            None => caller.only_client(&clients),
        }
        .ok_or_else(|| denied("client_id"))?;
        let wish = Wish {
            client_id,
            client,
            audience: if issue.audience.is_empty() { &client.audience } else { &issue.audience },
            scope: if issue.scope.is_empty() { &client.scope } else { &issue.scope },
            claims: &issue.claims,
            acr: issue.acr.as_ref(),
        };
        if let Some(field) = caller.refused_field(&wish)
            && !self.lets_through(caller, "IssueTokens", field, None)
        {
            return Err(denied(field));
        }
        let lifetimes = lifetimes(issue, client, caller);
        let expires_at = now.after(within(issue.session_ttl, client.session_ttl, caller.session_ttl));
        Ok(Session {
            id: SessionId::new(PLACEMENT, now, self.entropy.bytes()),
            subject: issue.subject.clone(),
            client_id: client_id.to_owned(),
            caller: caller.name.clone(),
            audience: wish.audience.to_vec(),
            scope: wish.scope.to_vec(),
            claims: issue.claims.clone(),
            authentication: Authentication {
                auth_time: issue.auth_time.unwrap_or(now),
                acr: issue.acr.clone(),
                amr: issue.amr.clone(),
            },
            lifetimes,
            browser_session: issue.browser_session,
            chain: Chain::begin(now, now.after(lifetimes.idle_ttl).min(expires_at)),
            created_at: now,
            expires_at,
            revocation: None,
            device: issue.device.clone(),
            decisions: Vec::new(),
        })
    }
}

/// What is asked for, within what may be asked for: lifetimes beyond a limit are shortened, never refused.
fn lifetimes(issue: &Issue, client: &Client, caller: &Caller) -> Lifetimes {
    let idle_ttl = within(issue.idle_ttl, client.idle_ttl, caller.idle_ttl);
    Lifetimes {
        access_token_ttl: within(issue.access_token_ttl, client.access_token_ttl, caller.access_token_ttl),
        idle_ttl: if issue.browser_session { idle_ttl.min(BROWSER_SESSION_IDLE) } else { idle_ttl },
    }
}

/// A lifetime: the one asked for or the client's, and no longer than the caller may ask for.
fn within(asked: Option<Duration>, clients: Duration, most: Option<Duration>) -> Duration {
    asked.unwrap_or(clients).min(most.unwrap_or(clients))
}
