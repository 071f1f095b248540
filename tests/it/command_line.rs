//! The command line: data on stdout, everything else on stderr, and sentences that help.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon::pb::auth::{Device, IssueTokensRequest, IssueTokensResponse};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::support::{MASTER_KEY, Process, redeem, sign_in};

/// How a command ended.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// What it printed, if it succeeded and said nothing beside it.
    fn data(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// What it complained of, if it failed and printed nothing.
    fn complaint(self) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (1, ""), "{}", self.stderr);
        self.stderr
    }
}

async fn run(dir: &Path, arguments: &[&str], env: &[(&str, &str)], stdin: &str) -> Ended {
    let mut command = Process::command(dir);
    command
        .args(arguments)
        .envs(env.iter().copied())
        .env_remove("SYMBOLON_GRPC_LISTEN")
        .env_remove("SYMBOLON_OPS_LISTEN");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its stdin may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes()).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
    let output = ended.expect("it hangs").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ended = Ended { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// R-OPS-07
#[tokio::test]
async fn config_check_reports_every_fault_at_once_and_says_what_was_probably_meant() {
    let dir = folder();
    let toml = "isuer = \"https://a\"\nlog = 7\n[grpc]\nlisen = \"localhost:1\"\n[sesion]\nttl = \"1d\"\n";
    std::fs::write(dir.path().join("symbolon.toml"), toml).unwrap();
    let env = [("SYMBOLON_SESSION_LEEWAY", "hunter2"), ("SYMBOLON_SESSION_RECOVERY_LIMIT", "99")];
    let arguments = ["config", "check", "--config", "symbolon.toml"];
    let told = run(dir.path(), &arguments, &env, "").await.complaint();
    for part in [
        "isuer (file symbolon.toml, line 1): unknown key, did you mean `issuer`?",
        "grpc.lisen (file symbolon.toml, line 4): unknown key, did you mean `grpc.listen`?",
        "sesion (file symbolon.toml, line 5): unknown section, did you mean `session`?",
        "log (file symbolon.toml, line 2): expected",
        "session.leeway (environment SYMBOLON_SESSION_LEEWAY): expected a duration of whole seconds from 0s to 1m",
        "session.recovery_limit (environment SYMBOLON_SESSION_RECOVERY_LIMIT): expected",
        "issuer: missing",
    ] {
        assert!(told.contains(part), "{part:?} is missing in: {told}");
    }
    assert_eq!(told.lines().count(), 7, "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    // `dev` needs no issuer; the other six are as wrong for it.
    let told = run(dir.path(), &[&arguments[..], &["--for", "dev"]].concat(), &env, "").await.complaint();
    assert_eq!(told.lines().count(), 6, "{told}");
}

/// R-OPS-07
#[tokio::test]
async fn config_check_finds_malformed_master_keys_and_a_missing_file_and_shows_no_key() {
    let dir = folder();
    let check = async |env: &[(&str, &str)]| {
        let env = [&[("SYMBOLON_ISSUER", "https://a")], env].concat();
        run(dir.path(), &["config", "check"], &env, "").await
    };
    let broken = &MASTER_KEY[..30];
    let told = check(&[("SYMBOLON_MASTER_KEYS", broken)]).await.complaint();
    assert!(told.contains("SYMBOLON_MASTER_KEYS entry 1 is not id:base64") && !told.contains(broken), "{told}");
    let told = check(&[("SYMBOLON_MASTER_KEYS_FILE", MASTER_KEY)]).await.complaint();
    assert!(told.contains("looks like the secret itself") && !told.contains(MASTER_KEY), "{told}");
    let told = check(&[("SYMBOLON_MASTER_KEYS_FILE", "no-such-file")]).await.complaint();
    assert!(told.contains("cannot read no-such-file"), "{told}");
    let told = check(&[("SYMBOLON_CONFIG_FILE", "nowhere.toml")]).await.complaint();
    assert!(told.contains("cannot read nowhere.toml"), "{told}");
    assert_eq!(check(&[("SYMBOLON_MASTER_KEYS", MASTER_KEY)]).await.data(), "the configuration is good\n");
}

/// R-OPS-07
#[tokio::test]
async fn a_variable_nobody_knows_is_a_warning() {
    let dir = folder();
    let env = [("SYMBOLON_ISSUER", "https://a"), ("SYMBOLON_SESSION_LEWAY", "hunter2"), ("SYMBOLON_XYZZY", "1")];
    let told = run(dir.path(), &["config", "check"], &env, "").await.data();
    assert!(
        told.contains("SYMBOLON_SESSION_LEWAY: unknown variable, did you mean `SYMBOLON_SESSION_LEEWAY`?"),
        "{told}"
    );
    assert!(
        told.contains("SYMBOLON_XYZZY: unknown variable\n") && told.ends_with("the configuration is good\n"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");

    let server = Process::dev(dir.path(), &env).await;
    let (_, said) = server.terminate().await;
    let warned = said.lines().filter(|line| line.contains(" WARN ") && line.contains("unknown variable"));
    assert_eq!(warned.count(), 2, "{said}");
}

/// R-OPS-07
#[tokio::test]
async fn config_print_shows_every_setting_and_where_it_is_from_and_no_secret() {
    let dir = folder();
    std::fs::write(dir.path().join("token"), "swordfish-in-a-file").unwrap();
    std::fs::write(dir.path().join("s.toml"), "log = \"warn\"\n[edge]\nverifier_token = \"swordfish-in-toml\"\n")
        .unwrap();
    let env = [
        ("SYMBOLON_CONFIG_FILE", "s.toml"),
        ("SYMBOLON_MASTER_KEYS", MASTER_KEY),
        ("SYMBOLON_EDGE_ISSUER_TOKEN_FILE", "token"),
        ("SYMBOLON_DATABASE_URL", "postgres://symbolon:swordfish@db.example/symbolon"),
    ];
    let printed = run(dir.path(), &["config", "print", "--for", "dev"], &env, "").await.data();
    for line in [
        "log = warn  # SYMBOLON_LOG, file s.toml",
        "master_keys = [redacted]  # SYMBOLON_MASTER_KEYS, environment SYMBOLON_MASTER_KEYS",
        "edge.verifier_token = [redacted]  # SYMBOLON_EDGE_VERIFIER_TOKEN, file s.toml",
        "edge.issuer_token = [redacted]  # SYMBOLON_EDGE_ISSUER_TOKEN, environment SYMBOLON_EDGE_ISSUER_TOKEN_FILE",
        "session.leeway = 30s  # SYMBOLON_SESSION_LEEWAY, default",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is missing in: {printed}");
    }
    assert!(printed.contains("database_url = postgres://[redacted]"), "{printed}");
    assert!(!printed.contains("swordfish") && !printed.contains(&MASTER_KEY[2..]), "{printed}");
}

/// R-OPS-04
#[tokio::test]
async fn migrate_prints_without_doing_and_does_it_once() {
    let dir = folder();
    let migrate = async |what: &str| run(dir.path(), &["migrate", what], &[], "").await;
    let sql = migrate("print").await.data();
    for table in ["sessions", "issue_requests", "signing_keys", "master_keys", "issuer"] {
        assert!(sql.contains(&format!("CREATE TABLE IF NOT EXISTS \"{table}\"")), "{sql}");
    }
    let missing = migrate("status").await.complaint();
    assert!(missing.contains("symbolon-data/symbolon.db") && missing.contains("`symbolon migrate up`"), "{missing}");
    assert!(!dir.path().join("symbolon-data").exists());

    let took = migrate("up").await.data();
    assert_eq!(took, "took m20261124_000001_initial\n");
    assert_eq!(migrate("status").await.data(), "current\n");
    assert_eq!(migrate("up").await.data(), "nothing to do\n");
    let raw = crate::support::raw(&dir.path().join("symbolon-data/symbolon.db")).await;
    sea_orm::ConnectionTrait::execute_unprepared(&raw, "DELETE FROM seaql_migrations").await.unwrap();
    raw.close().await.unwrap();
    let behind = migrate("status").await.data();
    assert_eq!(behind, "behind: `symbolon migrate up` takes m20261124_000001_initial\n");
}

/// R-SES-03
#[tokio::test]
async fn sessions_lists_explains_and_revokes_through_a_running_service() {
    let dir = folder();
    let server = Process::dev(dir.path(), &[]).await;
    let url = format!("http://{}", server.grpc);
    let sessions = async |arguments: &[&str]| {
        run(dir.path(), &[&["sessions"], arguments, &["--server", &url]].concat(), &[], "").await
    };
    let mut client = server.client().await;
    let mut ids = Vec::new();
    for label in ["Zoë's 笔记本", "line\u{2028}break"] {
        let device = Some(Device { label: label.to_owned(), ..Device::default() });
        let asked = IssueTokensRequest { device, ..sign_in("alice") };
        let issued: IssueTokensResponse = client.issue_tokens(asked).await.unwrap().into_inner();
        client.refresh_tokens(redeem(&issued.tokens.unwrap().refresh_token)).await.unwrap();
        ids.push(issued.session.unwrap().session_id);
    }

    let list = sessions(&["list", "alice", "--output", "json"]).await.data();
    let list: Value = serde_json::from_str(&list).unwrap();
    let listed: Vec<_> = list["sessions"].as_array().unwrap().iter().map(|session| &session["sessionId"]).collect();
    assert_eq!(listed, [&json!(ids[1]), &json!(ids[0])]);
    assert_eq!(list["sessions"][1]["device"]["label"], "Zoë's 笔记本");
    let table = sessions(&["list", "alice"]).await.data();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("SESSION ") && lines[2].ends_with("Zoë's 笔记本"), "{table}");
    assert_eq!(lines[2].split("  ").next(), Some(ids[0].as_str()));

    let guarded = sessions(&["revoke", &ids[0], "--subject", "bob"]).await.data();
    assert_eq!(guarded, "there was nothing left to end\n");
    assert_eq!(sessions(&["revoke", &ids[0], "--reason", "signed-out"]).await.data(), "revoked\n");
    assert_eq!(sessions(&["revoke", &ids[0]]).await.data(), "there was nothing left to end\n");
    let explained = sessions(&["explain", &ids[0]]).await.data();
    assert!(explained.starts_with("ended at ") && explained.contains("the user signed out"), "{explained}");
    let explained = sessions(&["explain", &ids[0], "--output", "json"]).await.data();
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["session"]["revokeReason"], "REVOKE_REASON_SIGNED_OUT");
    assert_eq!(explained["decisions"][1]["kind"], "DECISION_KIND_REVOKED");

    assert_eq!(sessions(&["list", "alice"]).await.data().lines().count(), 2);
    assert_eq!(sessions(&["list", "alice", "--include-ended"]).await.data().lines().count(), 3);
    assert_eq!(sessions(&["list", "alice", "--client", "ios"]).await.data().lines().count(), 1);
    let unknown = sessions(&["explain", "no-session"]).await.complaint();
    assert!(unknown.contains("(FIELD_INVALID)") && unknown.contains("\n  session_id "), "{unknown}");
    let gone = "00000000-0000-8000-8000-000000000000";
    assert!(sessions(&["explain", gone]).await.complaint().contains("there is no such session (SESSION_NOT_FOUND)"));
    server.kill().await;
    let unreachable = sessions(&["list", "alice"]).await.complaint();
    assert!(unreachable.contains(&url) && unreachable.contains("not reached"), "{unreachable}");
}

/// R-OPS-07
#[tokio::test]
async fn a_token_is_inspected_from_stdin_only() {
    let dir = folder();
    let server = Process::dev(dir.path(), &[]).await;
    let issued = server.client().await.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    let (tokens, session_id) = (issued.tokens.unwrap(), issued.session.unwrap().session_id);
    let inspect = async |stdin: &str| run(dir.path(), &["token", "inspect"], &[], stdin).await;

    let refresh: Value = serde_json::from_str(&inspect(&format!(" {}\n", tokens.refresh_token)).await.data()).unwrap();
    let expected = json!({"kind": "refresh token", "verified": false, "master_key_id": 1, "session_id": session_id, "generation": 1});
    assert_eq!(refresh, expected);
    let access: Value = serde_json::from_str(&inspect(&tokens.access_token).await.data()).unwrap();
    assert_eq!((&access["claims"]["sub"], &access["header"]["typ"]), (&json!("alice"), &json!("at+jwt")));
    for rubbish in ["", "sr1_", "a.b.c", "hunter2", "\u{0}"] {
        assert_eq!(inspect(rubbish).await.complaint(), "error: stdin holds no token of ours\n");
    }
    for token in [tokens.refresh_token.as_str(), &tokens.access_token, "--token=hunter2hunter2"] {
        let told = run(dir.path(), &["token", "inspect", token], &[], "").await.complaint();
        assert!(told.contains("stdin") && !told.contains(token), "{told}");
    }
}

/// R-OPS-07
#[tokio::test]
async fn every_command_explains_itself() {
    let dir = folder();
    let mut waiting = vec![Vec::new()];
    let mut seen = Vec::new();
    while let Some(command) = waiting.pop() {
        let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(dir.path(), &arguments, &[], "").await.data();
        assert!(help.contains("Usage: symbolon"), "{help}");
        let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
        for line in listed.lines() {
            let (name, means) = line.trim().split_once(' ').unwrap_or_else(|| panic!("{line:?} says nothing"));
            assert!(means.trim().len() > 5, "{line:?} says nothing");
            if name != "help" {
                waiting.push([command.clone(), vec![name.to_owned()]].concat());
            }
        }
        seen.push(command.join(" "));
    }
    for command in ["dev", "serve", "migrate up", "sessions explain", "token inspect", "config check"] {
        assert!(seen.iter().any(|seen| seen == command), "{command} is not told of: {seen:?}");
    }
    assert_eq!(
        run(dir.path(), &["--version"], &[], "").await.data(),
        format!("symbolon {}\n", env!("CARGO_PKG_VERSION"))
    );
    let wrong = run(dir.path(), &["sesions"], &[], "").await;
    assert!(wrong.code == 2 && wrong.stdout.is_empty() && wrong.stderr.contains("'sessions'"), "{}", wrong.stderr);
}

/// R-OPS-07
#[tokio::test]
async fn dev_prints_its_banner_to_stdout_and_logs_to_stderr() {
    let dir = folder();
    let [out, err] = ["out", "err"].map(|name| dir.path().join(name));
    let mut command = Process::command(dir.path());
    Process::say_dev(&mut command);
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    for _ in 0..2000 {
        if std::fs::read_to_string(&out).unwrap().contains("describe") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill().await.unwrap();
    let [out, err] = [out, err].map(|path| std::fs::read_to_string(path).unwrap());
    assert!(out.starts_with("Symbolon ") && out.contains("grpcurl"), "{out}");
    assert!(!out.contains(" INFO "), "{out}");
    assert!(err.contains(" INFO ") && !err.contains("grpcurl"), "{err}");
}
