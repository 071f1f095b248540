use super::*;
use crate::config::example_toml;

/// The example with every setting in force.
fn uncommented() -> String {
    let lines = example_toml();
    let lines = lines.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_lowercase()) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// R-OPS-07
#[test]
fn the_example_sets_what_has_to_be_set_and_nothing_else() {
    let loaded = toml(&example_toml()).serve();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let set = loaded.printed.iter().filter(|setting| setting.source != Source::Default);
    assert_eq!(set.map(|setting| setting.path).collect::<Vec<_>>(), ["issuer"]);
    // What it says of defaults is so: with every one of them in force, nothing is different from none.
    let plain = env("SYMBOLON_ISSUER", "https://auth.example.com").serve();
    let in_force = everything().serve();
    for (is, should_be) in in_force.printed.iter().zip(&plain.printed) {
        if !should_be.value.starts_with('(') {
            assert_eq!(is.value, should_be.value, "{}", is.path);
        }
    }
}

/// Every setting in force, and the files it names.
fn everything() -> Written {
    let text = uncommented();
    let files = text.lines().filter_map(|line| line.split('"').nth(1)).filter(|value| value.starts_with("/etc/"));
    files.fold(toml(&text), |written, path| {
        let content = match path {
            "/etc/symbolon/clients.toml" => "[clients.web]\naudience = ['api']",
            "/etc/symbolon/callers.toml" => {
                "[callers.bff]\nclients = ['web']\npermissions = ['issue']\nsan = ['a.example']"
            }
            _ => "secret",
        };
        written.file(path, content)
    })
}

/// R-OPS-07
#[test]
fn every_line_of_the_example_is_a_setting_that_is_known_and_of_a_good_form() {
    let loaded = everything().serve();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let unset: Vec<_> = loaded.printed.iter().filter(|setting| setting.source == Source::Default).collect();
    assert!(unset.is_empty(), "{unset:?}");
    // A key nobody knows would have been refused.
    assert!(toml(&uncommented().replace("\nlog =", "\nlogs =")).load(Profile::Serve).is_err());
}

#[test]
fn the_example_says_of_every_setting_what_it_means_and_its_variable() {
    let text = example_toml();
    for setting in written().dev().printed {
        let [env, file] = [setting.env.clone(), format!("{}_FILE", setting.env)];
        assert!(
            text.contains(&format!("# {env}\n")) || text.contains(&format!("# {env};")) || text.contains(&file),
            "{env}"
        );
    }
    assert!(text.contains("\n# filter of the log\n# SYMBOLON_LOG\n#log = \"info\"\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 160), "{text}");
}
