//! What judging an access token costs beside refreshing one, and how soon many watchers know of an end: a generator in a
//! process of its own, the server in another, on a file. `cargo bench --bench introspect`. Read the ratios, not the figures.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]
#![expect(clippy::disallowed_methods, reason = "it measures time")]

mod dev;

use std::time::{Duration, Instant};

use dev::Server;
use futures_util::future::join_all;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::watch_revocations_response::Event;
use symbolon::pb::auth::{
    IntrospectTokenRequest, IssueTokensRequest, RefreshTokensRequest, RevokeSessionRequest, TokenPair,
    WatchRevocationsRequest, revoke_session_request,
};
use tokio::task::JoinSet;
use tonic::transport::Channel;

const SESSIONS: usize = 1024;
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;
const HOW_LONG: Duration = Duration::from_secs(5);

/// As many calls as one connection takes at a time.
const STREAMS: usize = 128;

type Client = AuthServiceClient<Channel>;

#[tokio::main]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(server.client().await);
    }
    let mut pairs = Vec::new();
    for number in 0..SESSIONS {
        pairs.push(issue(&mut clients[0], &format!("user-{number}")).await.0);
    }
    println!("{:<12} {:>10} {:>10}", "in turn", "calls/s", "server ms");
    let mut sums = [(0.0, 0.0); 3];
    for _ in 0..3 {
        for (sum, what) in sums.iter_mut().zip(["refresh", "introspect", "no token"]) {
            let before = server.cpu();
            let (count, rate) = load(&clients, &mut pairs, what).await;
            let cost = (server.cpu() - before) / count;
            println!("{what:<12} {rate:>10.0} {cost:>10.3}");
            *sum = (sum.0 + rate, sum.1 + cost);
        }
    }
    let [refresh, introspect, call] = sums;
    println!("introspect is {:.1} times as fast as refresh", introspect.0 / refresh.0);
    println!("and costs the server 1/{:.1} of it", refresh.1 / introspect.1);
    println!("or 1/{:.1} without what any call costs", (refresh.1 - call.1) / (introspect.1 - call.1));
    println!("{:>10} {:>14} {:>14}", "watchers", "median ms", "slowest ms");
    for count in [100, 1000, 10_000] {
        let (median, slowest) = tell(&server, count).await;
        println!("{count:>10} {median:>14.0} {slowest:>14.0}");
    }
}

async fn issue(client: &mut Client, subject: &str) -> (TokenPair, String) {
    let request = IssueTokensRequest { subject: subject.to_owned(), ..Default::default() };
    let issued = client.issue_tokens(request).await.unwrap().into_inner();
    (issued.tokens.unwrap(), issued.session.unwrap().session_id)
}

/// Calls for a while; answers how many calls were answered, and how many a second.
async fn load(clients: &[Client], pairs: &mut [TokenPair], what: &str) -> (f64, f64) {
    let began = Instant::now();
    let tasks = pairs.chunks_mut(SESSIONS / IN_FLIGHT).enumerate().map(|(at, pairs)| {
        let mut client = clients[at % CONNECTIONS].clone();
        async move {
            let mut count = 0;
            loop {
                for pair in pairs.iter_mut() {
                    if began.elapsed() > HOW_LONG {
                        return count;
                    }
                    if what == "refresh" {
                        let request =
                            RefreshTokensRequest { refresh_token: pair.refresh_token.clone(), ..Default::default() };
                        *pair = client.refresh_tokens(request).await.unwrap().into_inner().tokens.unwrap();
                    } else {
                        let is_token = what == "introspect";
                        let token = if is_token { pair.access_token.clone() } else { what.to_owned() };
                        let answer = client.introspect_token(IntrospectTokenRequest { token }).await.unwrap();
                        assert_eq!(answer.into_inner().active, is_token);
                    }
                    count += 1;
                }
            }
        }
    });
    let count: u32 = join_all(tasks).await.into_iter().sum();
    (f64::from(count), f64::from(count) / began.elapsed().as_secs_f64())
}

/// How long after a revocation returned half of so many watchers knew, and all of them, in milliseconds.
async fn tell(server: &Server, count: usize) -> (f64, f64) {
    let mut client = server.client().await;
    let (_, id) = issue(&mut client, "mallory").await;
    let mut watchers = Vec::new();
    while watchers.len() < count {
        let mut client = server.client().await;
        for _ in 0..STREAMS.min(count - watchers.len()) {
            let mut stream = client.watch_revocations(WatchRevocationsRequest::default()).await.unwrap().into_inner();
            while !matches!(stream.message().await.unwrap().unwrap().event, Some(Event::SnapshotEnd(_))) {}
            watchers.push(stream);
        }
    }
    let mut told = JoinSet::new();
    for mut stream in watchers {
        let id = id.clone();
        told.spawn(async move {
            loop {
                if let Some(Event::Revocations(some)) = stream.message().await.unwrap().unwrap().event
                    && some.sessions.iter().any(|session| session.session_id == id)
                {
                    return (Instant::now(), stream);
                }
            }
        });
    }
    let target = Some(revoke_session_request::Target::SessionId(id.clone()));
    client.revoke_session(RevokeSessionRequest { target, ..Default::default() }).await.unwrap();
    let returned = Instant::now();
    let told = told.join_all().await;
    let mut waited: Vec<_> =
        told.iter().map(|(at, _)| at.saturating_duration_since(returned).as_secs_f64() * 1e3).collect();
    waited.sort_by(f64::total_cmp);
    (waited[count / 2], waited[count - 1])
}
