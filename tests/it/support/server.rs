use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use symbolon::cli::declared::Followed;
use symbolon::cli::listen::Reach;
use symbolon::cli::{Listeners, Running, World, assemble, build_edge};
use symbolon::clock::ManualClock;
use symbolon::config::{self, Profile};
use symbolon::keys::MasterKeys;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{IssueTokensResponse, RefreshTokensResponse, RevokeSessionRequest, revoke_session_request};
use symbolon::store::{Missing, Store, Url};
use symbolon::time::Timestamp;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::Channel;

use super::{Dice, redeem, sign_in};

/// 1 June 2026, noon: when every test begins.
pub(crate) const BEGINNING: i64 = 1_780_315_200;

pub(crate) const MASTER_KEY: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const OTHER_MASTER_KEY: &str = "2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// A server in this process, on a database of its own, with a frozen clock and seeded dice.
pub(crate) struct Server {
    pub(crate) clock: Arc<ManualClock>,
    /// Where gRPC is: `127.0.0.1:port`.
    pub(crate) grpc: String,
    pub(crate) ops: String,
    /// Where the edge is: `127.0.0.1:port`. Browsers call it `http://localhost:8080` all the same.
    pub(crate) edge: String,
    dir: TempDir,
    running: Running,
    channel: Channel,
}

/// What differs from a plain server.
#[derive(Clone)]
pub(crate) struct Settings {
    env: BTreeMap<String, String>,
    clients: Option<String>,
    callers: Option<String>,
    profile: Profile,
    master_keys: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            env: BTreeMap::new(),
            clients: None,
            callers: None,
            profile: Profile::Dev,
            master_keys: MASTER_KEY.to_owned(),
        }
    }
}

impl Settings {
    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives it a clients file with this content.
    pub(crate) fn clients(mut self, toml: &str) -> Self {
        self.clients = Some(toml.to_owned());
        self
    }

    /// Gives it a callers file with this content.
    pub(crate) fn callers(mut self, toml: &str) -> Self {
        self.callers = Some(toml.to_owned());
        self
    }

    /// Has it let nobody in without a credential, as `serve` does.
    pub(crate) fn serving(mut self) -> Self {
        self.profile = Profile::Serve;
        self.env("SYMBOLON_ISSUER", "http://localhost:8080")
    }

    pub(crate) fn master_keys(mut self, keys: &str) -> Self {
        keys.clone_into(&mut self.master_keys);
        self
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(BEGINNING)));
        Box::pin(Self::on(tempfile::tempdir().unwrap(), settings, clock)).await
    }

    /// Stops it and starts it again on the same database, with other settings.
    pub(crate) async fn restart(self, settings: Settings) -> Self {
        self.running.stop().await;
        Box::pin(Self::on(self.dir, settings, self.clock)).await
    }

    /// Stops it. The database stays until the folder is dropped.
    pub(crate) async fn stop(self) -> TempDir {
        self.running.stop().await;
        self.dir
    }

    async fn on(dir: TempDir, settings: Settings, clock: Arc<ManualClock>) -> Self {
        let mut env = settings.env.clone();
        let mut default = |name: &str, value: &str| {
            env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        };
        default("SYMBOLON_DATA_DIR", &dir.path().display().to_string());
        default("SYMBOLON_GRPC_LISTEN", "127.0.0.1:0");
        default("SYMBOLON_OPS_LISTEN", "127.0.0.1:0");
        default("SYMBOLON_EDGE_LISTEN", "127.0.0.1:0");
        default("SYMBOLON_EDGE_PUBLIC_URL", "http://localhost:8080");
        let files: BTreeMap<_, _> = [
            ("clients.toml", "SYMBOLON_CLIENTS_FILE", &settings.clients),
            ("callers.toml", "SYMBOLON_CALLERS_FILE", &settings.callers),
        ]
        .into_iter()
        .filter_map(|(file, setting, toml)| Some((file, setting, toml.clone()?)))
        .inspect(|(file, setting, _)| default(setting, file))
        .map(|(file, _, toml)| (file, toml))
        .collect();
        let read = |path: &Path| {
            let toml = path.to_str().and_then(|path| files.get(path));
            toml.cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        let config = config::load(settings.profile, None, &env, read, |_| Vec::new()).unwrap().config;
        let mut listeners = Listeners::bind(&config, Reach::Anywhere).await.unwrap();
        let (grpc, ops) = (listeners.grpc_port().unwrap(), listeners.ops_port().unwrap());
        let edge_port = listeners.edge_port().unwrap();
        let edge_listeners = std::mem::take(&mut listeners.edge);
        let url = Url::Sqlite(dir.path().join("symbolon.db"));
        let store = Store::open(&url, Missing::Create).await.unwrap();
        store.migrate().await.unwrap();
        let keys = MasterKeys::parse(&settings.master_keys).unwrap();
        let world = World::of(clock.clone(), Arc::new(Dice::seeded(1)));
        let service = assemble(&config, store, keys, settings.profile, world.clone()).await.unwrap();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let followed = Followed::new(&config, settings.profile);
        let mut running = Running::start(service, listeners, &metrics, followed, None).unwrap();
        let issuer = running.issuer();
        let edge = Arc::new(build_edge(&config, Profile::Dev, issuer, world).unwrap());
        running.serve_edge(Arc::clone(&edge), edge_listeners, std::convert::identity);
        if settings.profile == Profile::Dev {
            edge.ready().await;
        }
        let grpc = format!("127.0.0.1:{grpc}");
        let channel = Channel::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
        let [ops, edge] = [ops, edge_port].map(|port| format!("127.0.0.1:{port}"));
        Self { clock, grpc, ops, edge, dir, running, channel }
    }

    pub(crate) fn client(&self) -> AuthServiceClient<Channel> {
        AuthServiceClient::new(self.channel.clone())
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.dir.path().join("symbolon.db")
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Signs a subject in.
    pub(crate) async fn issue(&self, subject: &str) -> IssueTokensResponse {
        self.client().issue_tokens(sign_in(subject)).await.unwrap().into_inner()
    }

    /// Redeems a refresh token.
    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<RefreshTokensResponse, Status> {
        self.client().refresh_tokens(redeem(refresh_token)).await.map(tonic::Response::into_inner)
    }

    /// Redeems a refresh token that must be good, and answers its successor.
    pub(crate) async fn rotate(&self, refresh_token: &str) -> String {
        self.refresh(refresh_token).await.unwrap().tokens.unwrap().refresh_token
    }

    /// Ends a session.
    pub(crate) async fn revoke(&self, session_id: &str) -> bool {
        let target = Some(revoke_session_request::Target::SessionId(session_id.to_owned()));
        let request = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
        self.client().revoke_session(request).await.unwrap().into_inner().revoked
    }
}
