use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use symbolon::cli::{World, assemble};
use symbolon::clock::ManualClock;
use symbolon::config::{self, Profile};
use symbolon::keys::MasterKeys;
use symbolon::rpc::methods::Methods;
use symbolon::rpc::{self, Limits};
use symbolon::store::{Missing, Store, Url};
use symbolon::time::Timestamp;
use symbolon::tls::Current;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{BEGINNING, Dice, MASTER_KEY};

/// A gRPC server with limits of the test's own choice, so that a test need not wait for half an hour.
pub(crate) struct Bounded {
    /// Where gRPC is: `127.0.0.1:port`.
    pub(crate) grpc: String,
    task: JoinHandle<()>,
    _dir: TempDir,
}

impl Bounded {
    pub(crate) async fn by(limits: Limits) -> Self {
        Self::with(limits, None).await
    }

    pub(crate) async fn with(limits: Limits, tls: Option<Current>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nothing = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
        let config = config::load(Profile::Dev, None, &BTreeMap::new(), nothing, |_| Vec::new()).unwrap().config;
        let store = Store::open(&Url::Sqlite(dir.path().join("symbolon.db")), Missing::Create).await.unwrap();
        store.migrate().await.unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(BEGINNING)));
        let world = World::of(clock, Arc::new(Dice::seeded(1)));
        let service =
            assemble(&config, store, MasterKeys::parse(MASTER_KEY).unwrap(), Profile::Dev, world).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = listener.local_addr().unwrap().to_string();
        let server = rpc::Server {
            service: Arc::new(service),
            methods: Methods::of_the_contract().unwrap(),
            listeners: vec![listener],
            tls,
            limits,
            reflection: false,
        };
        let task = tokio::spawn(async move { rpc::serve(server, std::future::pending()).await.unwrap() });
        Self { grpc, task, _dir: dir }
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        self.task.abort();
    }
}
