//! The audit: one event a decision, with who, what and which session, on a line of its own whatever it quotes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use symbolon::audit::{Audit, TARGET};
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{
    Device, ExplainSessionRequest, GetSessionRequest, RevokeSubjectSessionsRequest, UpdateSessionRequest,
};
use symbolon::telemetry::audit_events;
use tokio::io::{AsyncBufReadExt, BufReader};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{ALL, Other, Process, Server, Settings, entry, redeem, sign_in};

/// What is told on this thread while it lives; the server of a test runs on its thread.
struct Told {
    written: Arc<Mutex<Vec<u8>>>,
    _here: DefaultGuard,
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Told {
    fn here() -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&written);
        let layer = audit_events(move || Writer(Arc::clone(&writer)));
        let here = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        Self { written, _here: here }
    }

    /// The events about sessions since it was last asked: one a line, without the time they were told.
    fn events(&self) -> Vec<Value> {
        let text = String::from_utf8(std::mem::take(&mut *self.written.lock().unwrap())).unwrap();
        assert!(!text.contains("sr1_") && !text.contains("eyJ"), "a token is told: {text}");
        let read = |line: &str| -> Value { serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")) };
        let mut events: Vec<_> = text.lines().map(read).collect();
        for event in &mut events {
            let event = event.as_object_mut().unwrap();
            assert!(event.remove("timestamp").is_some_and(|at| at.as_str().unwrap().ends_with('Z')));
            assert_eq!((event.remove("level"), event.remove("target")), (Some(json!("INFO")), Some(json!(TARGET))));
            assert_documented(event);
        }
        events.retain(|event| event["event"] != "signing_key");
        events
    }

    /// The one event since it was last asked.
    fn event(&self) -> Value {
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:#?}");
        events.into_iter().next().unwrap()
    }
}

/// The rows of the two tables of docs/audit.md: events with their fields, fields with their types.
fn schema() -> (BTreeMap<String, Vec<String>>, BTreeMap<String, String>) {
    let text = include_str!("../../docs/audit.md");
    let (mut events, mut fields) = (BTreeMap::new(), BTreeMap::new());
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').to_owned();
        if cells[2].starts_with('`') {
            events.insert(name, cells[2].split_whitespace().map(|field| field.trim_matches('`').to_owned()).collect());
        } else {
            fields.insert(name, cells[2].to_owned());
        }
    }
    assert!(events.len() > 10 && fields.len() > 10);
    (events, fields)
}

/// Fails if an event is not as docs/audit.md says.
fn assert_documented(event: &serde_json::Map<String, Value>) {
    let (events, types) = schema();
    let name = event["event"].as_str().unwrap();
    let fields = events.get(name).unwrap_or_else(|| panic!("docs/audit.md knows no event {name}"));
    for field in fields.iter().filter(|field| !field.ends_with('?')) {
        assert!(event.contains_key(field), "{name} has no {field}: {event:?}");
    }
    for (field, value) in event.iter().filter(|(field, _)| *field != "event") {
        assert!(fields.iter().any(|known| known.trim_end_matches('?') == field), "{name} has {field}, too");
        let is = match value {
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "boolean",
            Value::Null | Value::Array(_) | Value::Object(_) => "nothing simple",
        };
        assert_eq!(types.get(field).map(String::as_str), Some(is), "{field} of {name}");
    }
}

