//! Who calls, and what it may ask for: decided here, from what was declared, by pure functions. How a caller proves who
//! it is, is the transport's.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::service::client::{Client, Clients};
use crate::session::Claims;

/// What a caller may be allowed to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    Issue,
    Refresh,
    Revoke,
    Introspect,
    List,
    Update,
    Watch,
    Keys,
    Erase,
}

impl Permission {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Issue,
        Self::Refresh,
        Self::Revoke,
        Self::Introspect,
        Self::List,
        Self::Update,
        Self::Watch,
        Self::Keys,
        Self::Erase,
    ];

    /// As a caller's entry names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Refresh => "refresh",
            Self::Revoke => "revoke",
            Self::Introspect => "introspect",
            Self::List => "list",
            Self::Update => "update",
            Self::Watch => "watch",
            Self::Keys => "keys",
            Self::Erase => "erase",
        }
    }

    /// Whether what it permits cannot be undone: then who lacks it is refused in a dry run, too.
    #[must_use]
    pub fn destroys(self) -> bool {
        matches!(self, Self::Keys | Self::Erase)
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

/// Which of a kind of names may be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    Any,
    Only(BTreeSet<String>),
}

impl Allowed {
    fn all<'a>(&self, asked: impl IntoIterator<Item = &'a String>) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => asked.into_iter().all(|name| names.contains(name)),
        }
    }
}

/// An authenticated service that calls the API. Not a subject. Whatever it is not given, it may not ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As configuration and audit events name it.
    pub name: String,
    pub permissions: BTreeSet<Permission>,
    /// Whose sessions it may issue, redeem, end and see; who issued them does not matter.
    pub clients: Allowed,
    /// What its tokens may be for. `None`: what the client gives by default, and nothing else.
    pub audience: Option<Allowed>,
    /// What its tokens may allow. `None`: what the client gives by default, and nothing else.
    pub scope: Option<Allowed>,
    /// The names of extra claims.
    pub claims: Allowed,
    pub acr: Allowed,
    /// The longest lifetimes it may ask for; a longer wish is shortened. `None`: the client's own.
    pub access_token_ttl: Option<Duration>,
    pub session_ttl: Option<Duration>,
    pub idle_ttl: Option<Duration>,
    /// What it would be refused is told and let through, unless it [destroys](Permission::destroys): for moving in, never
    /// for staying.
    pub dry_run: bool,
}

/// What a caller asks a new session to have.
pub struct Wish<'a> {
    pub client_id: &'a str,
    pub client: &'a Client,
    pub audience: &'a [String],
    pub scope: &'a [String],
    pub claims: &'a Claims,
    pub acr: Option<&'a String>,
}

impl Caller {
    /// A peer on the loopback interface without a credential, as `dev` lets it in: it may ask for everything.
    #[must_use]
    pub fn local() -> Self {
        Self::unlimited("local")
    }

