//! The use cases: one file each, as the API names them. They load facts, let the pure rooms decide, and have the store
//! do it. They know nothing of gRPC or HTTP, and nothing of tables.

pub mod caller;
pub mod client;
pub mod error;
pub mod explain;
pub mod introspect;
pub mod issue;
pub mod keyring;
pub mod limits;
pub mod page;
pub mod refresh;
pub mod revoke;
pub mod rotations;
pub mod sessions;

use std::sync::Arc;

use arc_swap::ArcSwap;
pub use caller::{Caller, Callers};
pub use client::{Client, Clients};
pub use error::Error;
pub use limits::Limits;
pub use rotations::Rotations;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::keys::Ring;
use crate::service::caller::Permission;
use crate::session::Session;
pub use crate::store::Store;
use crate::time::Timestamp;
use crate::token::access::{AccessToken, AccessTokens};
use crate::token::refresh::{RefreshToken, RefreshTokens};

/// Everything a use case needs.
pub struct Service {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Declared in a file, and anew whenever it changes: a call sees what holds when it asks.
    pub clients: Arc<ArcSwap<Clients>>,
    pub callers: Arc<ArcSwap<Callers>>,
    pub limits: Arc<Limits>,
    pub ring: Ring,
    pub access_tokens: AccessTokens,
    pub refresh_tokens: RefreshTokens,
    pub rotations: Rotations,
    pub audit: Audit,
}

/// What a caller is handed: the session's newest pair, and the session as stored.
pub struct Granted {
    pub access: AccessToken,
    pub refresh_token: String,
    pub session: Session,
    /// When this was decided.
    pub at: Timestamp,
}

impl Service {
    /// The clock, read once a request.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Deletes what nobody can ask for any more, in small portions.
    pub async fn sweep(&self) {
        /// So few that no refresh waits for them.
        const PORTION: u64 = 500;
        self.limits.forget();
        loop {
            match self.store.sweep(self.now(), PORTION).await {
                Ok(swept) if swept >= PORTION => tokio::task::yield_now().await,
                Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "sweeping ended early"),
            }
        }
    }

    /// Finishes what is queued and closes the database.
    pub async fn close(self) {
        self.rotations.finish().await;
        self.store.close().await;
    }

    /// Whether a caller may call a method at all.
    ///
    /// # Errors
    /// If it may not.
    pub fn permit(&self, caller: &Caller, method: &'static str, permission: Permission) -> Result<(), Error> {
        if caller.permissions.contains(&permission) || self.lets_through(caller, method, permission.name(), None) {
            return Ok(());
        }
        self.audit.denied(&caller.name, method, permission.name(), None);
        Err(Error::CallerNotPermitted { caller: caller.name.clone(), permission })
    }

    /// Whether what a caller is refused is only told: in a dry run.
    fn lets_through(&self, caller: &Caller, method: &str, what: &'static str, session: Option<&Session>) -> bool {
        if caller.dry_run {
            self.audit.would_be_denied(&caller.name, method, what, session);
        }
        caller.dry_run
    }

    /// Whether a caller may touch this session, as it is or in a dry run.
    fn may_touch(&self, caller: &Caller, method: &str, session: &Session) -> bool {
        caller.may_use(&session.client_id) || self.lets_through(caller, method, "client_id", Some(session))
    }

    /// A refusal by policy. It is told to the audit here, so that each is told once.
    fn denied(&self, caller: &Caller, method: &str, field: &'static str, session: Option<&Session>) -> Error {
        self.audit.denied(&caller.name, method, field, session);
        Error::GrantNotPermitted { caller: caller.name.clone(), field }
    }

    /// The pair of the session's current generation: the same facts, the same bytes.
    fn grant(&self, session: Session, audience: &[String], scope: &[String], at: Timestamp) -> Result<Granted, Error> {
        let access = self.access_tokens.mint(self.ring.signer(), &session, audience, scope)?;
        let refresh_token =
            self.refresh_tokens.write(RefreshToken { session_id: session.id, generation: session.chain.generation });
        Ok(Granted { access, refresh_token, session, at })
    }
}
