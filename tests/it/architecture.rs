//! Who may look at whom: the house as its plan says it is, read from the source.

use std::path::{Path, PathBuf};

/// One file of `src/`: its path from there, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// What the compiler sees, without comments and without the tests at the end, each line with its number.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests_are_elsewhere = self.is_test();
        let lines = self.text.lines().enumerate();
        lines
            .take_while(move |(_, line)| tests_are_elsewhere || !line.starts_with("#[cfg(test)]"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number + 1, line))
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("tests/")
    }

    /// Whether it is one of these files, or in one of these folders.
    fn is_in(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| self.path == *room || (room.ends_with('/') && self.path.starts_with(room)))
    }
}

fn sources() -> Vec<Source> {
    fn walk(root: &Path, dir: PathBuf, sources: &mut Vec<Source>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, path, sources);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().display().to_string();
                sources.push(Source { path, text });
            }
        }
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    walk(&root, root.clone(), &mut sources);
    assert!(sources.len() > 40, "where is the source?");
    sources
}

/// Whether a line names this: the word itself, not a longer one around it.
fn names(line: &str, word: &str) -> bool {
    let part_of_a_word = |character: Option<char>| character.is_some_and(|it| it.is_alphanumeric() || it == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        !part_of_a_word(before.chars().next_back()) && !part_of_a_word(after.chars().next())
    })
}

