//! `symbolon caller new`: a secret shown once, an entry to paste, and both fit together.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use crate::support::{Process, hash, sign_in};

async fn caller_new(dir: &Path, arguments: &[&str]) -> Output {
    Process::command(dir).args(["caller", "new"]).args(arguments).output().await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn the_secret_is_shown_once_beside_an_entry_that_holds_its_hash_and_lets_it_in() {
    let dir = tempfile::tempdir().unwrap();
    let output = caller_new(dir.path(), &["backend"]).await;
    assert!(output.status.success());
    let (entry, said) = (text(&output.stdout), text(&output.stderr));
    let secret = said.lines().find(|line| line.starts_with("sc1_")).unwrap();
    assert_eq!((said.matches("sc1_").count(), entry.contains(secret)), (1, false));
    assert_eq!(secret.len(), 4 + 43);
    assert!(entry.contains(&hash(secret)), "{entry}");
    // Twice is two.
    let other = caller_new(dir.path(), &["other", "--permissions", "watch,keys", "--token-file", "other.token"]).await;
    assert!(other.status.success() && other.stderr.is_empty());
    let kept = std::fs::read_to_string(dir.path().join("other.token")).unwrap();
    assert!(kept.trim() != secret && text(&other.stdout).contains(&hash(kept.trim())));
    assert_eq!(dir.path().join("other.token").metadata().unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(dir.path().join("callers.toml"), [entry, text(&other.stdout)].concat()).unwrap();
    let server = Process::dev(dir.path(), &[("SYMBOLON_CALLERS_FILE", "callers.toml")]).await;
    let issued = server.as_caller(secret).await.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    assert!(issued.tokens.is_some());
    assert!(!server.output().windows(4).any(|window| window == b"sc1_"));
    let refused = server.as_caller(kept.trim()).await.issue_tokens(sign_in("alice")).await.unwrap_err();
    assert_eq!(crate::support::reason(&refused), "CALLER_NOT_PERMITTED");
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_makes_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("there"), "precious").unwrap();
    for (arguments, told) in [
        (&["back end"][..], "expected printable ASCII characters without spaces"),
        (&["backend", "--permissions", "fly"], "invalid value 'fly'"),
        (&["backend", "--token-file", "there"], "--token-file there: File exists"),
        (&["backend", "--token-file", "no/folder"], "--token-file no/folder: No such file"),
        (&["backend", "--san", "a.example", "--token-file", "x"], "cannot be used with"),
    ] {
        let output = caller_new(dir.path(), arguments).await;
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(told) && !said.contains("sc1_"), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("there")).unwrap(), "precious");
}
