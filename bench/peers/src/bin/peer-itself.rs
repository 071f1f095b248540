//! Symbolon beside itself: the same server by the same settings, but a refresh is a statement of its own (`--one-by-one`), or is
//! written nowhere (`--memory`).

use std::collections::HashMap;
use std::env;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mimalloc::MiMalloc;
use symbolon::cli::declared::Followed;
use symbolon::cli::listen::Reach;
use symbolon::cli::{Listeners, Running, World, assemble};
use symbolon::config::{Profile, from_process};
use symbolon::keys::MasterKeys;
use symbolon::service::rotations::{Batching, Rotations};
use symbolon::session::redeem::{Policy, Presented, Rotation, redeem};
use symbolon::session::{Session, SessionId};
use symbolon::store::{Error, Missing, Right, Rotate, Store, Turn, Url};
use symbolon::telemetry::{self, Target};
use symbolon::time::Timestamp;
use symbolon_peers::Failed;

/// As `symbolon` has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let config = from_process(Profile::Serve, None, |_| Vec::new())?.config;
    let metrics = telemetry::start_metrics()?;
    let told = &config.told;
    let (filter, audit) = (told.log.clone(), Target::of(&told.audit_file));
    let told = telemetry::Config { filter, log_as_json: told.log_as_json, audit, traces: None };
    let _telling = telemetry::start(told)?;
    let url = config.database_url.as_ref().ok_or("SYMBOLON_DATABASE_URL is not set")?;
    let keys = config.master_keys.as_ref().ok_or("there is no master key")?;
    let listeners = Listeners::bind(&config, Reach::Anywhere).await?;
    let store = Store::open(&Url::parse(url)?, Missing::Refuse).await?;
    let (keys, world) = (MasterKeys::parse(keys.expose())?, World::default());
    let mut service = assemble(&config, store.clone(), keys, Profile::Serve, world.clone()).await?;
    let (clients, limits) = (Arc::clone(&service.clients), Arc::clone(&service.limits));
    service.rotations = match env::args().nth(1).as_deref() {
        Some("--one-by-one") => Rotations::start(store, world.clock, clients, limits, Batching::NONE),
        Some("--memory") => {
            let batching = Batching::of(&store);
            let memory = Memory { store, sessions: Mutex::default() };
            Rotations::start(memory, world.clock, clients, limits, batching)
        }
        _ => return Err("expected --one-by-one or --memory".into()),
    };
    let running = Running::start(service, listeners, &metrics, Followed::new(&config, Profile::Serve), Some(false))?;
    running.until_told().await
}

/// Remembers what is written, and asks the store for a session only the first time.
struct Memory {
    store: Store,
    sessions: Mutex<HashMap<SessionId, Session>>,
}

impl Memory {
    fn known(&self, id: SessionId) -> bool {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }
}

impl Rotate for Memory {
    async fn rotate(&self, turns: &[Turn], now: Timestamp, rights: &[Right]) -> Result<Vec<Session>, Error> {
        for turn in turns {
            if !self.known(turn.session_id)
                && let Some(session) = self.store.session(turn.session_id).await?
            {
                self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(session.id, session);
            }
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rotated = Vec::with_capacity(turns.len());
        for turn in turns {
            let Some(session) = sessions.get_mut(&turn.session_id) else { continue };
            let right = rights.iter().find(|right| right.caller == turn.caller && right.client_id == session.client_id);
            let Some(right) = right.filter(|_| turn.generation == session.chain.generation) else { continue };
            let presented =
                Presented { generation: turn.generation, audience: &[], scope: &[], rotation: Rotation::Always };
            let burst = Duration::from_millis(right.burst_millis.try_into().unwrap_or_default());
            let policy = Policy { leeway: Duration::ZERO, recovery_limit: 0, burst, rotation_when_due: false };
            if let Some(chain) = redeem(&presented, Some(session), now, Some(&policy)).chain() {
                session.chain = chain;
                session.device = session.device.updated_by(&turn.device);
                rotated.push(session.clone());
            }
        }
        Ok(rotated)
    }
}