    /// A caller that may ask for everything there is.
    #[must_use]
    pub fn unlimited(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            permissions: Permission::ALL.into(),
            clients: Allowed::Any,
            audience: Some(Allowed::Any),
            scope: Some(Allowed::Any),
            claims: Allowed::Any,
            acr: Allowed::Any,
            access_token_ttl: Some(Duration::from_secs(3600)),
            session_ttl: Some(Duration::MAX),
            idle_ttl: Some(Duration::MAX),
            dry_run: false,
        }
    }

    /// Whether it has a right to this client.
    #[must_use]
    pub fn may_use(&self, client_id: &str) -> bool {
        match &self.clients {
            Allowed::Any => true,
            Allowed::Only(clients) => clients.contains(client_id),
        }
    }

    /// The clients it has a right to; `None` for every one.
    #[must_use]
    pub fn clients(&self) -> Option<Vec<&str>> {
        match &self.clients {
            Allowed::Any => None,
            Allowed::Only(clients) => Some(clients.iter().map(String::as_str).collect()),
        }
    }

    /// The client it means when it names none: the only one it has a right to, or in a dry run the only one there is.
    #[must_use]
    pub fn only_client<'a>(&self, clients: &'a Clients) -> Option<(&'a str, &'a Client)> {
        let only = |any: bool| {
            let mut usable = clients.iter().filter(|(client_id, _)| any || self.may_use(client_id));
            let only = usable.next()?;
            usable.next().is_none().then_some(only)
        };
        only(false).or_else(|| self.dry_run.then(|| only(true)).flatten())
    }

    /// The first field of a wish that is beyond what it may ask for.
    #[must_use]
    pub fn refused_field(&self, wish: &Wish<'_>) -> Option<&'static str> {
        let grants = |allowed: &Option<Allowed>, asked: &[String], default: &[String]| match allowed {
            Some(allowed) => allowed.all(asked),
            None => asked.iter().all(|name| default.contains(name)),
        };
        let checks = [
            ("client_id", self.may_use(wish.client_id)),
            ("audience", grants(&self.audience, wish.audience, &wish.client.audience)),
            ("scope", grants(&self.scope, wish.scope, &wish.client.scope)),
            ("claims", self.may_claim(wish.claims)),
            ("authentication.acr", self.acr.all(wish.acr)),
        ];
        checks.into_iter().find(|(_, granted)| !granted).map(|(field, _)| field)
    }

    /// Whether it may set all of these claims.
    #[must_use]
    pub fn may_claim(&self, claims: &Claims) -> bool {
        self.claims.all(claims.keys())
    }

    /// Whether a token for this audience, of this client's session, is any business of its.
    #[must_use]
    pub fn may_judge(&self, audience: &[String], client_id: &str) -> bool {
        match &self.audience {
            Some(Allowed::Any) => true,
            Some(Allowed::Only(names)) => audience.iter().any(|name| names.contains(name)),
            None => self.may_use(client_id),
        }
    }
}

/// The SHA-256 of a bearer secret.
pub type SecretHash = [u8; 32];

/// How the secrets that are made here begin: it says what it is, to whoever finds it where it should not be.
pub const SECRET_PREFIX: &str = "sc1_";

/// The declared callers, by what they show.
#[derive(Debug, Default)]
pub struct Callers {
    by_secret: HashMap<SecretHash, Arc<Caller>>,
    by_certificate: HashMap<String, Arc<Caller>>,
    by_name: HashMap<String, Arc<Caller>>,
    local: Option<Arc<Caller>>,
}

impl Callers {
    /// Declares a caller with everything it may prove itself by: secrets, and the names in its certificate. No two
    /// callers may share one.
    pub fn declare(&mut self, caller: Caller, secrets: &[SecretHash], certificate_names: &[String]) {
        let caller = Arc::new(caller);
        self.by_secret.extend(secrets.iter().map(|hash| (*hash, Arc::clone(&caller))));
        self.by_certificate.extend(certificate_names.iter().map(|name| (name.clone(), Arc::clone(&caller))));
        self.by_name.insert(caller.name.clone(), caller);
    }

    /// Lets a peer on this machine in without a credential.
    pub fn let_in_local(&mut self) {
        self.local = Some(Arc::new(Caller::local()));
    }

    /// Whoever knows the secret of this hash.
    #[must_use]
    pub fn by_secret(&self, hash: &SecretHash) -> Option<Arc<Caller>> {
        self.by_secret.get(hash).cloned()
    }

    /// Whoever a certificate of these names belongs to; nobody if it belongs to two.
    #[must_use]
    pub fn by_certificate(&self, names: &[String]) -> Option<Arc<Caller>> {
        let mut known = names.iter().filter_map(|name| self.by_certificate.get(name));
        let first = known.next()?;
        known.all(|other| other.name == first.name).then(|| Arc::clone(first))
    }

    /// The caller declared under this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Caller>> {
        self.by_name.get(name).cloned()
    }

    /// Whether a caller who was let in before is still declared as it was.
    #[must_use]
    pub fn still_knows(&self, caller: &Caller) -> bool {
        self.by_name.get(&caller.name).or(self.local.as_ref()).is_some_and(|known| **known == *caller)
    }

    /// Who a peer on this machine is that shows no credential; nobody, unless it was let in.
    #[must_use]
    pub fn local(&self) -> Option<Arc<Caller>> {
        self.local.clone()
    }
}
