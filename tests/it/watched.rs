//! What is watched: the dashboard and the alerts ask for figures that there are, as a real Prometheus says that scrapes a
//! server under load.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use symbolon::pb::auth::{Device, WatchRevocationsRequest};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::dashboard::{dashboard, queries};
use crate::support::picture::draw;
use crate::support::prometheus::{Prometheus, tools};
use crate::support::{Ask, Browser, MASTER_KEY, OTHER_MASTER_KEY, Other, Process, redeem, sign_in};

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_dashboard_is_what_the_code_says() {
    let path = at("deploy/grafana/symbolon.json");
    let expected = serde_json::to_string_pretty(&dashboard()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let is = std::fs::read_to_string(&path).unwrap();
    assert!(is == expected, "UPDATE_GENERATED=1 cargo test --test it -- watched writes {} anew", path.display());
}

/// An alert of deploy/prometheus/alerts.yaml.
struct Alert {
    name: String,
    query: String,
    runbook: String,
}

fn alerts() -> Vec<Alert> {
    let text = std::fs::read_to_string(at("deploy/prometheus/alerts.yaml")).unwrap();
    let file: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let rules = file["groups"][0]["rules"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let alert = |rule: &serde_json::Value| {
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()));
        let (query, runbook) = (text(&rule["expr"]), text(&rule["annotations"]["runbook"]));
        Alert { name: text(&rule["alert"]), query, runbook }
    };
    rules.iter().map(alert).collect()
}

#[test]
fn every_alert_says_what_to_do_and_nothing_else_is_said() {
    let text = std::fs::read_to_string(at("docs/alerts.md")).unwrap();
    let sections: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    assert_eq!(alerts().into_iter().map(|alert| alert.name).collect::<BTreeSet<_>>(), sections);
    for Alert { name, runbook, .. } in alerts() {
        assert_eq!(runbook, format!("docs/alerts.md#{}", name.to_lowercase()));
    }
}

#[test]
fn promtool_finds_the_alerts_well_formed_and_they_go_off_when_they_should() {
    for arguments in [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]] {
        let promtool = tools().join("promtool");
        let told = Command::new(promtool).args(arguments).current_dir(at("deploy/prometheus")).output().unwrap();
        let [out, err] = [told.stdout, told.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(told.status.success(), "{arguments:?}: {out}{err}");
    }
}

/// A `symbolon dev` that everything happens to: refreshes, thefts, faults.
struct Loaded {
    server: Process,
    dir: TempDir,
    clients: JoinSet<()>,
}

