//! `deploy/symbolon.example.toml` is what the program says of its settings, and a configuration as it stands.

use std::path::Path;
use std::process::Command;

use symbolon::config::example_toml;

use crate::support::assert_generated;

const FILE: &str = "deploy/symbolon.example.toml";

/// R-OPS-07
#[test]
fn the_example_configuration_is_up_to_date_and_good_as_it_stands() {
    assert_generated(FILE, &example_toml());
    let mut check = Command::new(env!("CARGO_BIN_EXE_symbolon"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SYMBOLON_")) {
        check.env_remove(name);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let checked = check.args(["config", "check", "--config"]).arg(file).output().unwrap();
    let said = [checked.stdout, checked.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert_eq!(said, "the configuration is good\n");
}
