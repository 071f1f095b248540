use super::*;
use crate::config::{EdgeMode, Secret, from_process, markdown_table};

#[test]
fn dev_needs_nothing_and_listens_on_localhost() {
    let loaded = written().dev();
    let config = loaded.config;
    assert_eq!(config.grpc.listen, "localhost:50051");
    assert_eq!(config.edge.listen.as_deref(), Some("localhost:8080"));
    assert_eq!(config.ops.listen, "localhost:9090");
    assert_eq!(config.edge.public_url.as_deref(), Some("http://localhost:8080"));
    assert_eq!(config.issuer, "http://localhost:8080");
    assert_eq!(config.data_dir, Path::new("./symbolon-data"));
    assert_eq!(config.grpc.reflection, None);
    assert_eq!(config.keys.rotate_every, seconds(30 * 86_400));
    assert_eq!(config.keys.publish_ahead, seconds(86_400));
    assert_eq!(config.edge.mode, EdgeMode::Token);
    assert_eq!((config.edge.base_path.as_str(), config.edge.cookie_path.as_str()), ("/auth", "/"));
    assert_eq!((config.edge.client_id.as_str(), config.edge.audience), ("web", vec!["api".to_owned()]));
    assert_eq!(config.told.log, "info");
    assert!(
        config.database_url.is_none() && config.master_keys.is_none() && config.declarations.callers_file.is_none()
    );
    assert!(config.gateway.listen.is_none() && config.retired_master_key_ids.is_empty());
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn serve_opens_no_edge_unless_asked_and_shows_nothing_it_was_not_told_to() {
    let config = env("SYMBOLON_ISSUER", "https://auth.example.com").serve().config;
    assert_eq!(config.issuer, "https://auth.example.com");
    assert_eq!(config.grpc.listen, "127.0.0.1:50051");
    assert_eq!(config.ops.listen, "127.0.0.1:9090");
    assert_eq!(config.data_dir, Path::new("./symbolon-data"));
    assert_eq!((config.edge.listen, config.edge.public_url, config.grpc.reflection), (None, None, None));
}

#[test]
fn serve_without_issuer_is_told_key_and_variable() {
    let faults = written().load(Profile::Serve).expect_err("no issuer");
    assert_eq!(faults.0.len(), 1);
    assert_eq!((faults.0[0].key.as_str(), &faults.0[0].source), ("issuer", &Source::Default));
    assert!(faults.to_string().contains("`issuer` or SYMBOLON_ISSUER"), "{faults}");
}

#[test]
fn a_misspelt_issuer_variable_is_named_where_the_issuer_is_missed() {
    let faults = env("SYMBOLON_ISUER", "https://auth.example.com").load(Profile::Serve).expect_err("no issuer");
    assert!(faults.to_string().contains("SYMBOLON_ISUER is set"), "{faults}");
}

#[test]
fn public_url_and_issuer_follow_the_port_of_the_edge() {
    let config = env("SYMBOLON_EDGE_LISTEN", "[::1]:8181").dev().config;
    assert_eq!(config.edge.public_url.as_deref(), Some("http://localhost:8181"));
    assert_eq!(config.issuer, "http://localhost:8181");
}

#[test]
fn the_issuer_follows_a_public_url_without_its_slash() {
    let config = env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com/").dev().config;
    assert_eq!(config.edge.public_url.as_deref(), Some("https://auth.example.com/"));
    assert_eq!(config.issuer, "https://auth.example.com");
}

#[test]
fn a_free_port_is_filled_in_once_it_is_known() {
    let mut config = env("SYMBOLON_EDGE_LISTEN", "localhost:0").dev().config;
    config.edge_bound_to(4711);
    assert_eq!(config.edge.public_url.as_deref(), Some("http://localhost:4711"));
    assert_eq!(config.issuer, "http://localhost:4711");

    let mut config =
        env("SYMBOLON_EDGE_LISTEN", "localhost:0").env("SYMBOLON_ISSUER", "https://a.example").dev().config;
    config.edge_bound_to(4711);
    assert_eq!(config.issuer, "https://a.example");
}

#[test]
fn printing_shows_every_setting_with_value_and_origin() {
    let loaded =
        toml("log = 'debug'\n[keys]\nrotate_every = '15days'").env("SYMBOLON_GRPC_LISTEN", "localhost:1").dev();
    assert_eq!(printed(&loaded, "log"), ("debug".into(), Source::File(FILE.into())));
    assert_eq!(printed(&loaded, "keys.rotate_every"), ("15d".into(), Source::File(FILE.into())));
    assert_eq!(
        printed(&loaded, "grpc.listen"),
        ("localhost:1".into(), Source::Environment("SYMBOLON_GRPC_LISTEN".into()))
    );
    assert_eq!(printed(&loaded, "issuer"), ("http://localhost:8080".into(), Source::Default));
    assert_eq!(printed(&loaded, "database_url"), ("(SQLite in the data directory)".into(), Source::Default));
    assert_eq!(printed(&loaded, "edge.scope"), ("(none)".into(), Source::Default));
    let line = loaded.printed.iter().find(|setting| setting.path == "log").map(ToString::to_string);
    assert_eq!(line.as_deref(), Some("log = debug  # SYMBOLON_LOG, file /etc/symbolon.toml"));
}

#[test]
fn the_readme_table_has_a_row_for_every_setting() {
    let table = markdown_table();
    assert!(table.contains("| `SYMBOLON_MASTER_KEYS` or `SYMBOLON_MASTER_KEYS_FILE` |"), "{table}");
    assert!(table.contains("| `SYMBOLON_GRPC_LISTEN` | `grpc.listen` |"), "{table}");
    let rows = table.lines().count();
    assert_eq!(rows, written().dev().printed.len() + 3, "head, rule and the file itself");
    assert!(table.lines().all(|row| row.matches('|').count() == 6), "{table}");
}

#[test]
fn files_are_read_from_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("symbolon.toml");
    let keys = folder.path().join("keys");
    std::fs::write(&keys, "1:from-disk\n").expect("written");
    std::fs::write(&path, format!("master_keys_file = {keys:?}")).expect("written");
    let loaded = from_process(Profile::Dev, Some(&path), |_| Vec::new()).expect("no fault");
    assert_eq!(loaded.config.master_keys.as_ref().map(Secret::expose), Some("1:from-disk"));
}
