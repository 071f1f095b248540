//! What Envoy's question to the exchange costs, where every request of a page is asked about: Envoy as its recipe in
//! `deploy/gateways` has it, an upstream that answers at once, and requests for a public path, with a cookie and with an access
//! token, one right after the other: `cargo bench --bench envoy`. Needs what the tests need. Read the ratios, not the figures.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

mod dev;
mod kept;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use dev::{Server, cpu};
use futures_util::future::join_all;
use kept::Kept;
use symbolon::pb::auth::{IssueTokensRequest, TokenPair};

const IN_FLIGHT: usize = 64;
const ROUNDS: usize = 7;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let clients = "[clients.web]\naudience = [\"api\"]\nrotation_when_due = true\nleeway = \"5s\"\n";
    std::fs::write(dir.path().join("clients.toml"), clients).unwrap();
    let env = [("SYMBOLON_GATEWAY_LISTEN", "localhost:0"), ("SYMBOLON_CLIENTS_FILE", "clients.toml")];
    let server = Server::start(dir.path(), &env);
    let upstream = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let application = upstream.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(upstream, Router::new().fallback(async || "the application")).await });
    let [edge, exchange] = ["edge         http://", "exchange     "].map(|label| port(&server.at(label)));
    let envoy = Envoy::start(dir.path(), edge, exchange, application).await;

    let mut client = server.client().await;
    let mut pairs = Vec::new();
    for number in 0..IN_FLIGHT {
        let request = IssueTokensRequest { subject: format!("user-{number}"), ..Default::default() };
        pairs.push(client.issue_tokens(request).await.unwrap().into_inner().tokens.unwrap());
    }
    let of_each =
        |request: &dyn Fn(&TokenPair) -> String| -> Vec<_> { pairs.iter().map(|pair| whole(&request(pair))).collect() };
    let requests = [
        ("public", of_each(&|_| "GET /healthz".to_owned())),
        ("cookie", of_each(&|pair| format!("GET /orders|cookie: symbolon-{edge}={}", pair.refresh_token))),
        ("bearer", of_each(&|pair| format!("GET /orders|authorization: Bearer {}", pair.access_token))),
    ];
    println!(
        "{:<6} {:<8} {:>10} {:>10} {:>12} {:>10}",
        "round", "path", "request/s", "Envoy ms", "exchange ms", "median ms"
    );
    for (_, requests) in &requests {
        run(&server, &envoy, requests, Duration::from_secs(1)).await;
    }
    let mut ratios = [Vec::new(), Vec::new()];
    for round in 1..=ROUNDS {
        let mut public = None;
        for (at, (name, requests)) in requests.iter().enumerate() {
            let Figures { per_second, envoy_ms, exchange_ms, median_ms } =
                run(&server, &envoy, requests, Duration::from_secs(4)).await;
            println!("{round:<6} {name:<8} {per_second:>10.0} {envoy_ms:>10.4} {exchange_ms:>12.4} {median_ms:>10.2}");
            let public = *public.get_or_insert(envoy_ms);
            if at > 0 {
                ratios[at - 1].push([envoy_ms / public, exchange_ms / public]);
            }
        }
    }
    for (ratios, what) in ratios.iter().zip(["a cookie that is known", "an access token that is known"]) {
        let [asking, answering] = [0, 1].map(|part| spread(ratios.iter().map(|ratio| ratio[part]).collect()));
        println!("{what}: Envoy takes {asking} of the CPU of a public request, the exchange {answering} beside it");
    }
}

/// The middle, the least and the most.
fn spread(mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    format!("{:.2} × ({:.2} to {:.2})", ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1])
}

fn whole(request: &str) -> String {
    let (line, credential) = request.split_once('|').unwrap_or((request, "accept-language: en"));
    format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: same-origin\r\nsec-fetch-mode: cors\r\naccept: */*\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n{credential}\r\n\r\n"
    )
}

struct Figures {
    per_second: f64,
    envoy_ms: f64,
    exchange_ms: f64,
    median_ms: f64,
}

/// Asks for a while, each request on a connection of its own that is kept.
async fn run(server: &Server, envoy: &Envoy, requests: &[String], how_long: Duration) -> Figures {
    let (exchange_before, envoy_before, began) = (server.cpu(), cpu(&envoy.child), Instant::now());
    let tasks = requests.iter().map(async |request| {
        let mut kept = Kept::open(&envoy.address).await;
        let mut times = Vec::new();
        while began.elapsed() < how_long {
            let asked = Instant::now();
            let text = kept.ask(request).await;
            assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("the application"), "{text}");
            times.push(asked.elapsed().as_secs_f64() * 1e3);
        }
        times
    });
    let mut times = join_all(tasks).await.concat();
    times.sort_by(f64::total_cmp);
    let count = times.len() as f64;
    Figures {
        per_second: count / began.elapsed().as_secs_f64(),
        envoy_ms: (cpu(&envoy.child) - envoy_before) / count,
        exchange_ms: (server.cpu() - exchange_before) / count,
        median_ms: times[times.len() / 2],
    }
}

fn port(address: &str) -> u16 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Killed when dropped.
struct Envoy {
    child: Child,
    address: String,
}

impl Envoy {
    async fn start(dir: &Path, edge: u16, exchange: u16, application: u16) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools = root.join("target/tools");
        assert!(Command::new(root.join("tests/tools/install")).arg(&tools).status().unwrap().success());
        let front = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let recipe = std::fs::read_to_string(root.join("deploy/gateways/envoy.yaml")).unwrap();
        let recipe = recipe
            .replace("127.0.0.1, port_value: 8000 }", &format!("127.0.0.1, port_value: {front} }}"))
            .replace("127.0.0.1, port_value: 8080 }", &format!("127.0.0.1, port_value: {edge} }}"))
            .replace("127.0.0.1, port_value: 8081 }", &format!("127.0.0.1, port_value: {exchange} }}"))
            .replace(
                "port_value: 8080, address: 127.0.0.1 }",
                &format!("port_value: {application}, address: 127.0.0.1 }}"),
            );
        let file = dir.join("envoy.yaml");
        std::fs::write(&file, recipe).unwrap();
        let mut command = Command::new(tools.join("python/bin/envoy"));
        command.args(["--use-dynamic-base-id", "--log-level", "error", "-c"]).arg(file).stdin(Stdio::null());
        let envoy = Self { child: command.spawn().unwrap(), address: format!("127.0.0.1:{front}") };
        while tokio::net::TcpStream::connect(&envoy.address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        envoy
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