/// R-OBS-02
#[test]
fn every_event_there_is_is_documented_and_every_documented_one_there_is() {
    let code = include_str!("../../src/audit.rs");
    let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
    let named = code.split("event = ").skip(1).filter(|rest| rest.starts_with('"')).filter_map(quoted);
    let judged = code.split("let event = match").nth(1).unwrap().split("};").next().unwrap();
    let judged = judged.split("=> ").filter(|rest| rest.starts_with('"')).filter_map(quoted);
    let refused = code.split("told_of_refusal(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let told: BTreeSet<_> = named.chain(judged).chain(refused).collect();
    let (events, types) = schema();
    assert_eq!(told, events.keys().cloned().collect());
    let used: BTreeSet<_> = events.values().flatten().map(|field| field.trim_end_matches('?')).collect();
    assert_eq!(used, types.keys().map(String::as_str).collect());
    let example = include_str!("../../docs/audit.md").split("```json\n").nth(1).unwrap().lines().next().unwrap();
    let mut example: serde_json::Map<String, Value> = serde_json::from_str(example).unwrap();
    example.retain(|field, _| !["timestamp", "level", "target"].contains(&field.as_str()));
    assert_documented(&example);
}

/// An event about a session of alice's.
fn about(session_id: &str, mut event: Value) -> Value {
    let all = json!({ "caller": "local", "session_id": session_id, "subject": "alice", "client_id": "web" });
    event.as_object_mut().unwrap().extend(all.as_object().unwrap().clone());
    event
}

fn judged(session_id: &str, event: &str, presented: u32, current: u32, other_device: bool) -> Value {
    let judged = json!({ "event": event, "presented": presented, "current": current, "other_device": other_device });
    about(session_id, judged)
}

/// A session of alice's from this browser: its id and its first refresh token.
async fn from_a_browser(server: &Server) -> (String, String) {
    let mut request = sign_in("alice");
    request.device = Some(Device { user_agent: "Firefox".to_owned(), ..Device::default() });
    let issued = server.client().issue_tokens(request).await.unwrap().into_inner();
    (issued.session.unwrap().session_id, issued.tokens.unwrap().refresh_token)
}

#[tokio::test]
async fn every_decision_is_told_once_with_who_and_what_and_which_session() {
    let told = Told::here();
    let server = Server::start().await;
    let (id, first) = from_a_browser(&server).await;
    assert_eq!(told.event(), about(&id, json!({ "event": "issued" })));

    let second = server.rotate(&first).await;
    assert_eq!(told.events(), [] as [Value; 0], "rotations are counted, not told");
    server.pass(600);
    assert_eq!(server.rotate(&first).await, second);
    assert_eq!(told.event(), judged(&id, "recovered", 1, 2, false));
    server.rotate(&first).await;
    assert_eq!(told.event(), judged(&id, "repeated", 1, 2, false));

    server.pass(600);
    let third = server.rotate(&second).await;
    server.rotate(&third).await;
    server.refresh(&second).await.unwrap_err();
    assert_eq!(told.event(), judged(&id, "stale", 2, 4, false));

    let update = UpdateSessionRequest { session_id: id.clone(), label: Some("desk".to_owned()), claims: None };
    server.client().update_session(update).await.unwrap();
    assert_eq!(told.event(), about(&id, json!({ "event": "updated" })));

    assert!(server.revoke(&id).await);
    assert_eq!(told.event(), about(&id, json!({ "event": "revoked", "reason": "administrator" })));
    assert!(!server.revoke(&id).await);
    assert_eq!(told.events(), [] as [Value; 0], "nothing was ended");
}

#[tokio::test]
async fn a_reuse_is_one_event_and_one_figure_and_ends_one_session() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let told = Told::here();
    let server = Server::start().await;
    let (other_id, other) = from_a_browser(&server).await;
    let (id, first) = from_a_browser(&server).await;
    let third = server.rotate(&server.rotate(&first).await).await;
    server.pass(3600);
    told.events();

    server.refresh(&first).await.unwrap_err();
    assert_eq!(told.event(), judged(&id, "reuse", 1, 3, false));
    let figures = recorder.handle().render();
    assert!(figures.contains("symbolon_refreshes_total{outcome=\"reuse\"} 1\n"), "{figures}");
    assert!(![&id, &other_id, "alice", "sr1_"].iter().any(|label| figures.contains(label)), "{figures}");

    // Whoever comes later is told that the session is over, and that is no second reuse.
    server.refresh(&third).await.unwrap_err();
    server.refresh(&first).await.unwrap_err();
    assert!(told.events().is_empty());
    assert!(recorder.handle().render().contains("symbolon_refreshes_total{outcome=\"reuse\"} 1\n"));
    server.rotate(&other).await;
}

