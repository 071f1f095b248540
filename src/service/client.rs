//! The applications sessions belong to: what each gets when a request leaves it out, and its numbers in the refresh
//! rule.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::session::redeem::Policy;

/// One declared application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Never empty.
    pub audience: Vec<String>,
    pub scope: Vec<String>,
    pub access_token_ttl: Duration,
    pub session_ttl: Duration,
    pub idle_ttl: Duration,
    pub policy: Policy,
}

/// The declared applications by `client_id`.
#[derive(Clone, Debug, Default)]
pub struct Clients(BTreeMap<String, Client>);

impl Clients {
    #[must_use]
    pub fn new(clients: impl IntoIterator<Item = (String, Client)>) -> Self {
        Self(clients.into_iter().collect())
    }

    #[must_use]
    pub fn get(&self, client_id: &str) -> Option<&Client> {
        self.0.get(client_id)
    }

    /// Every one, by its id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Client)> {
        self.0.iter().map(|(id, client)| (id.as_str(), client))
    }

    /// Whether a token that comes twice at once is a replay for this client: not without a leeway.
    #[must_use]
    pub fn replays_at_once(&self, client_id: &str) -> bool {
        self.get(client_id).is_some_and(|client| !client.policy.leeway.is_zero())
    }
}
