use super::*;

#[test]
fn all_faults_of_file_environment_and_clients_are_reported_at_once() {
    let faults = toml("isuer = 'http://a.example'\n[grpc]\nlisten = 5\n[session]\nleeway = '2m'")
        .env("SYMBOLON_OPS_LISTEN", "localhost")
        .env("SYMBOLON_MASTER_KEYS_FILE", "/no/keys")
        .env("SYMBOLON_CLIENTS_FILE", "clients.toml")
        .file("clients.toml", "[clients.web]\nlee_way = '1s'\nburst = 3")
        .faults();
    let keys: Vec<&str> = faults.iter().filter_map(|line| line.split([' ', ':']).next()).collect();
    let expected = [
        "isuer",
        "master_keys_file",
        "grpc.listen",
        "ops.listen",
        "session.leeway",
        "clients.web.audience",
        "clients.web.lee_way",
        "clients.web.burst",
    ];
    assert_eq!(keys, expected, "{faults:#?}");
}

#[test]
fn an_unknown_key_is_asked_whether_it_meant_a_known_one() {
    let fault = toml("isuer = 'http://a.example'").fault();
    assert_eq!(fault, "isuer (file /etc/symbolon.toml, line 1): unknown key, did you mean `issuer`?");
    let fault = toml("[grpc]\ntls-cert = 'x'").fault();
    assert_eq!(
        fault,
        "grpc.tls-cert (file /etc/symbolon.toml, line 2): unknown key, did you mean `grpc.tls_cert_file`?"
    );
    assert!(toml("[grpc]\nissuer = 'x'").fault().ends_with("unknown key, did you mean `issuer`?"));
    assert!(toml("public_url = 'x'").fault().ends_with("did you mean `edge.public_url`?"));
    assert!(toml("[grpc]\nzzz = 'x'").fault().ends_with("unknown key"));
}

#[test]
fn an_unknown_section_is_one_fault_however_much_stands_in_it() {
    let fault = toml("[sesion]\nttl = '1d'\nidle_ttl = '1d'").fault();
    assert_eq!(fault, "sesion (file /etc/symbolon.toml, line 1): unknown section, did you mean `session`?");
    assert!(toml("[clients.web]\naudience = ['api']").fault().ends_with("did you mean `clients_file`?"));
}

#[test]
fn a_section_that_is_a_value_and_a_value_that_is_a_section_are_faults() {
    assert!(toml("grpc = 'x'").fault().contains("expected a section, [grpc]; this is of type string"));
    assert!(toml("[issuer]\nurl = 'x'").fault().contains("this is of type table"));
}

#[test]
fn an_unknown_variable_is_a_warning_with_a_suggestion() {
    let loaded = env("SYMBOLON_GRPC_LISTN", "localhost:1").env("SYMBOLONIA", "x").env("PATH", "x").dev();
    assert_eq!(loaded.warnings, ["SYMBOLON_GRPC_LISTN: unknown variable, did you mean `SYMBOLON_GRPC_LISTEN`?"]);
    assert_eq!(env("SYMBOLON_ZZZ", "").dev().warnings, ["SYMBOLON_ZZZ: unknown variable"]);
}

#[test]
fn broken_toml_is_reported_with_line_and_column_and_hides_nothing_else() {
    let broken = toml("log = 'info'\n[grpc]\nlisten = = 5").env("SYMBOLON_LOG", "");
    let faults = broken.load(Profile::Serve).expect_err("broken").to_string();
    assert!(faults.contains("file /etc/symbolon.toml, line 3: not valid TOML at column 10"), "{faults}");
    assert!(faults.contains("log (environment SYMBOLON_LOG)"), "{faults}");
    assert!(!faults.contains("issuer"), "nobody knows whether the file sets it: {faults}");
}

#[test]
fn a_wrong_type_names_key_source_and_what_is_expected() {
    let fault = toml("[grpc]\nlisten = 50051").fault();
    assert!(fault.starts_with("grpc.listen (file /etc/symbolon.toml, line 2): expected `host:port` like"), "{fault}");
    assert!(fault.ends_with("this is of type integer"), "{fault}");
    let fault = env("SYMBOLON_GRPC_LISTEN", "localhost").fault();
    assert!(fault.starts_with("grpc.listen (environment SYMBOLON_GRPC_LISTEN): expected `host:port`"), "{fault}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_that_names_it() {
    assert!(env("SYMBOLON_CONFIG_FILE", "/no/file").fault().contains("SYMBOLON_CONFIG_FILE): cannot read /no/file: "));
    assert!(env("SYMBOLON_CLIENTS_FILE", "/no/file").fault().starts_with("clients_file (file /no/file): cannot"));
    assert!(env("SYMBOLON_CALLERS_FILE", "/no/file").fault().starts_with("callers_file (file /no/file): cannot"));
}

#[test]
fn the_config_file_of_the_environment_is_read_unless_the_command_line_names_one() {
    let other = env("SYMBOLON_CONFIG_FILE", "other.toml").file("other.toml", "log = 'other'");
    assert_eq!(other.dev().config.told.log, "other");
    assert_eq!(other.file(FILE, "log = 'mine'").dev().config.told.log, "mine");
}

#[test]
fn the_environment_wins_over_the_file() {
    let both =
        toml("log = 'file'\n[edge]\nscope = ['a', 'b']").env("SYMBOLON_LOG", "env").env("SYMBOLON_EDGE_SCOPE", "c, d");
    let config = both.dev().config;
    assert_eq!(config.told.log, "env");
    assert_eq!(config.edge.scope, ["c", "d"]);
}

#[test]
fn a_mistake_in_the_file_is_one_even_where_the_environment_wins() {
    assert!(toml("log = 5").env("SYMBOLON_LOG", "env").fault().starts_with("log (file"));
}

#[test]
fn settings_that_need_each_other_are_asked_for_together() {
    let fault = env("SYMBOLON_GRPC_TLS_CERT_FILE", "cert.pem").fault();
    assert!(fault.ends_with("needs `grpc.tls_key_file` (SYMBOLON_GRPC_TLS_KEY_FILE) too"), "{fault}");
    assert!(env("SYMBOLON_GRPC_TLS_CLIENT_CA_FILE", "ca.pem").fault().contains("needs `grpc.tls_cert_file`"));
    assert!(toml("[edge]\nissuer_key_file = 'k'").fault().contains("needs `edge.issuer_cert_file`"));
}

#[test]
fn what_is_said_of_the_tls_files_stands_beside_all_other_faults() {
    let files = env("SYMBOLON_GRPC_TLS_CERT_FILE", "cert.pem").env("SYMBOLON_GRPC_TLS_KEY_FILE", "key.pem");
    let fault = Remark::Fault { setting: "grpc.tls_key_file", message: "no key".to_owned() };
    let warning = Remark::Warning { setting: "grpc.tls_cert_file", message: "old".to_owned() };
    let faults = files.clone().env("SYMBOLON_LOG", "").remark(fault.clone()).remark(warning.clone()).faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert_eq!(faults[1], "grpc.tls_key_file (environment SYMBOLON_GRPC_TLS_KEY_FILE): no key");
    assert_eq!(files.remark(warning).dev().warnings, ["grpc.tls_cert_file: old"]);
    // Nobody is asked of files that are not there to be used.
    assert_eq!(written().remark(fault).dev().warnings, Vec::<String>::new());
}

#[test]
fn a_report_is_one_line_a_fault_and_sends_no_escapes_to_the_terminal() {
    let faults = toml("\"a\\nb\\u001b[31m\" = 1").faults();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("a\\nb\\u{1b}[31m "), "{faults:?}");
}