#[tokio::test]
async fn a_database_that_went_back_in_time_is_told_healed_or_not() {
    let told = Told::here();
    let server = Server::start().await;
    let (id, first) = from_a_browser(&server).await;
    let second = server.rotate(&first).await;
    let third = server.rotate(&second).await;
    let database = Other::connect(&server.database()).await;
    told.events();

    database.run("UPDATE sessions SET generation = 1").await;
    let fourth = server.rotate(&third).await;
    assert_eq!(told.event(), judged(&id, "rolled_back", 3, 1, false));
    database.run("UPDATE sessions SET generation = 1").await;
    server.refresh(&fourth).await.unwrap_err();
    assert_eq!(told.event(), judged(&id, "rolled_back", 4, 1, false));
}

#[tokio::test]
async fn replays_are_told_once_a_generation_with_whether_the_device_differs() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let told = Told::here();
    let server = Server::start().await;
    let (id, first) = from_a_browser(&server).await;
    let second = server.rotate(&first).await;
    told.events();

    let calls = (0..20).map(|_| server.refresh(&first));
    futures_util::future::try_join_all(calls).await.unwrap();
    assert_eq!(told.event(), judged(&id, "replayed", 1, 2, false));

    server.rotate(&second).await;
    let mut elsewhere = redeem(&second);
    elsewhere.device = Some(Device { user_agent: "curl".to_owned(), ..Device::default() });
    for _ in 0..3 {
        server.client().refresh_tokens(elsewhere.clone()).await.unwrap();
    }
    assert_eq!(told.event(), judged(&id, "replayed", 2, 3, true));
    assert!(recorder.handle().render().contains("symbolon_replays_other_device_total 1\n"));
}

#[tokio::test]
async fn a_refusal_by_policy_is_told_once_with_what_was_asked_for() {
    let told = Told::here();
    let server = Server::start().await;
    let (id, first) = from_a_browser(&server).await;
    told.events();
    let mut widened = redeem(&first);
    widened.audience = vec!["everything".to_owned()];
    server.client().refresh_tokens(widened).await.unwrap_err();
    let denied = json!({ "event": "denied", "method": "RefreshTokens", "field": "audience" });
    assert_eq!(told.event(), about(&id, denied));

    let mut foreign = sign_in("alice");
    foreign.client_id = "nobody".to_owned();
    server.client().issue_tokens(foreign).await.unwrap_err();
    let denied = json!({ "event": "denied", "method": "IssueTokens", "field": "client_id", "caller": "local" });
    assert_eq!(told.event(), denied);
}

/// Whoever moves in reads from it what to write into the entry.
#[tokio::test]
async fn in_a_dry_run_what_would_be_refused_is_told_with_its_method() {
    let told = Told::here();
    let newcomer = entry("newcomer", &format!("{ALL}\ndry_run = true"));
    let server = Server::with(Settings::default().callers(&newcomer)).await;
    let (id, token) = from_a_browser(&server).await;
    told.event();
    let mut newcomer = server.as_caller("newcomer");
    let would_be = |method: &str| {
        let event = json!({ "event": "would_be_denied", "method": method, "field": "client_id" });
        let mut event = about(&id, event);
        event["caller"] = json!("newcomer");
        event
    };
    newcomer.get_session(GetSessionRequest { session_id: id.clone() }).await.unwrap();
    assert_eq!(told.event(), would_be("GetSession"));
    newcomer.explain_session(ExplainSessionRequest { session_id: id.clone() }).await.unwrap();
    assert_eq!(told.event(), would_be("ExplainSession"));
    let update = UpdateSessionRequest { session_id: id.clone(), label: Some("desk".to_owned()), claims: None };
    newcomer.update_session(update).await.unwrap();
    assert_eq!(told.events()[0], would_be("UpdateSession"));
    newcomer.refresh_tokens(redeem(&token)).await.unwrap();
    assert_eq!(told.event(), would_be("RefreshTokens"));
    newcomer.issue_tokens(sign_in("alice")).await.unwrap();
    let would_be = json!({ "event": "would_be_denied", "caller": "newcomer", "method": "IssueTokens",
        "field": "client_id" });
    assert_eq!(told.events()[0], would_be);
}

