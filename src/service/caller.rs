//! Who calls: an authenticated service, and what it may ask for.

use std::time::Duration;

/// An authenticated service that calls the API. Not a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As configuration and audit events name it.
    pub name: String,
    /// The longest access token it may ask for; a longer wish is shortened.
    pub access_token_ttl: Duration,
}

impl Caller {
    /// A peer on the loopback interface without a credential, who may ask for everything.
    #[must_use]
    pub fn local() -> Self {
        Self { name: "local".to_owned(), access_token_ttl: Duration::from_secs(3600) }
    }

    /// The clients it has a right to; `None` for every one.
    #[must_use]
    pub fn clients(&self) -> Option<&[String]> {
        None
    }

    /// Whether it has a right to this client.
    #[must_use]
    pub fn may_use(&self, client_id: &str) -> bool {
        self.clients().is_none_or(|clients| clients.iter().any(|client| client == client_id))
    }
}
