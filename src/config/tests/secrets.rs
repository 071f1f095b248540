use super::*;
use crate::config::{DatabaseUrl, Secret};

const SECRETS: [&str; 3] = ["master_keys", "edge.verifier_token", "edge.issuer_token"];

fn variable(path: &str) -> String {
    format!("SYMBOLON_{}", path.replace('.', "_").to_uppercase())
}

fn in_toml(path: &str, suffix: &str, value: &str) -> String {
    match path.split_once('.') {
        None => format!("{path}{suffix} = '{value}'"),
        Some((section, key)) => format!("[{section}]\n{key}{suffix} = '{value}'"),
    }
}

fn shows(loaded: &Loaded) -> String {
    let lines: Vec<String> = loaded.printed.iter().map(ToString::to_string).collect();
    format!("{loaded:?} {loaded:#?} {}", lines.join("\n"))
}

#[test]
fn a_secret_can_stand_in_a_file_of_its_own_and_is_trimmed() {
    let written = env("SYMBOLON_MASTER_KEYS_FILE", "/run/keys").file("/run/keys", "  1:canary \n");
    let loaded = written.dev();
    assert_eq!(loaded.config.master_keys.as_ref().map(Secret::expose), Some("1:canary"));
    let source = Source::Environment("SYMBOLON_MASTER_KEYS_FILE".into());
    assert_eq!(printed(&loaded, "master_keys"), ("[redacted]".into(), source));

    let written = toml("[edge]\nverifier_token_file = 't'\nissuer_token_file = 't'").file("t", "canary");
    let edge = written.dev().config.edge;
    assert_eq!(edge.verifier.token.as_ref().map(Secret::expose), Some("canary"));
    assert_eq!(edge.issuer.token.as_ref().map(Secret::expose), Some("canary"));
}

#[test]
fn no_secret_is_shown_in_print_or_debug() {
    for path in SECRETS {
        let file = format!("{path}_file");
        let ways = [
            env(&variable(path), "1:canary"),
            toml(&in_toml(path, "", "1:canary")),
            env(&variable(&file), "f").file("f", "1:canary"),
            toml(&in_toml(path, "_file", "f")).file("f", "1:canary"),
        ];
        for written in ways {
            let loaded = written.dev();
            assert_eq!(printed(&loaded, path).0, "[redacted]");
            assert!(!shows(&loaded).contains("canary"), "{path}");
        }
    }
}

#[test]
fn both_forms_of_a_secret_at_once_are_a_fault() {
    for path in SECRETS {
        let file = format!("{path}_file");
        let fault = env(&variable(path), "1:canary").env(&variable(&file), "f").file("f", "1:canary").fault();
        assert!(fault.contains(&format!("`{}` are both set", variable(&file))), "{fault}");
        assert!(!fault.contains("canary"));
    }
    let fault = toml("master_keys = '1:canary'\nmaster_keys_file = 'f'").fault();
    assert!(fault.ends_with("`master_keys` and `master_keys_file` are both set; keep one"), "{fault}");
}

#[test]
fn the_environment_wins_over_the_file_whichever_form_it_has() {
    let written = toml("master_keys_file = '/no/such'").env("SYMBOLON_MASTER_KEYS", "1:env");
    assert_eq!(written.dev().config.master_keys.as_ref().map(Secret::expose), Some("1:env"));
}

#[test]
fn a_secret_file_that_is_missing_or_empty_is_a_fault_that_names_file_and_key() {
    let fault = env("SYMBOLON_MASTER_KEYS_FILE", "/no/keys").fault();
    assert!(fault.starts_with("master_keys_file (environment SYMBOLON_MASTER_KEYS_FILE): cannot read /no/keys: "));
    let fault = env("SYMBOLON_EDGE_ISSUER_TOKEN_FILE", "/empty").file("/empty", " \n").fault();
    assert!(fault.starts_with("edge.issuer_token_file") && fault.contains("/empty"), "{fault}");
}

#[test]
fn no_fault_repeats_a_value() {
    let mut written = env("SYMBOLON_MASTER_KEYS_FILE", "1:canary");
    for setting in open_variables() {
        written = written.env(&setting, "canary :/?#[]@");
    }
    let faults = written.env("SYMBOLON_CONFIG_FILE", "c").file("c", "x").faults().join("\n");
    let lines = faults.lines().count();
    assert!(lines > 25, "{lines}: {faults}");
    assert!(!faults.contains("canary"), "{faults}");
}

/// Variables of settings that are neither secret nor free text nor a path.
fn open_variables() -> Vec<String> {
    let free = |env: &str| ["_FILE", "_LOG", "_DIR", "_KEYS", "_TOKEN"].iter().any(|end| env.ends_with(end));
    written().dev().printed.into_iter().map(|setting| setting.env).filter(|env| !free(env)).collect()
}

#[test]
fn no_broken_line_of_the_file_is_shown() {
    let broken = [
        "master_keys = 1:canary",
        "master_keys = canary",
        "master_keys = '1:canary",
        "master_keys = \"1:canary\\q\"",
        "master_keys = '1:a' canary",
        "master_keys = '''canary",
        "master_keys = ['canary'",
        "master_keys = {canary",
        "master_keys = 'a'\nmaster_keys = 'canary'",
        "[edge]\nverifier_token = 0canary",
        "[edge]\nverifier_token = 12canary",
        "[edge]\nverifier_token = \"\u{1}canary\"",
    ];
    for text in broken {
        let faults = toml(text).faults().join("\n");
        assert!(!faults.contains("canary"), "{faults}");
    }
}

#[test]
fn the_password_of_a_database_url_is_not_shown() {
    let urls = [
        ("postgres://ada:canary@db/x", "postgres://[redacted]"),
        ("postgresql://ada:can@ary/canary?canary@db/x", "postgresql://[redacted]"),
        ("postgres://db/x?user=ada&password=hun@canary", "postgres://[redacted]"),
        ("postgres://ada@db/x?p%61ssword=canary", "postgres://[redacted]"),
        ("sqlite:/var/lib/symbolon.db", "sqlite:/var/lib/symbolon.db"),
    ];
    for (url, shown) in urls {
        let loaded = env("SYMBOLON_DATABASE_URL", url).dev();
        assert_eq!(loaded.config.database_url.as_deref(), Some(url));
        assert_eq!(printed(&loaded, "database_url").0, shown);
        assert!(!shows(&loaded).contains("canary"));
        assert_eq!(format!("{:?}", DatabaseUrl::new(url)), shown);
    }
    let fault = env("SYMBOLON_DATABASE_URL", "mysql://ada:canary@db/x").fault();
    assert!(fault.contains("postgresql://") && !fault.contains("canary"), "{fault}");
}