#[tokio::test]
async fn what_anybody_can_send_is_not_told() {
    let told = Told::here();
    let server = Server::start().await;
    for garbage in ["garbage", "sr1_AAAA", ""] {
        server.refresh(garbage).await.unwrap_err();
    }
    server.client().issue_tokens(sign_in("")).await.unwrap_err();
    assert_eq!(told.events(), [] as [Value; 0]);
}

#[tokio::test]
async fn signing_everybody_out_is_one_event_with_how_many() {
    let told = Told::here();
    let server = Server::start().await;
    for _ in 0..3 {
        server.issue("alice").await;
    }
    told.events();
    let request = RevokeSubjectSessionsRequest { subject: "alice".to_owned(), ..Default::default() };
    for _ in 0..2 {
        server.client().revoke_subject_sessions(request.clone()).await.unwrap();
    }
    let all = json!({ "event": "subject_revoked", "caller": "local", "subject": "alice", "count": 3,
        "reason": "administrator" });
    assert_eq!(told.event(), all);
}

#[tokio::test]
async fn the_filter_of_the_log_does_not_silence_the_audit() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut command = Process::command(dir.path());
    Process::say_dev(&mut command);
    command.env("SYMBOLON_LOG", "off").stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
    let mut process = command.spawn().unwrap();
    let mut banner = BufReader::new(process.stdout.take().unwrap()).lines();
    let port = loop {
        let line = banner.next_line().await.unwrap().unwrap();
        if let Some((_, port)) = line.split_once("gRPC         localhost:") {
            break port.split(',').next().unwrap().to_owned();
        }
    };
    let mut client = AuthServiceClient::connect(format!("http://localhost:{port}")).await.unwrap();
    client.issue_tokens(sign_in("alice")).await.unwrap();
    process.kill().await.unwrap();
    let told = std::fs::read_to_string(&log).unwrap();
    let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not one line of JSON: {told}"));
    let events: Vec<Value> = told.lines().map(read).collect();
    let (event, before) = events.split_last().unwrap();
    let changes: Vec<_> = before.iter().map(|event| event["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["published", "activated", "published"], "the first signing keys");
    assert_eq!((&event["event"], &event["subject"]), (&json!("issued"), &json!("alice")));
}

#[tokio::test]
async fn whatever_a_caller_writes_stays_in_its_own_line_and_member() {
    let told = Told::here();
    let server = Server::start().await;
    let subject = r#"al"ice","event":"reuse"}\n{"event":"reuse" \u0022"#;
    let mut request = sign_in(subject);
    let text = "\"}\u{2028}{\"event\":\"reuse\"}\\n".to_owned();
    request.device = Some(Device { user_agent: text.clone(), label: text, ..Device::default() });
    server.client().issue_tokens(request).await.unwrap();
    let event = told.event();
    assert_eq!((&event["event"], &event["subject"]), (&json!("issued"), &json!(subject)));

    // The transport lets no line break through; the audit does not count on that.
    let broken = "a\r\n{\"event\":\"reuse\"}\n\u{1b}[31m\0";
    Audit::default().subject_revoked("local", broken, 1, broken);
    let event = told.event();
    assert_eq!((&event["event"], &event["subject"]), (&json!("subject_revoked"), &json!(broken)));
    Audit::default().denied("local", broken, broken, None);
    assert_eq!(told.event()["field"], json!(broken));
}
