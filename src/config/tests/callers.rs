use super::*;
use crate::config::{Caller, PERMISSIONS};

const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn callers(text: &str) -> Written {
    toml("callers_file = 'callers.toml'").file("callers.toml", text)
}

#[test]
fn a_caller_has_what_it_is_given_and_nothing_else() {
    let text = format!("[callers.backend]\ntoken_sha256 = ['{}']\npermissions = ['issue']", HASH.to_uppercase());
    let nothing_else = Caller {
        token_sha256: vec![callers(&text).dev().config.declared.callers["backend"].token_sha256[0]],
        san: vec![],
        permissions: vec!["issue".into()],
        clients: vec![],
        audience: None,
        scope: None,
        claims: vec![],
        acr: vec![],
        access_token_ttl: None,
        session_ttl: None,
        idle_ttl: None,
        dry_run: false,
    };
    let loaded = callers(&text).dev();
    assert_eq!(loaded.config.declared.callers["backend"], nothing_else);
    assert_eq!(nothing_else.token_sha256[0][..3], [0x2b, 0xb8, 0x0d]);
    assert_eq!(loaded.warnings, ["callers.backend.clients: without any, `issue` permits nothing"]);
    let erasing = callers(&text.replace("'issue'", "'erase'")).dev();
    assert_eq!(erasing.warnings, ["callers.backend.clients: without any, `erase` permits nothing"]);

    let text = format!(
        "[callers.backend]
        token_sha256 = ['{HASH}']
        san = ['spiffe://example.org/backend', 'backend.internal']
        permissions = ['{}']
        clients = ['web']
        audience = ['api']
        scope = ['read', 'write']
        claims = ['role']
        acr = ['aal1', 'aal2']
        access_token_ttl = '10m'
        session_ttl = '30d'
        idle_ttl = '1d'
        dry_run = true",
        PERMISSIONS.join("', '")
    );
    let loaded = callers(&text).serve_with_issuer();
    let backend = &loaded.config.declared.callers["backend"];
    assert_eq!((backend.san.len(), backend.permissions.len(), backend.scope.as_ref().map(Vec::len)), (2, 9, Some(2)));
    assert_eq!((backend.session_ttl, backend.idle_ttl), (Some(seconds(30 * 86_400)), Some(seconds(86_400))));
    assert_eq!(
        loaded.warnings,
        ["callers.backend.dry_run: nothing but `keys` and `erase` is refused to it, only told"]
    );
    assert!(written().dev().config.declared.callers.is_empty());
}

/// All at once, each with its line and what would be right.
#[test]
fn every_mistake_in_a_callers_file_is_told_with_its_line() {
    let other = HASH.replace('2', "3");
    let text = format!(
        "[callers.backend]
token_sha256 = ['{HASH}', 'abc']
permissions = ['isue']
clients = ['web']
[callers.nobody]
permissions = ['issue']
[callers.bff]
token_sha256 = ['{other}']
permisions = ['refresh']
scope = ['a\"b']
audience = []
clients = 'web'
[callers.three]
token_sha256 = ['{other}', '{HASH}', '{HASH}']
permissions = []
session_ttl = '0s'
[caller.x]
"
    );
    let faults = callers(&text).faults();
    let expected = [
        "caller (file callers.toml, line 17): unknown section, did you mean `callers`?",
        "callers.backend.token_sha256 (file callers.toml, line 2): expected a list of SHA-256 hashes, 64",
        "callers.backend.permissions (file callers.toml, line 3): expected a list of issue, refresh, revoke",
        "callers.bff.permisions (file callers.toml, line 9): unknown key, did you mean `permissions`?",
        "callers.bff.clients (file callers.toml, line 12): expected a list of names",
        "callers.bff.scope (file callers.toml, line 10): expected a list of scopes",
        "callers.bff.permissions (file callers.toml, line 7): missing: expected some of issue, refresh",
        "callers.bff.audience (file callers.toml, line 11): is empty",
        "callers.nobody.token_sha256 (file callers.toml, line 5): missing: without it or `san`",
        "callers.three.session_ttl (file callers.toml, line 16): expected a duration",
        "callers.three.token_sha256 (file callers.toml, line 14): expected at most two",
        "callers.three.token_sha256 (file callers.toml, line 14): shares a credential with `callers.bff`",
        "callers.three.token_sha256 (file callers.toml, line 14): has the same one twice",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for start in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(start)), "{start}\n{faults:#?}");
    }
}

