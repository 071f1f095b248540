//! Audit events on a target of their own: apart from the log, whole when the process ends, and never in a call's way.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Process, redeem, sign_in};

async fn to(dir: &std::path::Path, target: &str) -> Process {
    Process::dev(dir, &[("SYMBOLON_AUDIT_FILE", target)]).await
}

/// R-OBS-02
#[tokio::test]
async fn events_go_to_a_file_that_is_appended_to_and_nobody_elses() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit.jsonl");
    for start in 1..=2 {
        let server = to(dir.path(), "audit.jsonl").await;
        let mut client = server.client().await;
        for _ in 0..100 {
            client.issue_tokens(sign_in("alice")).await.unwrap();
        }
        let (status, said) = server.terminate().await;
        assert!(status.success() && !said.contains("symbolon::audit"), "{said}");
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.matches(r#""event":"issued""#).count(), 100 * start);
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{text}");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_full_disk_fails_no_call_and_is_counted_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let server = to(dir.path(), "/dev/full").await;
    let mut client = server.client().await;
    let token = client.issue_tokens(sign_in("alice")).await.unwrap().into_inner().tokens.unwrap().refresh_token;
    client.refresh_tokens(redeem(&token)).await.unwrap();
    for _ in 0..100 {
        let lost = server.get("/metrics").await;
        let lost = lost.lines().find_map(|line| line.strip_prefix("symbolon_lines_dropped_total{stream=\"audit\"} "));
        if lost.is_some_and(|lost| lost != "0") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nothing is counted:\n{}", server.get("/metrics").await);
}

#[tokio::test]
async fn a_target_that_cannot_be_written_to_is_said_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for target in ["nowhere/audit.jsonl", ".", "fifo"] {
        let mut command = Process::command(dir.path());
        Process::say_dev(&mut command);
        let said = command.env("SYMBOLON_AUDIT_FILE", target).output().await.unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && text.contains("SYMBOLON_AUDIT_FILE"), "{target}: {text}");
    }
}

#[tokio::test]
async fn the_log_is_json_if_asked() {
    let dir = tempfile::tempdir().unwrap();
    let env = [("SYMBOLON_LOG_FORMAT", "json"), ("SYMBOLON_LOG", "info"), ("SYMBOLON_AUDIT_FILE", "stdout")];
    let server = Process::dev(dir.path(), &env).await;
    let (_, said) = server.terminate().await;
    let line = said.lines().find(|line| line.contains("stopping")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"stopping".into()));
}