impl Loaded {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("callers.toml"), "").unwrap();
        let clients = "[clients.web]\naudience = [\"api\"]\nrotation_when_due = true\n";
        std::fs::write(dir.path().join("clients.toml"), clients).unwrap();
        let env = [
            ("SYMBOLON_CLIENTS_FILE", "clients.toml"),
            ("SYMBOLON_CALLERS_FILE", "callers.toml"),
            ("SYMBOLON_MASTER_KEYS", MASTER_KEY),
            ("SYMBOLON_SESSION_BURST", "1s"),
            ("SYMBOLON_SESSION_LEEWAY", "1s"),
            ("SYMBOLON_GATEWAY_LISTEN", "localhost:0"),
        ];
        let server = Process::dev(dir.path(), &env).await;
        let mut clients = JoinSet::new();
        for number in 0..16 {
            let mut client = server.client().await;
            clients.spawn(async move {
                let issued = client.issue_tokens(sign_in(&format!("user-{number}"))).await.unwrap().into_inner();
                let mut token = issued.tokens.unwrap().refresh_token;
                loop {
                    // What the database does not answer in time is asked again.
                    if let Ok(refreshed) = client.refresh_tokens(redeem(&token)).await {
                        token = refreshed.into_inner().tokens.unwrap().refresh_token;
                    }
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
            });
        }
        let mut watcher = server.client().await;
        clients.spawn(async move {
            let mut watch = watcher.watch_revocations(WatchRevocationsRequest::default()).await.unwrap().into_inner();
            while watch.message().await.unwrap().is_some() {}
        });
        let (edge, exchange) = (server.edge.clone(), server.exchange().to_owned());
        clients.spawn(async move {
            let mut browser = Browser::signed_in(&edge, "alice").await;
            loop {
                let refreshed = browser.ask(&edge, &Ask::refresh()).await;
                if refreshed.status == 200 {
                    Ask::get("/auth/check").bearer(&refreshed.access_token()).of(&edge).await;
                    Ask::at_gateway("GET", "/").bearer(&refreshed.access_token()).of(&exchange).await;
                }
                Ask::get("/auth/nothing").of(&edge).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        Self { server, dir, clients }
    }

    async fn database(&self) -> Other {
        Other::connect(&self.dir.path().join("symbolon-data/symbolon.db")).await
    }

    /// What does not happen to a healthy system: a token of another master key, a theft, a caller that asks for too
    /// much, a session that another replica ended.
    async fn trouble(&self, foreign: &str) {
        let mut client = self.server.client().await;
        client.refresh_tokens(redeem(foreign)).await.unwrap_err();
        let mut issue = sign_in("mallory");
        "nobody".clone_into(&mut issue.client_id);
        client.issue_tokens(issue).await.unwrap_err();
        let mut tokens = Vec::new();
        for subject in ["robbed", "ended", "rolled-back"] {
            tokens
                .push(client.issue_tokens(sign_in(subject)).await.unwrap().into_inner().tokens.unwrap().refresh_token);
        }
        let second = client.refresh_tokens(redeem(&tokens[0])).await.unwrap().into_inner().tokens.unwrap();
        let mut elsewhere = redeem(&tokens[0]);
        elsewhere.device = Some(Device { user_agent: "curl".to_owned(), ..Device::default() });
        client.refresh_tokens(elsewhere).await.unwrap();
        client.refresh_tokens(redeem(&second.refresh_token)).await.unwrap();
        let now = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";
        let ended = format!("revoked_at = {now}, revoke_reason = 'administrator', revoked_by = 'x'");
        let database = self.database().await;
        database.run(&format!("UPDATE sessions SET {ended} WHERE subject = 'ended' AND revoked_at IS NULL")).await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        client.refresh_tokens(redeem(&tokens[0])).await.unwrap_err();
    }
}

/// A refresh token of a service with another master key.
async fn foreign() -> String {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[("SYMBOLON_MASTER_KEYS", OTHER_MASTER_KEY)]).await;
    let issued = server.client().await.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    issued.tokens.unwrap().refresh_token
}

/// R-OBS-03
#[tokio::test]
async fn every_query_of_dashboard_and_alerts_is_answered_by_a_prometheus_that_scrapes_a_loaded_server() {
    let foreign = foreign().await;
    let mut loaded = Loaded::start().await;
    let prometheus = Prometheus::start(&loaded.server.ops).await;
    let mut silent: Vec<_> = queries().map(|query| query.replace("$__rate_interval", "1m")).collect();
    for Alert { query, .. } in alerts() {
        // Without the bound, which is there to be kept.
        let bound = [" == ", " > ", " < "].iter().filter_map(|sign| query.rfind(sign)).max().unwrap();
        silent.push(query[..bound].to_owned());
    }
    // A rate takes two scrapes, and a machine that is busy scrapes late: trouble goes on until each has had its answer.
    for round in 0.. {
        assert!(round < 30, "nothing is there for\n{}", silent.join("\n"));
        if round == 1 {
            std::fs::write(loaded.dir.path().join("callers.toml"), "no TOML").unwrap();
        }
        loaded.trouble(&foreign).await;
        let mut still = Vec::new();
        for query in silent {
            if prometheus.values(&query).await.is_empty() {
                still.push(query);
            }
        }
        silent = still;
        if silent.is_empty() {
            break;
        }
    }
    loaded.clients.abort_all();
}

/// The picture of docs/seeing.md, of a minute and a half in which the database is locked for two seconds: `UPDATE_PICTURE=1`
/// draws it anew, else it is only looked whether it is there.
#[tokio::test]
async fn the_picture_shows_real_curves() {
    const SECONDS: u32 = 90;
    let path = at("docs/seeing.svg");
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        let foreign = foreign().await;
        let mut loaded = Loaded::start().await;
        let prometheus = Prometheus::start(&loaded.server.ops).await;
        let over = tokio::time::Instant::now() + Duration::from_secs(SECONDS.into());
        let mut round = 0;
        while tokio::time::Instant::now() < over {
            loaded.trouble(&foreign).await;
            round += 1;
            if round == 20 {
                let lock = Other::lock(&loaded.dir.path().join("symbolon-data/symbolon.db")).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
                lock.unlock().await;
            }
        }
        let time = |part: &str| {
            format!(
                "histogram_quantile({part}, sum by (le) (rate(rpc_server_call_duration_seconds_bucket{{\
                 rpc_method=\"symbolon.auth.v1.AuthService/RefreshTokens\"}}[5s])))"
            )
        };
        let rate = |outcome: &str| format!("sum(rate(symbolon_refreshes_total{{outcome=\"{outcome}\"}}[5s]))");
        let size = "rate(symbolon_rotations_batch_size_sum[5s]) / rate(symbolon_rotations_batch_size_count[5s])";
        let lag = "histogram_quantile(0.99, sum by (le) (rate(symbolon_revocation_lag_seconds_bucket[10s])))";
        let curve = async |query: &str| prometheus.curve(query, SECONDS).await;
        let panels = [
            ("Refreshes a second", 1.0, "", vec![("rotated", curve(&rate("rotated")).await)]),
            (
                "Time of a refresh",
                1e3,
                "ms",
                vec![("half", curve(&time("0.5")).await), ("99 %", curve(&time("0.99")).await)],
            ),
            ("Rotations a statement", 1.0, "", vec![("mean", curve(size).await)]),
            ("How late a revocation is known", 1e3, "ms", vec![("99 %", curve(lag).await)]),
        ];
        std::fs::write(&path, draw(&panels, SECONDS.into())).unwrap();
        loaded.clients.abort_all();
    }
    let svg = std::fs::read_to_string(&path).unwrap();
    let curves = svg.matches("<polyline").count();
    assert!(curves == 5 && svg.len() < 200_000, "{curves} curves, {} bytes", svg.len());
}
