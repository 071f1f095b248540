//! `POST /auth/login`: the page's credentials to the user's own verifier, a session from the service, and its cookie to
//! the browser.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Builder;

use crate::edge::Edge;
use crate::edge::attempts::Key;
use crate::edge::issuer::Refusal;
use crate::edge::network;
use crate::edge::problem::{Code, Problem};
use crate::edge::session::{Jar, granted};
use crate::edge::verifier::Decision;
use crate::edge::visitor::Visitor;
use crate::edge::{json, session};
use crate::pb::auth::{Authentication, IssueTokensRequest, RevokeReason};
use crate::pb::identity::{Verified, VerifyCredentialsRequest};

/// How long the old session's end may hold the new one up.
const SUPERSEDING: Duration = Duration::from_secs(2);

/// The members that name an account: what a page calls it is its own choice, and one that uses none of these is counted
/// by network only. Each that is there counts, since only the verifier knows which it looks at: a made-up name in another
/// one must not hide whom the guesses are for.
const ACCOUNT: [&str; 4] = ["username", "email", "login", "user"];

/// What a page sends.
struct Form {
    members: Map<String, Value>,
    /// `"remember": false`: the session ends with the browser.
    browser_session: bool,
}

pub(super) async fn login(State(edge): State<Arc<Edge>>, parts: Parts, body: Bytes) -> Result<Response, Problem> {
    let jar = Jar::of(&edge, &parts)?;
    let Some(verifier) = &edge.verifier else {
        return Err(Problem::from(Code::NotFound).with_detail("this edge has no credential verifier"));
    };
    let form = Form::read(&body)?;
    let visitor = Visitor::of(&parts, &edge.trusted_proxies);
    let counted = Counted::take(&edge, &form, &visitor)?;

    let browser_session = form.browser_session;
    let credentials = json::to_struct(form.members)
        .ok_or_else(|| Problem::bad_request(StatusCode::BAD_REQUEST, "the body is nested too deep"))?;
    let request = VerifyCredentialsRequest {
        credentials: Some(credentials),
        client_id: edge.client_id.clone(),
        user_agent: visitor.user_agent.clone(),
        ip_address: visitor.address.to_string(),
    };
    let decision = verifier.verify(request).await;
    if decision != Decision::Rejected {
        counted.give_back(&edge);
    }
    let user = match decision {
        Decision::Verified(user) => user,
        Decision::Rejected => return Err(Code::CredentialsRejected.into()),
        Decision::Locked(after) => return Err(Problem::from(Code::Locked).with_retry_after(after)),
        Decision::MoreRequired(details) => return Err(Problem::from(Code::MoreRequired).with_details(details)),
        Decision::Disabled => return Err(Code::AccountDisabled.into()),
        Decision::Undecided => return Err(Code::VerifierUnavailable.into()),
    };

    let issued = edge.issuer.issue(request_for(&edge, user, &visitor, browser_session)).await;
    let issued = issued.map_err(|refusal| refused(&edge, refusal))?;
    let answer = granted(&edge, None, issued.tokens, issued.session)?;
    // Only now, so that nothing is lost if the new session fails; whether it succeeds is the old session's business.
    if let Some(old) = jar.token() {
        edge.forget(&old);
        let revoke = session::by_token(old, RevokeReason::Superseded);
        let _ = tokio::time::timeout(SUPERSEDING, edge.issuer.revoke(revoke)).await;
    }
    Ok(answer.into_response())
}

fn request_for(edge: &Edge, user: Verified, visitor: &Visitor, browser_session: bool) -> IssueTokensRequest {
    IssueTokensRequest {
        subject: user.subject,
        client_id: edge.client_id.clone(),
        audience: edge.audience.clone(),
        scope: if user.scope.is_empty() { edge.scope.clone() } else { user.scope },
        claims: user.claims,
        authentication: Some(Authentication { auth_time: user.auth_time, acr: user.acr, amr: user.amr }),
        device: Some(visitor.device()),
        session_ttl: user.session_ttl,
        // So that a call whose answer was lost can be made again.
        request_id: Builder::from_random_bytes(edge.entropy.bytes()).into_uuid().to_string(),
        browser_session,
        ..IssueTokensRequest::default()
    }
}

fn refused(edge: &Edge, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::SessionLimit => Code::SessionLimit.into(),
        Refusal::RateLimited(after) => Problem::from(Code::RateLimited).with_retry_after(after),
        // The verifier asked for what this edge may not have, or for nonsense: a fault of configuration, not the user's.
        Refusal::Asked => {
            tracing::error!(
                client_id = edge.client_id,
                "the token service refuses what the credential verifier's answer asks for"
            );
            Code::VerifierUnavailable.into()
        }
        Refusal::Dead(_) | Refusal::Stale | Refusal::NotFound => Code::IssuerUnavailable.into(),
        Refusal::Unavailable(after) => Problem::from(Code::IssuerUnavailable).with_retry_after(after),
    }
}

impl Form {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let wrong = |detail| Problem::bad_request(StatusCode::BAD_REQUEST, detail);
        let members: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| wrong("the body has to be a JSON object"))?;
        let browser_session = match members.get("remember") {
            None | Some(Value::Bool(true)) => false,
            Some(Value::Bool(false)) => true,
            Some(_) => return Err(wrong("remember has to be true or false")),
        };
        Ok(Self { members, browser_session })
    }

    /// What the accounts it names are counted under, whoever spells them how.
    fn accounts(&self) -> BTreeSet<Key> {
        let names = ACCOUNT.iter().filter_map(|member| self.members.get(*member)?.as_str());
        let digests = names.map(|name| <[u8; 32]>::from(Sha256::digest(name.trim().to_lowercase())));
        digests.filter_map(|digest| digest.first_chunk().copied()).collect()
    }
}

/// An attempt that was counted before anybody knew how it would end.
struct Counted {
    accounts: Vec<Key>,
    network: Key,
}

impl Counted {
    fn take(edge: &Edge, form: &Form, visitor: &Visitor) -> Result<Self, Problem> {
        let now = edge.clock.now();
        let limited = |after| Problem::from(Code::RateLimited).with_retry_after(Some(after));
        let network = network::network(visitor.address);
        edge.by_network.take(network, now).map_err(limited)?;
        let mut counted = Self { accounts: Vec::new(), network };
        for account in form.accounts() {
            if let Err(after) = edge.by_account.take(account, now) {
                counted.give_back(edge);
                return Err(limited(after));
            }
            counted.accounts.push(account);
        }
        Ok(counted)
    }

    fn give_back(self, edge: &Edge) {
        edge.by_network.give_back(self.network);
        for account in self.accounts {
            edge.by_account.give_back(account);
        }
    }
}