#[test]
fn a_credential_belongs_to_one_caller_and_a_client_to_the_declared_ones() {
    let other = HASH.replace('2', "3");
    let text = format!(
        "[callers.one]
token_sha256 = ['{HASH}']
san = ['a.example']
permissions = ['watch']
[callers.two]
token_sha256 = ['{other}', '{HASH}']
permissions = ['watch']
clients = ['webb']
[callers.three]
san = ['b.example', 'a.example']
permissions = ['watch']
clients = ['ios', 'webs']
"
    );
    let faults = callers(&text).faults();
    let expected = [
        "callers.three.clients (file callers.toml, line 12): no client `ios` is declared; declared are web",
        "callers.three.clients (file callers.toml, line 12): no client `webs` is declared, did you mean `web`?",
        "callers.two.clients (file callers.toml, line 8): no client `webb` is declared, did you mean `web`?",
        "callers.three.san (file callers.toml, line 10): shares a credential with `callers.one`",
        "callers.two.token_sha256 (file callers.toml, line 6): shares a credential with `callers.one`",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for start in expected {
        assert!(faults.iter().any(|fault| fault.starts_with(start)), "{start}\n{faults:#?}");
    }
    // The edge within the process proves nothing to anybody.
    assert!(callers("[callers.edge]\npermissions = ['refresh']\nclients = ['web']").dev().warnings.is_empty());
}

/// The names of hosts are the same in any case of letters, so two callers cannot have one between them.
#[test]
fn a_host_in_other_letters_is_the_same_credential_and_a_uri_is_not() {
    let two = |one: &str, other: &str| {
        callers(&format!(
            "[callers.one]\nsan = ['{one}']\npermissions = ['watch']\n\
             [callers.two]\nsan = ['{other}']\npermissions = ['watch']"
        ))
    };
    let fault = two("a.Example", "A.example").fault();
    assert!(fault.starts_with("callers.two.san (file callers.toml, line 5): shares a credential"), "{fault}");
    for (one, other) in [("spiffe://example.org/A", "spiffe://example.org/a"), ("urn:x:A", "urn:x:a")] {
        let declared = two(one, other).dev().config.declared.callers;
        assert_eq!((declared["one"].san[0].as_str(), declared["two"].san[0].as_str()), (one, other));
    }
}

#[test]
fn what_proves_nothing_is_no_credential() {
    for empty in ["san = []", "token_sha256 = []"] {
        let fault = callers(&format!("[callers.one]\n{empty}\npermissions = ['watch']")).fault();
        assert!(fault.contains("missing: without it or `san` nobody can prove"), "{fault}");
    }
    // `sha256sum < /dev/null`
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let fault = callers(&format!("[callers.one]\ntoken_sha256 = ['{of_nothing}']\npermissions = []")).fault();
    assert!(fault.starts_with("callers.one.token_sha256 (file callers.toml, line 2): one is the hash of"), "{fault}");
}

#[test]
fn whoever_introspects_nothing_is_told() {
    let loaded = callers(&format!("[callers.one]\ntoken_sha256 = ['{HASH}']\npermissions = ['introspect']")).dev();
    assert_eq!(loaded.warnings, ["callers.one.audience: without it or `clients`, `introspect` permits nothing"]);
}

#[test]
fn a_caller_whose_certificate_nobody_asks_for_is_told() {
    let text = "[callers.one]\nsan = ['x']\npermissions = ['watch']";
    let told = "callers.one.san: without grpc.tls_client_ca_file no certificate is asked for";
    assert_eq!(callers(text).dev().warnings, [told]);
    let tls = callers(text).env("SYMBOLON_GRPC_TLS_CERT_FILE", "c").env("SYMBOLON_GRPC_TLS_KEY_FILE", "k");
    assert_eq!(tls.dev().warnings, [told]);
    assert_eq!(tls.env("SYMBOLON_GRPC_TLS_CLIENT_CA_FILE", "ca").dev().warnings, [""; 0]);
}

#[test]
fn a_file_that_declares_nobody_is_told() {
    assert_eq!(callers("").dev().warnings, ["callers: callers.toml declares nobody"]);
}

#[test]
fn a_name_with_a_dot_has_its_own_line() {
    let text = "[callers.a]\nsan = ['x']\npermissions = []\n[callers.'a.b']\nsan = ['y']\npermissions = ['fly']";
    let fault = callers(text).fault();
    assert!(fault.starts_with("callers.a.b.permissions (file callers.toml, line 6)"), "{fault}");
}

#[test]
fn the_faults_of_both_files_are_told_at_once() {
    let written = callers("[callers.x]\nsan = ['x']\npermissions = ['fly']")
        .file(FILE, "callers_file = 'callers.toml'\nclients_file = 'clients.toml'")
        .file("clients.toml", "[clients.web]\naudience = []");
    let faults = written.faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("clients.web.audience (file clients.toml, line 2)"), "{faults:?}");
    assert!(faults[1].starts_with("callers.x.permissions (file callers.toml, line 3)"), "{faults:?}");
}

/// A hash is no secret, but whoever shows it says which secret to look for.
#[test]
fn hashes_are_not_printed() {
    let text = format!("[callers.one]\ntoken_sha256 = ['{HASH}x']\npermissions = []");
    assert!(!callers(&text).fault().contains(HASH));
}
