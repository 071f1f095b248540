//! The command line as shells and `man` know it.

use std::path::Path;
use std::process::{Command, Stdio};

fn symbolon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_symbolon"));
    command.args(arguments);
    command
}

/// What bash proposes once these words were typed and the last one is begun.
fn proposed(script: &Path, words: &[&str]) -> Vec<String> {
    let typed = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let asked = format!(
        "source {}; COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         _symbolon symbolon \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let answered = Command::new("bash").args(["--noprofile", "--norc", "-c", &asked]).output().unwrap();
    assert!(answered.status.success() && answered.stderr.is_empty(), "{answered:?}");
    String::from_utf8(answered.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_subcommands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("symbolon.bash");
    std::fs::write(&script, symbolon(&["completions", "bash"]).output().unwrap().stdout).unwrap();
    assert_eq!(proposed(&script, &["symbolon", "mig"]), ["migrate"]);
    assert_eq!(proposed(&script, &["symbolon", "migrate", "s"]), ["status"]);
    assert_eq!(proposed(&script, &["symbolon", "serve", "--in"]), ["--insecure"]);
    assert_eq!(proposed(&script, &["symbolon", "xyzzy"]), [""]);
}

#[test]
fn the_completions_of_zsh_and_fish_name_the_subcommands() {
    for shell in ["zsh", "fish"] {
        let script = String::from_utf8(symbolon(&["completions", shell]).output().unwrap().stdout).unwrap();
        for word in ["symbolon", "serve", "migrate", "insecure"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert!(!symbolon(&["completions", "cmd"]).stderr(Stdio::null()).status().unwrap().success());
}

#[test]
fn a_reader_of_completions_that_goes_away_is_no_failure() {
    let mut child = symbolon(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn every_man_page_is_set_without_a_complaint() {
    let dir = tempfile::tempdir().unwrap();
    assert!(symbolon(&["man"]).arg(dir.path()).status().unwrap().success());
    let pages: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let names: Vec<_> = pages.iter().map(|page| page.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["symbolon.1", "symbolon-serve.1", "symbolon-keys-rotate.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let missing = symbolon(&["man", "no/such/folder"]).output().unwrap();
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("error: no/such/folder: "), "{missing:?}");

    let set =
        |page: &Path| Command::new("groff").args(["-Kutf8", "-man", "-ww", "-Tutf8", "-P-cbou"]).arg(page).output();
    // Left out where there is no groff, but not in CI.
    if set(&pages[0]).is_err() && std::env::var_os("CI").is_none() {
        return;
    }
    for page in &pages {
        let set = set(page).unwrap();
        let text = String::from_utf8_lossy(&set.stdout);
        assert!(set.status.success() && set.stderr.is_empty(), "{}: {set:?}", page.display());
        assert!(text.contains("SYNOPSIS") && text.contains("ymbolon"), "{}: {text}", page.display());
    }
}
