//! One refresh followed from the edge to its commit, by a real collector; and one that is away harms nobody.

use std::collections::HashSet;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::time::Instant;
use tonic::Request;

use crate::support::collector::{Collector, attribute};
use crate::support::{Ask, Browser, Process, redeem, sign_in};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-{flags}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn followed(dir: &std::path::Path, url: &str, env: &[(&str, &str)]) -> Process {
    let traces = [("SYMBOLON_TRACES_ENDPOINT", url), ("SYMBOLON_TRACES_ONE_IN", "1")];
    Process::dev(dir, &[&traces, env].concat()).await
}

/// The names from the first span of a trace down to this one.
fn path<'a>(spans: &'a [Span], last: &'a Span) -> Vec<&'a str> {
    let parent = |span: &Span| spans.iter().find(|other| other.span_id == span.parent_span_id);
    let mut path: Vec<_> = std::iter::successors(Some(last), |span| parent(span)).map(|it| it.name.as_str()).collect();
    path.reverse();
    path
}

/// R-OBS-03
#[tokio::test]
async fn a_refresh_is_one_trace_from_the_edge_to_its_commit() {
    let (collector, url) = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let server = followed(dir.path(), &url, &[]).await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
    let (status, _) = server.terminate().await;
    assert!(status.success());

    let spans = collector.spans();
    let request = spans.iter().find(|span| span.name == "POST /auth/refresh").expect("no span of the request");
    assert!(request.parent_span_id.is_empty());
    assert_eq!(attribute(request, "http.route").as_deref(), Some("/auth/refresh"));
    let trace: Vec<_> = spans.iter().filter(|span| span.trace_id == request.trace_id).cloned().collect();
    let statement = trace.iter().find(|span| span.name == "statement").expect("no span of the statement");
    assert_eq!(attribute(statement, "db.system.name").as_deref(), Some("sqlite"));
    let method = "symbolon.auth.v1.AuthService/RefreshTokens";
    assert_eq!(path(&trace, statement), ["POST /auth/refresh", method, method, "turn", "batch", "statement"]);
    let call = trace.iter().rfind(|span| span.name == method && span.kind == 2).expect("no span of the server");
    assert_eq!(attribute(call, "rpc.response.status_code").as_deref(), Some("OK"));
    // When it ended cannot be told: the driver's thread leaves the span after it has handed over what was done.
    let within = call.start_time_unix_nano..call.end_time_unix_nano;
    assert!(within.contains(&statement.start_time_unix_nano), "the statement was not run for the call");
}

/// R-OBS-03
#[tokio::test]
async fn a_batch_is_one_span_that_is_linked_with_its_members() {
    const MANY: usize = 60;
    let (collector, url) = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let server = followed(dir.path(), &url, &[]).await;
    let client = server.client().await;
    let mut tokens = Vec::new();
    for number in 0..MANY {
        let issued = client.clone().issue_tokens(sign_in(&format!("user-{number}"))).await.unwrap().into_inner();
        tokens.push(issued.tokens.unwrap().refresh_token);
    }
    let calls = tokens.iter().map(|token| {
        let mut client = client.clone();
        async move { client.refresh_tokens(redeem(token)).await.unwrap() }
    });
    futures_util::future::join_all(calls).await;
    server.terminate().await;

    let spans = collector.spans();
    let turns: Vec<_> = spans.iter().filter(|span| span.name == "turn").collect();
    assert_eq!(turns.len(), MANY);
    let batches: Vec<_> = spans.iter().filter(|span| span.name == "batch").collect();
    let shared: Vec<_> = batches.iter().filter(|batch| batch.parent_span_id.is_empty()).collect();
    assert!(!shared.is_empty(), "sixty at once met in no batch");
    for batch in &shared {
        let members: HashSet<_> = batch.links.iter().map(|link| &link.span_id).collect();
        assert_eq!(attribute(batch, "size"), Some(members.len().to_string()));
        for member in members {
            let turn = turns.iter().find(|turn| turn.span_id == *member).expect("linked with what is no turn");
            assert!(turn.links.iter().any(|link| link.span_id == batch.span_id), "not linked back");
        }
    }
    let alone = batches.len() - shared.len();
    assert_eq!(shared.iter().map(|batch| batch.links.len()).sum::<usize>() + alone, MANY);
}

/// R-OBS-03
#[tokio::test]
async fn a_caller_decides_whether_a_call_is_followed_and_a_page_does_not() {
    let (collector, url) = Collector::start().await;
    let dir = tempfile::tempdir().unwrap();
    let server = followed(dir.path(), &url, &[("SYMBOLON_TRACES_ONE_IN", "1000000")]).await;
    let mut client = server.client().await;
    for flags in ["00", "01"] {
        let mut request = Request::new(sign_in("alice"));
        request.metadata_mut().insert("traceparent", traceparent(flags).parse().unwrap());
        client.issue_tokens(request).await.unwrap();
    }
    // The first one is followed, since nobody decides; the next one in a million.
    let page = Ask::refresh().header("traceparent", traceparent("01"));
    page.of(&server.edge).await;
    page.of(&server.edge).await;
    server.terminate().await;
    let spans = collector.spans();
    let requests: Vec<_> = spans.iter().filter(|span| span.name.starts_with("POST ")).collect();
    assert_eq!(requests.len(), 1, "{spans:#?}");
    assert_ne!(hex(&requests[0].trace_id), TRACE);
    let told: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id) == TRACE && span.kind == 2).collect();
    assert_eq!(told.len(), 1, "{spans:#?}");
    assert_eq!(hex(&told[0].parent_span_id), "00f067aa0ba902b7");

    // A proxy is believed.
    let trusted = [("SYMBOLON_EDGE_TRUSTED_PROXIES", "127.0.0.0/8,::1/128")];
    let server = followed(dir.path(), &url, &trusted).await;
    page.of(&server.edge).await;
    server.terminate().await;
    let spans = collector.spans();
    let request = spans.iter().rfind(|span| span.name == "POST /auth/refresh").expect("no span of the request");
    assert_eq!(hex(&request.trace_id), TRACE);
}

/// R-OBS-03
#[tokio::test]
async fn a_collector_that_is_away_or_hangs_costs_spans_and_nothing_else() {
    // It takes connections and says nothing; nobody is at the other.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), gone] {
        let dir = tempfile::tempdir().unwrap();
        // Full at once.
        let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "16"), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
        let server = followed(dir.path(), &format!("http://{address}"), &small).await;
        let mut client = server.client().await;
        let mut token = client.issue_tokens(sign_in("alice")).await.unwrap().into_inner().tokens.unwrap().refresh_token;
        let (began, mut slowest) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < Duration::from_secs(3) {
            let before = Instant::now();
            token = client.refresh_tokens(redeem(&token)).await.unwrap().into_inner().tokens.unwrap().refresh_token;
            slowest = slowest.max(before.elapsed());
        }
        assert!(slowest < Duration::from_secs(1), "a refresh waited {slowest:?} for a collector");
        let told = Instant::now();
        let (status, said) = server.terminate().await;
        assert!(said.contains("opentelemetry"), "the log does not say that spans are dropped: {said}");
        assert!(status.success() && told.elapsed() < Duration::from_secs(8), "{status} after {:?}", told.elapsed());
    }
}
