//! What the edge adds to a refresh, and what a warm exchange costs beside one: the same server, the same sessions, over bare
//! gRPC, over HTTP with a cookie, and as a gateway asks, one right after the other: `cargo bench --bench edge`. The generator is a process of its own. Read
//! the ratios, not the figures.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss, reason = "a benchmark")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

mod dev;
mod kept;

use std::time::{Duration, Instant};

use dev::Server;
use kept::Kept;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{IssueTokensRequest, RefreshTokensRequest};
use tonic::transport::Channel;

const IN_FLIGHT: usize = 64;
const SESSIONS: usize = 1024;
const CONNECTIONS: usize = 4;
const PAIRS: usize = 7;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let clients_file = dir.path().join("clients.toml");
    std::fs::write(&clients_file, "[clients.web]\naudience = [\"api\"]\nrotation_when_due = true\nleeway = \"5s\"\n")
        .unwrap();
    let server = Server::start(
        dir.path(),
        &[("SYMBOLON_GATEWAY_LISTEN", "localhost:0"), ("SYMBOLON_CLIENTS_FILE", "clients.toml")],
    );
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(server.client().await);
    }
    let mut tokens = Vec::new();
    for number in 0..SESSIONS {
        let request = IssueTokensRequest { subject: format!("user-{number}"), ..Default::default() };
        tokens.push(clients[0].issue_tokens(request).await.unwrap().into_inner().tokens.unwrap().refresh_token);
    }
    println!("{:<5} {:<8} {:>10} {:>12} {:>10} {:>8}", "pair", "door", "refresh/s", "server ms", "median ms", "CPU");
    // What is cached, compiled into and grown the first time counts for neither.
    for door in Door::ALL {
        run(&server, &clients, &mut tokens, door, Duration::from_secs(1)).await;
    }
    let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
    for pair in 1..=PAIRS {
        let mut bare = None;
        for (at, door) in Door::ALL.into_iter().enumerate() {
            let figures = run(&server, &clients, &mut tokens, door, Duration::from_secs(4)).await;
            let Figures { per_second, server_ms, median_ms } = figures;
            let ratio = server_ms / *bare.get_or_insert(server_ms);
            let name = door.name();
            println!("{pair:<5} {name:<8} {per_second:>10.0} {server_ms:>12.4} {median_ms:>10.2} {ratio:>6.2} ×");
            if at > 0 {
                ratios[at - 1].push(ratio);
            }
        }
    }
    for (mut ratios, what) in
        ratios.into_iter().zip(["a refresh through the edge", "a warm exchange", "a token that was checked before"])
    {
        ratios.sort_by(f64::total_cmp);
        let [least, middle, most] = [0, PAIRS / 2, PAIRS - 1].map(|at| ratios[at]);
        println!("{what} takes {middle:.2} × the server's CPU of a bare refresh ({least:.2} to {most:.2})");
    }
}

/// Which way a cookie goes in.
#[derive(Clone, Copy)]
enum Door {
    Grpc,
    Edge,
    Exchange,
    Bearer,
}

impl Door {
    const ALL: [Self; 4] = [Self::Grpc, Self::Edge, Self::Exchange, Self::Bearer];

    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::Edge => "edge",
            Self::Exchange => "exchange",
            Self::Bearer => "bearer",
        }
    }
}

struct Figures {
    per_second: f64,
    server_ms: f64,
    median_ms: f64,
}

/// Refreshes for a while.
async fn run(
    server: &Server,
    clients: &[AuthServiceClient<Channel>],
    tokens: &mut [String],
    door: Door,
    how_long: Duration,
) -> Figures {
    let (before, began) = (server.cpu(), Instant::now());
    let end = began + how_long;
    let tasks = tokens.chunks_mut(SESSIONS / IN_FLIGHT).enumerate().map(|(at, tokens)| {
        let (client, edge) = (clients[at % CONNECTIONS].clone(), server.at("edge         http://"));
        let name = format!("symbolon-{}", edge.rsplit_once(':').unwrap().1);
        let exchange = server.at("exchange     ");
        async move {
            match door {
                Door::Grpc => bare(client, tokens, end).await,
                Door::Edge => cookies(&edge, &name, tokens, end).await,
                Door::Exchange => {
                    let cookies: Vec<_> = tokens.iter().map(|token| format!("cookie: {name}={token}")).collect();
                    warm(&exchange, &cookies, end).await
                }
                Door::Bearer => {
                    let bearers = bearers(&exchange, &name, tokens).await;
                    warm(&exchange, &bearers, end).await
                }
            }
        }
    });
    let mut times = futures_util::future::join_all(tasks).await.concat();
    times.sort_by(f64::total_cmp);
    let count = times.len() as f64;
    Figures {
        per_second: count / began.elapsed().as_secs_f64(),
        server_ms: (server.cpu() - before) / count,
        median_ms: times[times.len() / 2],
    }
}

/// How long each refresh took, in milliseconds.
async fn bare(mut client: AuthServiceClient<Channel>, tokens: &mut [String], end: Instant) -> Vec<f64> {
    let mut times = Vec::new();
    loop {
        for token in tokens.iter_mut() {
            let began = Instant::now();
            if began > end {
                return times;
            }
            let request = RefreshTokensRequest { refresh_token: token.clone(), ..Default::default() };
            *token = client.refresh_tokens(request).await.unwrap().into_inner().tokens.unwrap().refresh_token;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
}

/// The same on one connection that is kept, as a proxy's.
async fn cookies(edge: &str, name: &str, tokens: &mut [String], end: Instant) -> Vec<f64> {
    let mut kept = Kept::open(edge).await;
    let mut times = Vec::new();
    loop {
        for token in tokens.iter_mut() {
            let began = Instant::now();
            if began > end {
                return times;
            }
            let request = format!(
                "POST /auth/refresh HTTP/1.1\r\nhost: {edge}\r\nsec-fetch-site: same-origin\r\nx-symbolon-csrf: 1\r\n\
                 user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\naccept: */*\r\ncontent-length: 0\r\n\
                 cookie: {name}={token}\r\n\r\n"
            );
            let text = kept.ask(&request).await;
            let set = text.split_once(&format!("set-cookie: {name}=")).unwrap_or_else(|| panic!("{text}")).1;
            set.split(';').next().unwrap().clone_into(token);
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
}

/// What a gateway asks, again and again, with credentials that the exchange knows: none is due.
async fn warm(exchange: &str, credentials: &[String], end: Instant) -> Vec<f64> {
    let mut kept = Kept::open(exchange).await;
    let mut times = Vec::new();
    loop {
        for credential in credentials {
            let began = Instant::now();
            if began > end {
                return times;
            }
            let text = kept.ask(&at_gateway(exchange, credential)).await;
            assert!(text.contains("authorization: Bearer ey"), "{text}");
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
}

/// The access tokens of these cookies.
async fn bearers(exchange: &str, name: &str, tokens: &[String]) -> Vec<String> {
    let mut kept = Kept::open(exchange).await;
    let mut bearers = Vec::new();
    for token in tokens {
        let text = kept.ask(&at_gateway(exchange, &format!("cookie: {name}={token}"))).await;
        let line = text.lines().find(|line| line.starts_with("authorization: ")).unwrap_or_else(|| panic!("{text}"));
        bearers.push(line.to_owned());
    }
    bearers
}

fn at_gateway(exchange: &str, credential: &str) -> String {
    format!(
        "GET /exchange HTTP/1.1\r\nhost: {exchange}\r\nx-forwarded-method: GET\r\nx-forwarded-uri: /orders\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\naccept: */*\r\n{credential}\r\n\r\n"
    )
}
