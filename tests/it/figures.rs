//! The figures: what is counted stands in one table and in docs/metrics.md, and nobody can make up a series.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use metrics_exporter_prometheus::PrometheusRecorder;
use symbolon::figures::{FIGURES, markdown_table};
use symbolon::telemetry;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;

use crate::support::{Ask, Other, Server, assert_in_document, redeem, sign_in};

#[test]
fn the_documented_figures_are_the_figures() {
    assert_in_document("docs/metrics.md", "figures", &markdown_table());
}

/// Every figure that some code sets, with the labels it sets it by.
fn set() -> BTreeMap<String, BTreeSet<String>> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for dir in ["src", "crates/verifier/src"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut files);
    }
    let mut figures = BTreeMap::<String, BTreeSet<String>>::new();
    for text in files.iter().map(|file| std::fs::read_to_string(file).unwrap()) {
        for kind in ["counter!(", "gauge!(", "histogram!("] {
            for call in text.split(kind).skip(1).filter(|call| call.trim_start().starts_with('"')) {
                let arguments = closed(call);
                let mut words = arguments.split('"').skip(1).step_by(2).zip(arguments.split('"').skip(2).step_by(2));
                let (name, _) = words.next().unwrap();
                let labels = words.filter(|(_, behind)| behind.trim_start().starts_with("=>")).map(|(label, _)| label);
                figures.entry(name.to_owned()).or_default().extend(labels.map(str::to_owned));
            }
        }
    }
    figures
}

/// Up to the parenthesis that closes one before this.
fn closed(text: &str) -> &str {
    let mut open = 1;
    let end = text.find(|character| {
        open += i32::from(character == '(') - i32::from(character == ')');
        open == 0
    });
    &text[..end.unwrap()]
}

/// What only services with `crates/verifier` count, not the edge.
const OF_SERVICES: [&str; 3] = [
    "symbolon_verifier_tokens_total",
    "symbolon_verifier_jwks_fetches_total",
    "symbolon_verifier_jwks_fetched_timestamp_seconds",
];

/// R-OBS-03
#[test]
fn what_is_counted_is_in_the_table_and_what_is_in_the_table_is_counted() {
    let table: BTreeMap<_, _> = FIGURES
        .iter()
        .map(|figure| (figure.name.to_owned(), figure.labels.iter().map(|label| (*label).to_owned()).collect()))
        .collect();
    let mut set = set();
    for name in OF_SERVICES {
        assert!(set.remove(name).is_some() && !table.contains_key(name), "{name}");
    }
    assert_eq!(set, table);
    let histograms = table.keys().filter(|name| name.ends_with("_duration_seconds"));
    assert_eq!(histograms.count(), 2, "one of each convention");
}

fn recorder() -> PrometheusRecorder {
    telemetry::figures().unwrap().build_recorder()
}

fn series(recorder: &PrometheusRecorder) -> BTreeSet<String> {
    let rendered = recorder.handle().render();
    let lines = rendered.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

/// Whatever a stranger can vary, once for each of some round.
async fn garbage(server: &Server, round: usize) {
    let made_up = format!("made-up-{round}");
    for ask in [
        Ask::new(&format!("MADE{round}"), "/auth/refresh"),
        Ask::get(&format!("/auth/{made_up}")),
        Ask::get(&format!("/{made_up}?{made_up}={made_up}")),
        Ask::page("DELETE", &format!("/auth/sessions/{made_up}")),
        Ask::page("POST", "/auth/login").header("host", &made_up),
        Ask::refresh().header("cookie", format!("symbolon-8080={made_up}")),
        Ask::login(&made_up, &made_up),
        Ask::get("/auth/check").bearer(&made_up),
    ] {
        ask.of(&server.edge).await;
    }
    for path in [format!("/symbolon.auth.v1.AuthService/{made_up}"), format!("/{made_up}/RefreshTokens")] {
        let mut client = Grpc::new(server.channel());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        client.unary(tonic::Request::new(()), PathAndQuery::try_from(path).unwrap(), codec).await.unwrap_err();
    }
    let mut client = server.client();
    client.refresh_tokens(redeem(&made_up)).await.unwrap_err();
    let mut issue = sign_in(&made_up);
    issue.client_id.clone_from(&made_up);
    issue.audience = vec![made_up.clone()];
    client.issue_tokens(issue).await.unwrap_err();
    client.issue_tokens(sign_in(&made_up)).await.unwrap();
}

/// R-OBS-03
#[tokio::test]
async fn garbage_makes_no_series() {
    let recorder = recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let server = Server::start().await;
    garbage(&server, 0).await;
    let before = series(&recorder);
    assert!(before.iter().any(|series| series.contains(r#"rpc_method="_OTHER""#)), "{before:#?}");
    assert!(before.iter().any(|series| series.contains(r#"http_request_method="_OTHER""#)), "{before:#?}");
    assert!(!before.iter().any(|series| series.contains("made")), "{before:#?}");
    for round in 1..20 {
        garbage(&server, round).await;
    }
    assert_eq!(series(&recorder), before);
}

#[tokio::test]
async fn calls_are_measured_by_method_and_code_as_the_convention_says() {
    let recorder = recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let server = Server::start().await;
    let token = server.issue("alice").await.tokens.unwrap().refresh_token;
    server.rotate(&token).await;
    server.refresh("nothing").await.unwrap_err();
    let figures = recorder.handle().render();
    for (code, count) in [("OK", 1), ("UNAUTHENTICATED", 1)] {
        let line = format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"symbolon.auth.v1.AuthService/RefreshTokens\",\
             rpc_response_status_code=\"{code}\",rpc_system_name=\"grpc\"}} {count}"
        );
        assert!(figures.lines().any(|figure| figure == line), "{line} is not in\n{figures}");
    }
    assert!(figures.contains("symbolon_rotations_batch_size_bucket{le=\"1\"} 1\n"), "{figures}");
}

/// R-OBS-03
#[tokio::test]
async fn how_late_a_replica_learns_of_an_end_is_measured_and_its_own_ends_are_not() {
    let recorder = recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let server = Server::start().await;
    let lag = |what: &str| {
        let name = format!("symbolon_revocation_lag_seconds_{what} ");
        let rendered = recorder.handle().render();
        rendered.lines().find_map(|line| line.strip_prefix(&name)).map(|value| value.parse::<f64>().unwrap())
    };
    let own = server.issue("alice").await.session.unwrap().session_id;
    server.issue("bob").await;
    assert!(server.revoke(&own).await);
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(lag("count"), None);

    // Another replica did it two seconds ago.
    let ended =
        "revoked_at = (SELECT max(created_at) FROM sessions), revoke_reason = 'administrator', revoked_by = 'x'";
    let database = Other::connect(&server.database()).await;
    server.pass(2);
    database.run(&format!("UPDATE sessions SET {ended} WHERE subject = 'bob'")).await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!((lag("count"), lag("sum")), (Some(1.0), Some(2.0)));
}
