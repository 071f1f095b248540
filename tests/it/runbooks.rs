//! The runbooks keep their word: every command of every page is run as it stands there, against a real server on a real
//! database, and prints what stands there.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::console::{Block, Step, blocks, compare};
use crate::support::{Postgres, Shell, tools};

/// What the pages call `systemctl` and `journalctl`: the one service there is, in the folder its settings are in.
const SYSTEMCTL: &str = r#"#!/bin/bash
cd "$SERVICE_HOME"
is_up() { [ -f pid ] && kill -0 "$(cat pid)" 2>/dev/null; }
stop() { is_up || return 0; kill "$(cat pid)"; for _ in {1..200}; do is_up || return 0; sleep 0.1; done; return 1; }
start() {
  set -a; . ./symbolon.env; set +a
  symbolon serve >>log 2>&1 </dev/null &
  echo $! >pid
  for _ in {1..200}; do
    is_up || { tail -1 log; rm pid; return 1; }
    [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$SYMBOLON_OPS_LISTEN/readyz")" = 200 ] && return
    sleep 0.1
  done
}
case $1 in start) start ;; stop) stop ;; restart) stop && start ;; esac
"#;

const JOURNALCTL: &str = "#!/bin/bash\ncat \"$SERVICE_HOME/log\"\n";

/// A service as the pages assume one: its settings, its keys, and who may call it.
const SETUP: &str = r#"
symbolon caller new backend --permissions issue,refresh,revoke --token-file backend.token >callers.toml &&
symbolon caller new admin --permissions list,revoke,keys,erase --token-file admin.token >>callers.toml &&
(umask 077; echo "1:$(head -c 32 /dev/urandom | base64)" >master-keys) &&
set -a && . ./symbolon.env && set +a && symbolon migrate up >/dev/null && systemctl start symbolon
call() { grpcurl -plaintext -H "Authorization: Bearer $(cat backend.token)" -d "$2" localhost:50051 "symbolon.auth.v1.AuthService/$1"; }
token() { grep -o 'sr1_[^"]*'; }
"#;

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let mut pages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md") && !page.ends_with("README.md"));
    pages.sort();
    pages
}

fn name(page: &Path) -> String {
    page.file_stem().unwrap().to_string_lossy().into_owned()
}

#[test]
fn every_page_is_in_the_index_has_its_parts_and_says_what_to_type() {
    let index = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks/README.md");
    let index = std::fs::read_to_string(index).unwrap();
    let pages = pages();
    assert!(pages.len() >= 8, "{pages:?}");
    let tested = include_str!("runbooks.rs");
    for page in &pages {
        let (name, text) = (name(page), std::fs::read_to_string(page).unwrap());
        assert!(index.contains(&format!("({name}.md)")), "{name} is not in the index");
        assert!(tested.contains(&format!("(\"{name}\")")), "{name} is not run by any test");
        for part in ["## When", "## Steps", "## It worked if", "## What can go wrong"] {
            assert!(text.contains(&format!("\n{part}\n")), "{name} has no {part}");
        }
        let visible = text.split("<!--").map(|part| part.split_once("-->").map_or(part, |(_, shown)| shown));
        assert!(!blocks(&visible.collect::<String>()).is_empty(), "{name} has nothing to type");
    }
}

async fn assert_page(name: &str) {
    let page = pages().into_iter().find(|page| self::name(page) == name).unwrap();
    let text = std::fs::read_to_string(page).unwrap();
    let blocks = blocks(&text);
    let steps: usize = blocks.iter().map(|block| block.steps.len()).sum();
    let ran = run(&blocks).await.unwrap_or_else(|failure| panic!("{name}.md {failure}"));
    assert_eq!(ran, steps);
}

/// Runs a page in a shell in the folder of a service of its own.
async fn run(blocks: &[Block]) -> Result<usize, String> {
    let dir = tempfile::tempdir().unwrap();
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [grpc, ops] = held.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
    drop(held);
    let postgres = Postgres::shared().database().await;
    let is_postgres = blocks.iter().any(|block| block.words.iter().any(|word| word == "database=postgres"));
    let database = if is_postgres { &postgres } else { "sqlite:symbolon.db" };
    let settings = format!(
        "SYMBOLON_ISSUER=https://auth.example.com\nSYMBOLON_DATABASE_URL={database}\nSYMBOLON_MASTER_KEYS_FILE=master-keys\n\
         SYMBOLON_CALLERS_FILE=callers.toml\nSYMBOLON_GRPC_LISTEN={grpc}\nSYMBOLON_OPS_LISTEN={ops}\n"
    );
    std::fs::write(dir.path().join("symbolon.env"), settings).unwrap();
    let mut shell = Shell::start(dir.path(), &programs(dir.path()));
    let real = [
        ("localhost:50051", grpc.as_str()),
        ("localhost:9090", &ops),
        ("~/symbolon", env!("CARGO_MANIFEST_DIR")),
        ("postgres://symbolon@localhost/symbolon", &postgres),
    ];
    let real = |text: &str| real.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown, real));
    let begun = shell.run("export SERVICE_HOME=$PWD").await?;
    assert_eq!(begun.trim(), "");
    let printed = shell.run(&real(SETUP)).await?;
    assert_eq!(printed.trim(), "", "the service does not start");
    let mut ran = 0;
    for Step { line, command, expected } in blocks.iter().flat_map(|block| &block.steps) {
        let command = real(command);
        let printed = shell.run(&command).await?;
        let printed = printed.replace(&postgres, "postgres://symbolon@localhost/symbolon");
        let shown = postgres.replace("postgres@", "");
        let printed = printed.replace(&shown, "postgres://localhost/symbolon");
        compare(expected, &printed).map_err(|differs| format!("line {line}: {command}\n{differs}"))?;
        ran += 1;
    }
    shell.run("systemctl stop symbolon").await?;
    Ok(ran)
}

fn programs(dir: &Path) -> PathBuf {
    let bin = dir.join(".bin");
    std::fs::create_dir(&bin).unwrap();
    let link = |from: PathBuf, name: &str| std::os::unix::fs::symlink(from, bin.join(name)).unwrap();
    link(env!("CARGO_BIN_EXE_symbolon").into(), "symbolon");
    link(tools().join("python/bin/grpcurl"), "grpcurl");
    for tool in ["pg_dump", "pg_restore", "psql", "createdb"] {
        if Postgres::bin().join(tool).exists() {
            link(Postgres::bin().join(tool), tool);
        }
    }
    // By its own name: a link to it would not find what is installed beside it.
    let python = format!("#!/bin/sh\nexec '{}' \"$@\"\n", tools().join("python/bin/python3").display());
    for (name, script) in [("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL), ("python3", &python)] {
        std::fs::write(bin.join(name), script).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

#[tokio::test]
async fn backup() {
    assert_page("backup").await;
}

#[tokio::test]
async fn restore() {
    assert_page("restore").await;
}

#[tokio::test]
async fn master_keys() {
    assert_page("master-keys").await;
}

#[tokio::test]
async fn compromised_key() {
    assert_page("compromised-key").await;
}

#[tokio::test]
async fn lost_master_key() {
    assert_page("lost-master-key").await;
}

#[tokio::test]
async fn signed_out() {
    assert_page("signed-out").await;
}

#[tokio::test]
async fn hand_written_table() {
    assert_page("hand-written-table").await;
}

#[tokio::test]
async fn erase_subject() {
    assert_page("erase-subject").await;
}

#[tokio::test]
async fn sqlite_to_postgres() {
    assert_page("sqlite-to-postgres").await;
}
