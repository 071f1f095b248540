//! `symbolon keys` beside a running service, and what the audit says of what it did.

use serde_json::Value;
use tokio::process::Command;

use crate::support::Process;

/// What a command says, and whether it succeeded.
async fn keys(server: &Process, dir: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let url = format!("http://{}", server.grpc);
    let mut command: Command = Process::command(dir);
    let output = command.arg("keys").args(arguments).args(["--server", &url]).output().await.unwrap();
    let said = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(said).unwrap())
}

async fn told(server: &Process, dir: &std::path::Path, arguments: &[&str]) -> String {
    let (succeeded, said) = keys(server, dir, arguments).await;
    assert!(succeeded, "{said}");
    said
}

/// State by key, as the table says it.
fn table(said: &str) -> Vec<(String, String)> {
    let mut lines = said.lines();
    assert!(lines.next().unwrap().starts_with("KEY"), "{said}");
    let cell = |line: &str, at| line.split("  ").filter(|cell| !cell.is_empty()).nth(at).unwrap().trim().to_owned();
    lines.map(|line| (cell(line, 1), cell(line, 0))).collect()
}

/// R-KEY-03, R-KEY-01
#[tokio::test]
async fn keys_are_listed_rotated_and_revoked_and_each_change_is_told_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let [(waits, second), (signs, first)] = table(&told(&server, dir.path(), &["list"]).await).try_into().unwrap();
    assert_eq!((waits.as_str(), signs.as_str()), ("pending", "active"));
    let status = told(&server, dir.path(), &["status"]).await;
    let lines: Vec<_> = status.lines().collect();
    assert!(lines[0].starts_with(&format!("{first} has signed since 20")), "{status}");
    assert!(lines[1].starts_with(&format!("{second} signs from 20")), "{status}");
    assert_eq!(lines[2], "0 more verify what they have signed");

    let asked = told(&server, dir.path(), &["rotate"]).await;
    assert!(asked.starts_with(&format!("{second} signs from 20")), "{asked}");
    let at_once = told(&server, dir.path(), &["rotate", "--skip-publish-ahead"]).await;
    assert!(at_once.starts_with(&format!("{second} has signed since 20")), "{at_once}");
    let revoked = told(&server, dir.path(), &["revoke", &second]).await;
    assert!(revoked.starts_with(&format!("{second} is revoked\n")), "{revoked}");
    let third = revoked.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    // One id in 64 begins with a hyphen.
    for unknown in ["nobody", "-5RBaAdUjXQmYxVJ2nqV4tq3fZkq0nV1a2b3c4d5e6f"] {
        let (succeeded, said) = keys(&server, dir.path(), &["revoke", unknown]).await;
        assert!(!succeeded && said.contains("SIGNING_KEY_NOT_FOUND"), "{said}");
    }

    let listed = table(&told(&server, dir.path(), &["list", "--include-ended"]).await);
    let listed: Vec<_> = listed.iter().map(|(state, key)| (state.as_str(), key.as_str())).collect();
    assert_eq!(listed[1..], [("active", &*third), ("retiring", &*first), ("compromised", &*second)]);
    let json: Value = serde_json::from_str(&told(&server, dir.path(), &["list", "--output", "json"]).await).unwrap();
    let listed = json["keys"].as_array().unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!((&listed[1]["keyId"], &listed[1]["state"]), (&third.clone().into(), &"SIGNING_KEY_STATE_ACTIVE".into()));
    let fourth = listed[0]["keyId"].as_str().unwrap().to_owned();

    let (_, said) = server.terminate().await;
    let changes: Vec<_> = said
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["event"] == "signing_key")
        .map(|event| {
            let of = |member: &str| event[member].as_str().unwrap_or_default().to_owned();
            (of("change"), of("key_id"), of("reason"), of("caller"))
        })
        .collect();
    let change = |change: &str, key: &str, reason: &str, caller: &str| {
        (change.to_owned(), key.to_owned(), reason.to_owned(), caller.to_owned())
    };
    let expected = [
        change("published", &first, "scheduled", ""),
        change("activated", &first, "scheduled", ""),
        change("published", &second, "scheduled", ""),
        change("asked_for", &second, "requested", "local"),
        change("activated", &second, "requested", "local"),
        change("retired", &first, "requested", "local"),
        change("published", &third, "scheduled", ""),
        change("revoked", &second, "compromised", "local"),
        change("activated", &third, "compromised", "local"),
        change("published", &fourth, "scheduled", ""),
    ];
    assert_eq!(changes, expected);
}

#[tokio::test]
async fn rewrapping_on_a_file_waits_until_nobody_else_has_it_and_needs_the_keys() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let rewrap = async |env: &[(&str, &str)]| {
        let mut command = Process::command(dir.path());
        let output = command.args(["keys", "rewrap"]).envs(env.iter().copied()).output().await.unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let told = rewrap(&[]).await;
    assert!(told.contains("there is no master key"), "{told}");
    let own = std::fs::read_to_string(dir.path().join("symbolon-data/master-keys")).unwrap();
    let new = "2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let both = format!("{new},{}", own.trim());
    let told = rewrap(&[("SYMBOLON_MASTER_KEYS", &both)]).await;
    assert!(told.starts_with("error: ") && told.contains("in use"), "{told}");
    server.terminate().await;
    let told = rewrap(&[("SYMBOLON_MASTER_KEYS", new)]).await;
    assert!(told.contains("cannot be opened: it is sealed under master key 1"), "{told}");
    let told = rewrap(&[("SYMBOLON_MASTER_KEYS", &both)]).await;
    assert_eq!(told.lines().filter(|line| line.ends_with("is sealed under master key 2 now")).count(), 2, "{told}");
    Process::dev(dir.path(), &[("SYMBOLON_MASTER_KEYS", new)]).await.terminate().await;
}

#[tokio::test]
async fn only_keys_of_the_master_key_that_is_said_to_be_lost_are_given_up_and_never_of_one_that_is_here() {
    let dir = tempfile::tempdir().unwrap();
    Process::dev(dir.path(), &[]).await.terminate().await;
    let own = std::fs::read_to_string(dir.path().join("symbolon-data/master-keys")).unwrap();
    let new = "2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
    let give_up = async |id: &str, master_keys: &str| {
        let mut command = Process::command(dir.path());
        let output = command.args(["keys", "give-up", id]).env("SYMBOLON_MASTER_KEYS", master_keys).output().await;
        let output = output.unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let told = give_up("1", own.trim()).await;
    assert!(told.starts_with("error: master key 1 is not lost"), "{told}");
    let another = new.replace("2:", "1:");
    for id in ["1", "2"] {
        let told = give_up(id, &another).await;
        assert!(told.starts_with("error: master key 1 is not the key that was used under this id"), "{told}");
    }
    // The one that is not lost is merely not in this shell.
    let told = give_up("3", new).await;
    assert!(told.contains("nothing to do") && told.contains("sealed under other master keys: 1"), "{told}");
    let told = give_up("1", new).await;
    assert_eq!(told.lines().filter(|line| line.ends_with("signs no more: master key 1 is lost")).count(), 2, "{told}");
    for change in ["retired", "gone"] {
        let event = format!(r#""event":"signing_key","change":"{change}""#);
        let event = told.lines().find(|line| line.contains(&event)).unwrap_or_else(|| panic!("{told}"));
        assert!(event.contains(r#""reason":"lost""#), "{event}");
    }
    Process::dev(dir.path(), &[("SYMBOLON_MASTER_KEYS", new)]).await.terminate().await;
}
