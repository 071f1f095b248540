//! The README keeps its word: every command of its console blocks is run as it stands there, and prints what stands
//! there.

use std::path::Path;

use crate::support::console::{Block, Step, blocks, compare};
use crate::support::{Process, Shell, readme_path, tools};

/// So many commands stand there at least: who deletes them all has not made them right.
const AT_LEAST: usize = 20;

#[tokio::test]
async fn every_command_of_the_readme_prints_what_the_readme_says() {
    let readme = std::fs::read_to_string(readme_path()).unwrap();
    let ran = run(&blocks(&readme)).await.unwrap_or_else(|failure| panic!("README.md {failure}"));
    assert!(ran >= AT_LEAST, "only {ran} commands ran");
}

/// Runs blocks in one shell against one `symbolon dev`, which a block's `server=NAME=VALUE` restarts with that setting
/// on the same data. Answers how many commands ran.
async fn run(blocks: &[Block]) -> Result<usize, String> {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_symbolon"), bin.join("symbolon")).unwrap();
    std::os::unix::fs::symlink(tools().join("python/bin/grpcurl"), bin.join("grpcurl")).unwrap();

    // The ports of what the README starts by itself.
    let named = ["50443", "9443"];
    let held = named.map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let free = held.each_ref().map(|listener| listener.local_addr().unwrap().port().to_string());
    drop(held);

    let mut settings = settings(blocks.first());
    let mut server = start(dir.path(), &settings).await;
    let mut shell = Shell::start(dir.path(), &bin);
    let mut ran = 0;
    for block in blocks {
        let asked = self::settings(Some(block));
        if !asked.is_empty() && asked != settings {
            server.kill().await;
            settings = asked;
            server = start(dir.path(), &settings).await;
        }
        for Step { line, command, expected } in &block.steps {
            let command = command.replace("cargo run --release -- ", "symbolon ");
            let command = command.replace("localhost:50051", &server.grpc).replace("localhost:9090", &server.ops);
            let command = named.iter().zip(&free).fold(command, |command, (named, free)| command.replace(named, free));
            let command = command.replace("localhost:8080", &server.edge);
            let printed = shell.run(&command).await?;
            let printed = printed.replace(&server.grpc, "localhost:50051").replace(&server.ops, "localhost:9090");
            compare(expected, &printed).map_err(|differs| format!("line {line}: {command}\n{differs}"))?;
            ran += 1;
        }
    }
    Ok(ran)
}

fn settings(block: Option<&Block>) -> Vec<(String, String)> {
    let words = block.into_iter().flat_map(|block| &block.words);
    let assignments = words.filter_map(|word| word.strip_prefix("server="));
    assignments.map(|it| it.split_once('=').unwrap()).map(|(name, value)| (name.into(), value.into())).collect()
}

async fn start(dir: &Path, settings: &[(String, String)]) -> Process {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Process::dev(dir, &settings).await
}

/// A README of these lines.
fn markdown(lines: &[&str]) -> String {
    lines.join("\n")
}

fn fits(expected: &[&str], printed: &str) -> bool {
    let expected: Vec<_> = expected.iter().map(|line| (*line).to_owned()).collect();
    compare(&expected, printed).is_ok()
}

#[test]
fn console_blocks_are_read_and_others_are_not() {
    let read = blocks(&markdown(&[
        "Text with $ dollars",
        "```sh",
        "$ not run",
        "```",
        "```console server=A=1 other",
        "$ one 'a",
        "> b'",
        "out",
        "> not a continuation",
        "",
        "$ two",
        "```",
        "````console",
        "$ three",
        "```",
        "````",
    ]));
    let step = |line, command: &str, expected: &[&str]| Step {
        line,
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].words, ["server=A=1", "other"]);
    assert_eq!(settings(read.first()), [("A".to_owned(), "1".to_owned())]);
    assert_eq!(read[0].steps, [step(6, "one 'a\nb'", &["out", "> not a continuation", ""]), step(11, "two", &[])]);
    assert_eq!(read[1].steps, [step(14, "three", &["```"])]);
}

#[test]
fn dots_stand_for_anything_within_a_line_and_nothing_else_does() {
    assert!(fits(&["a…c", "…", "x…y…z"], "abbbc\n1\n2\nx-y-z\n"));
    assert!(fits(&["…", "end"], "end\n\n") && fits(&["a", "…"], "a") && fits(&["a…"], "a  \n") && fits(&[], "\n"));
    assert!(fits(&["…", "b", "…", "b"], "b\nb\nb\n") && fits(&["x…yy"], "xyyy"));
    for printed in ["", "a", "abd", "abc\nmore", "\nabc", "xabc"] {
        assert!(!fits(&["a…c"], printed), "{printed:?}");
    }
    assert!(!fits(&["a", "…", "c"], "a\nb\n") && !fits(&[], "a") && !fits(&["aba…aba"], "aba") && !fits(&["a"], ""));
}

#[test]
fn a_difference_is_shown_with_the_line_it_begins_at() {
    let expected = ["one", "two"].map(str::to_owned);
    let told = compare(&expected, "one\nthree\n").unwrap_err();
    assert_eq!(told, "expected:\n    one\n  > two\nprinted:\n    one\n  > three\n");
    assert!(compare(&expected, "one\n").unwrap_err().ends_with("  > (nothing more)\n"));
}

#[tokio::test]
async fn one_shell_runs_all_blocks_and_a_wrong_word_fails() {
    let good = markdown(&[
        "```console",
        "$ A=$(symbolon --version)",
        "$ echo \"$A\"; echo error >&2; printf end",
        "symbolon …",
        "error",
        "end",
        "```",
        "```console server=SYMBOLON_SESSION_BURST=2s",
        "$ cargo run --release -- sessions list alice --server http://localhost:50051 --output json; echo \"${A%% *}\"",
        "…",
        "symbolon",
        "```",
    ]);
    assert_eq!(run(&blocks(&good)).await, Ok(3));
    let failure = run(&blocks(&good.replace("error\nend", "error\nEND"))).await.unwrap_err();
    assert!(failure.starts_with("line 3: echo") && failure.contains("> END") && failure.contains("> end"), "{failure}");
}