/// Asserts that no code in the files `looked_at` names any of `words`.
fn assert_absent(words: &[&str], looked_at: impl Fn(&Source) -> bool) {
    let sources: Vec<_> = sources().into_iter().filter(|source| !source.is_test() && looked_at(source)).collect();
    assert!(!sources.is_empty());
    let mut found = Vec::new();
    for source in &sources {
        for (number, line) in source.code() {
            for word in words.iter().filter(|word| names(line, word)) {
                found.push(format!("src/{}:{number} names {word}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

const PURE: [&str; 6] = ["token/", "keys/", "session/", "time.rs", "token.rs", "session.rs"];

#[test]
fn the_pure_rooms_know_no_io_no_clock_and_no_transport() {
    let io = ["sea_orm", "tokio", "tonic", "async", "await", "std::fs", "std::net", "std::env", "std::io"];
    let rooms = ["crate::store", "crate::service", "crate::rpc", "crate::pb", "crate::clock", "crate::audit"];
    let time = ["SystemTime", "Instant", "crate::ops", "metrics", "tracing"];
    assert_absent(&[io.as_slice(), &rooms, &time].concat(), |source| source.is_in(&PURE));
}

#[test]
fn the_use_cases_know_no_grpc_and_no_tables() {
    let words = ["tonic", "tonic_types", "prost", "prost_types", "crate::pb", "crate::rpc", "sea_orm", "axum"];
    assert_absent(&words, |source| source.is_in(&["service/", "audit.rs"]));
}

#[test]
fn the_store_knows_no_use_case_and_no_transport() {
    let words = ["crate::service", "crate::rpc", "crate::pb", "crate::audit", "crate::clock", "tonic"];
    assert_absent(&words, |source| source.is_in(&["store/"]));
}

#[test]
fn the_transport_reaches_the_store_through_the_use_cases_only() {
    assert_absent(&["crate::store", "sea_orm"], |source| source.is_in(&["rpc/"]));
}

#[test]
fn the_edge_knows_the_contract_and_no_room_behind_it() {
    let rooms = ["crate::rpc", "crate::service", "crate::store", "crate::session", "crate::token", "crate::keys"];
    assert_absent(&[rooms.as_slice(), &["crate::audit", "sea_orm"]].concat(), |source| source.is_in(&["edge/"]));
    // And nobody looks at it but those who build and watch it.
    assert_absent(&["crate::edge"], |source| !source.is_in(&["edge/", "cli/", "ops.rs"]));
}

#[test]
fn only_the_store_knows_sea_orm() {
    assert_absent(&["sea_orm", "sea_query", "sqlx"], |source| !source.is_in(&["store/"]));
}

#[test]
fn nothing_looks_at_the_composition_root_or_the_configuration() {
    assert_absent(&["crate::cli"], |source| !source.is_in(&["cli/"]));
    assert_absent(&["crate::config"], |source| !source.is_in(&["cli/", "config/", "config.rs"]));
    // What only `dev` has is in nobody else's way.
    assert_absent(&["dev::"], |source| !source.is_in(&["cli/mod.rs", "cli/dev.rs", "cli/dev/"]));
    // And the configuration looks at nobody.
    let rooms = ["crate::cli", "crate::store", "crate::service", "crate::rpc", "crate::keys", "crate::session"];
    assert_absent(&rooms, |source| source.is_in(&["config/", "config.rs"]));
}

#[test]
fn tls_knows_files_and_certificates_and_nobody_else() {
    let rooms = ["crate::config", "crate::rpc", "crate::service", "crate::store", "crate::clock", "tonic", "tokio"];
    assert_absent(&rooms, |source| source.is_in(&["tls.rs"]));
}

/// Two would be one too many to trust, to build and to keep up to date.
#[test]
fn there_is_one_provider_of_cryptography_for_tls() {
    let lock = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let locked = |name: &str| lock.contains(&format!("name = \"{name}\"\n"));
    assert!(locked("ring") && locked("rustls"));
    for other in ["aws-lc-rs", "aws-lc-sys", "aws-lc-fips-sys", "openssl", "openssl-sys", "native-tls"] {
        assert!(!locked(other), "{other} is in Cargo.lock");
    }
}

#[test]
fn only_traces_know_opentelemetry() {
    let words = ["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "tracing_opentelemetry"];
    assert_absent(&words, |source| !source.is_in(&["trace.rs", "telemetry.rs", "telemetry/"]));
}

#[test]
fn the_generated_code_is_included_once() {
    assert_absent(&["include_proto", "OUT_DIR"], |source| !source.is_in(&["pb.rs"]));
}

#[test]
fn time_and_dice_come_from_the_ambient_world_only() {
    let clocks = ["SystemTime::now", "Utc::now", "Instant::now", "OffsetDateTime::now_utc", "now_v7", "now_utc"];
    assert_absent(&clocks, |source| !source.is_in(&["clock.rs"]));
    let dice = ["getrandom", "thread_rng", "OsRng", "SysRng", "rand", "new_v4", "from_entropy"];
    assert_absent(&dice, |source| !source.is_in(&["entropy.rs"]));
}

#[test]
fn every_module_says_first_what_it_is() {
    for source in sources().iter().filter(|source| !source.is_test() && source.path != "main.rs") {
        assert!(source.text.starts_with("//! "), "src/{} does not open with //!", source.path);
    }
}

#[test]
fn no_file_is_longer_than_one_concept() {
    const MOST: usize = 300;
    let long = |source: &&Source| !source.is_test() && source.text.lines().count() > MOST;
    for source in sources().iter().filter(long) {
        let head: Vec<_> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let why = head.iter().any(|line| line.contains("long because"));
        assert!(why, "src/{} has more than {MOST} lines and does not say that it is `long because` …", source.path);
    }
}

#[test]
fn these_walls_are_seen_when_they_are_broken() {
    assert!(names("use sea_orm::DbErr;", "sea_orm") && names("    crate::store::open();", "crate::store"));
    assert!(names("async fn x()", "async") && names("x.await?", "await"));
    assert!(!names("use sea_orm_migration::x;", "sea_orm") && !names("let operand = 1;", "rand"));
    assert!(!names("use crate::store_room;", "crate::store"));
    let source =
        Source { path: "x.rs".to_owned(), text: "//! tokio\nuse a;\n// tokio\n#[cfg(test)]\nuse tokio;\n".to_owned() };
    assert_eq!(source.code().collect::<Vec<_>>(), [(2, "use a;")]);
}
