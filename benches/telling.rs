//! What it costs that the process tells of itself: the same refreshes by servers that tell nothing, that count, log and
//! have one call in a hundred followed, and that have every call followed, one after the other in turns: `cargo bench
//! --bench telling`. Read the ratios, not the figures.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use symbolon::cli::declared::Followed;
use symbolon::cli::listen::Reach;
use symbolon::cli::{Listeners, Running, World, assemble};
use symbolon::config::{Profile, from_process};
use symbolon::keys::MasterKeys;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{IssueTokensRequest, RefreshTokensRequest};
use symbolon::store::{Missing, Store, Url};
use symbolon::telemetry::{self, Target, Traces};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

const MASTER_KEY: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SESSIONS: usize = 1024;
const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 4;
/// Short and many: what else this machine does comes and goes in seconds.
const ROUNDS: usize = 60;
const ROUND: Duration = Duration::from_secs(1);
const WAYS: [&str; 3] = ["nothing", "usual", "all"];

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => runtime.block_on(serve(Path::new(&arguments[2]), &arguments[3], &arguments[4])),
        _ => runtime.block_on(measure()),
    }
}

/// The server's process: ends when its stdin does.
async fn serve(dir: &Path, way: &str, collector: &str) {
    let (mut telemetry, mut metrics) = (None, PrometheusBuilder::new().build_recorder().handle());
    if way != "nothing" {
        let one_in = if way == "all" { 1 } else { 100 };
        let traces = Some(Traces { endpoint: collector.to_owned(), one_in });
        let audit = Target::File(dir.join("audit.jsonl"));
        metrics = telemetry::start_metrics().unwrap();
        let told = telemetry::Config { filter: "info".to_owned(), log_as_json: false, audit, traces };
        telemetry = Some(telemetry::start(told).unwrap());
    }
    let config = from_process(Profile::Dev, None, |_| Vec::new()).unwrap().config;
    let listeners = Listeners::bind(&config, Reach::Anywhere).await.unwrap();
    let store = Store::open(&Url::Sqlite(dir.join("symbolon.db")), Missing::Create).await.unwrap();
    store.migrate().await.unwrap();
    let keys = MasterKeys::parse(MASTER_KEY).unwrap();
    let service = assemble(&config, store, keys, Profile::Dev, World::default()).await.unwrap();
    println!("{}", listeners.grpc_port().unwrap());
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // As if it was scraped.
            upkeep.render();
        }
    });
    let running = Running::start(service, listeners, &metrics, Followed::new(&config, Profile::Dev), None).unwrap();
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await.unwrap();
    running.stop().await;
    drop(telemetry);
}

/// Takes spans and forgets them.
struct Sink;

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        _: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

struct Server {
    child: Child,
    clients: Vec<AuthServiceClient<Channel>>,
    tokens: Vec<String>,
    _dir: tempfile::TempDir,
}

impl Server {
    async fn start(way: &str, collector: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        for name in ["SYMBOLON_GRPC_LISTEN", "SYMBOLON_OPS_LISTEN", "SYMBOLON_EDGE_LISTEN"] {
            child.env(name, "127.0.0.1:0");
        }
        let child = child.arg("serve").arg(dir.path()).args([way, collector]);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let channel = Channel::from_shared(format!("http://127.0.0.1:{}", port.trim())).unwrap();
            clients.push(AuthServiceClient::new(channel.connect().await.unwrap()));
        }
        let mut tokens = Vec::new();
        for number in 0..SESSIONS {
            let request = IssueTokensRequest { subject: format!("user-{number}"), ..Default::default() };
            tokens.push(clients[0].issue_tokens(request).await.unwrap().into_inner().tokens.unwrap().refresh_token);
        }
        Self { child, clients, tokens, _dir: dir }
    }

    /// Refreshes for a while. Answers the CPU time of one, in milliseconds.
    async fn load(&mut self, how_long: Duration) -> f64 {
        let (before, end) = (self.cpu(), Instant::now() + how_long);
        let share = SESSIONS / IN_FLIGHT;
        let tasks = self.tokens.chunks_mut(share).enumerate().map(|(at, tokens)| {
            let mut client = self.clients[at % CONNECTIONS].clone();
            async move {
                let mut count = 0_u32;
                while Instant::now() < end {
                    for token in tokens.iter_mut() {
                        let request = RefreshTokensRequest { refresh_token: token.clone(), ..Default::default() };
                        *token =
                            client.refresh_tokens(request).await.unwrap().into_inner().tokens.unwrap().refresh_token;
                        count += 1;
                    }
                }
                f64::from(count)
            }
        });
        let count: f64 = futures_util::future::join_all(tasks).await.into_iter().sum();
        (self.cpu() - before) / count
    }

    /// The CPU time it has used, in milliseconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

async fn measure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let sink = TraceServiceServer::new(Sink).max_decoding_message_size(64 << 20);
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(sink).serve_with_incoming(incoming));

    let mut servers = Vec::new();
    for way in WAYS {
        let mut server = Server::start(way, &collector).await;
        server.load(Duration::from_secs(1)).await;
        servers.push(server);
    }
    println!("CPU a refresh beside one that tells nothing, of {ROUNDS} rounds the median and the middle half");
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for server in &mut servers {
            round.push(server.load(ROUND).await);
        }
        for (ratios, cost) in ratios.iter_mut().zip(&round[1..]) {
            ratios.push(cost / round[0]);
        }
    }
    for (mut ratios, way) in ratios.into_iter().zip(&WAYS[1..]) {
        ratios.sort_by(f64::total_cmp);
        let [low, median, high] = [1, 2, 3].map(|quarter| ratios[ROUNDS * quarter / 4]);
        println!("{way}: {median:.3} × ({low:.3} to {high:.3})");
    }
}
