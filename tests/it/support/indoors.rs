use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use symbolon::cli::{World, assemble};
use symbolon::clock::ManualClock;
use symbolon::config::{self, Profile};
use symbolon::keys::MasterKeys;
use symbolon::service::issue::Issue;
use symbolon::service::keyring::LoadError;
use symbolon::service::refresh::Refresh;
use symbolon::service::{Caller, Error, Granted, Service};
use symbolon::session::redeem::Rotation;
use symbolon::session::{Device, Session, SessionId};
use symbolon::store::{Missing, Store, Url};
use symbolon::time::Timestamp;
use symbolon::token::refresh::RefreshToken;

use super::{BEGINNING, Dice, MASTER_KEY};

/// Other dice at each opening, as in life, and none of `Server`'s: no seed and no id is drawn twice.
static OPENED: AtomicU64 = AtomicU64::new(1000);

/// The service without a door, for tests that poll, drop or starve it.
pub(crate) struct Indoors {
    pub(crate) service: Service,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) caller: Arc<Caller>,
}

impl Indoors {
    /// Assembled as `dev` assembles it, on the database in `dir`.
    pub(crate) async fn open(dir: &Path, master_keys: &str, env: &[(&str, &str)]) -> Result<Self, LoadError> {
        Self::on(&Url::Sqlite(dir.join("symbolon.db")), master_keys, env).await
    }

    /// The same on any database.
    pub(crate) async fn on(url: &Url, master_keys: &str, env: &[(&str, &str)]) -> Result<Self, LoadError> {
        let env: BTreeMap<_, _> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let no_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
        let config = config::load(Profile::Dev, None, &env, no_file, |_| Vec::new()).unwrap().config;
        let store = Store::open(url, Missing::Create).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(BEGINNING)));
        Self::at(store, master_keys, &config, clock, false).await
    }

    /// The same, at a time, and as a process that compares it with the database's first.
    pub(crate) async fn comparing(url: &Url, time: Timestamp) -> Result<Self, LoadError> {
        let no_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
        let config = config::load(Profile::Dev, None, &BTreeMap::new(), no_file, |_| Vec::new()).unwrap().config;
        let store = Store::open(url, Missing::Create).await.unwrap();
        store.migrate().await.unwrap();
        Self::at(store, MASTER_KEY, &config, Arc::new(ManualClock::at(time)), true).await
    }

    async fn at(
        store: Store,
        master_keys: &str,
        config: &config::Config,
        clock: Arc<ManualClock>,
        compares: bool,
    ) -> Result<Self, LoadError> {
        let seed = OPENED.fetch_add(1, Ordering::Relaxed);
        let world = World::of(clock.clone(), Arc::new(Dice::seeded(seed)));
        if compares {
            world.skew.compare(&store).await.unwrap();
        }
        let keys = MasterKeys::parse(master_keys).unwrap();
        let service = Box::pin(assemble(config, store, keys, Profile::Dev, world)).await?;
        Ok(Self { service, clock, caller: Arc::new(Caller::local()) })
    }

    /// Lets go of the database.
    pub(crate) async fn close(self) {
        self.service.close().await;
    }

    pub(crate) async fn issue(&self, issue: Issue) -> Result<Granted, Error> {
        self.service.issue(&self.caller, issue, self.service.now()).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Granted, Error> {
        self.service.refresh(&self.caller, &presenting(refresh_token)).await
    }

    /// Redeems a refresh token that must be good, and answers its successor.
    pub(crate) async fn rotate(&self, refresh_token: &str) -> String {
        self.refresh(refresh_token).await.unwrap().refresh_token
    }

    /// The session as stored.
    pub(crate) async fn session(&self, id: SessionId) -> Session {
        self.service.store.session(id).await.unwrap().unwrap()
    }

    /// The refresh token of a generation, whether or not it was handed out.
    pub(crate) fn token(&self, session_id: SessionId, generation: u32) -> String {
        self.service.refresh_tokens.write(RefreshToken { session_id, generation })
    }
}

/// `{"subject": …}`, decoded.
pub(crate) fn subject(subject: &str) -> Issue {
    Issue {
        subject: subject.to_owned(),
        client_id: None,
        audience: Vec::new(),
        scope: Vec::new(),
        claims: symbolon::session::Claims::default(),
        auth_time: None,
        acr: None,
        amr: Vec::new(),
        device: Device::default(),
        access_token_ttl: None,
        session_ttl: None,
        idle_ttl: None,
        browser_session: false,
        request: None,
    }
}

/// `{"refresh_token": …}`, decoded.
pub(crate) fn presenting(refresh_token: &str) -> Refresh {
    Refresh {
        refresh_token: refresh_token.to_owned(),
        audience: Vec::new(),
        scope: Vec::new(),
        device: Device::default(),
        rotation: Rotation::Always,
    }
}
