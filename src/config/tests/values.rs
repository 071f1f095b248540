use super::*;
use crate::config::TlsVersion;

/// Every name promised to users, with a value of a good form. Written out, so that a row lost is noticed.
const NAMES: [(&str, &str); 56] = [
    ("SYMBOLON_DATA_DIR", "/var/lib/symbolon"),
    ("SYMBOLON_DATABASE_URL", "postgres://localhost/symbolon"),
    ("SYMBOLON_GRPC_LISTEN", "0.0.0.0:50051"),
    ("SYMBOLON_EDGE_LISTEN", "[::]:8080"),
    ("SYMBOLON_OPS_LISTEN", "localhost:0"),
    ("SYMBOLON_GRPC_TLS_CERT_FILE", "cert.pem"),
    ("SYMBOLON_GRPC_TLS_KEY_FILE", "key.pem"),
    ("SYMBOLON_GRPC_TLS_CLIENT_CA_FILE", "ca.pem"),
    ("SYMBOLON_GRPC_TLS_MIN_VERSION", "1.2"),
    ("SYMBOLON_GRPC_REFLECTION", "off"),
    ("SYMBOLON_ISSUER", "https://auth.example.com/tenant"),
    ("SYMBOLON_CONFIG_FILE", "empty.toml"),
    ("SYMBOLON_RETIRED_MASTER_KEY_IDS", "1, 255"),
    ("SYMBOLON_MASTER_KEYS", "1:AAAA"),
    ("SYMBOLON_MASTER_KEYS_FILE", "secret"),
    ("SYMBOLON_CALLERS_FILE", "callers.toml"),
    ("SYMBOLON_ACCESS_TOKEN_TTL", "5m"),
    ("SYMBOLON_SESSION_TTL", "12h"),
    ("SYMBOLON_SESSION_IDLE_TTL", "1h"),
    ("SYMBOLON_SESSION_LEEWAY", "0s"),
    ("SYMBOLON_SESSION_RECOVERY_LIMIT", "3"),
    ("SYMBOLON_SESSION_BURST", "10m"),
    ("SYMBOLON_CLIENTS_FILE", "clients.toml"),
    ("SYMBOLON_LIMITS_ROTATIONS_PER_SECOND", "7"),
    ("SYMBOLON_LIMITS_ISSUES_PER_SECOND", "8"),
    ("SYMBOLON_KEYS_ROTATE_EVERY", "1s"),
    ("SYMBOLON_KEYS_PUBLISH_AHEAD", "1s"),
    ("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com/"),
    ("SYMBOLON_EDGE_ALLOWED_ORIGINS", "https://app.example.com,http://[::1]:3000"),
    ("SYMBOLON_EDGE_TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
    ("SYMBOLON_EDGE_CLIENT_ID", "mobile"),
    ("SYMBOLON_EDGE_AUDIENCE", "api,https://b.example"),
    ("SYMBOLON_EDGE_SCOPE", "read,write"),
    ("SYMBOLON_EDGE_VERIFIER_URL", "https://users.example.com:443"),
    ("SYMBOLON_EDGE_VERIFIER_TOKEN", "t"),
    ("SYMBOLON_EDGE_VERIFIER_TOKEN_FILE", "secret"),
    ("SYMBOLON_EDGE_VERIFIER_CA_FILE", "ca.pem"),
    ("SYMBOLON_EDGE_ISSUER_URL", "http://[::1]:50051"),
    ("SYMBOLON_EDGE_ISSUER_TOKEN", "t"),
    ("SYMBOLON_EDGE_ISSUER_TOKEN_FILE", "secret"),
    ("SYMBOLON_EDGE_ISSUER_CERT_FILE", "cert.pem"),
    ("SYMBOLON_EDGE_ISSUER_KEY_FILE", "key.pem"),
    ("SYMBOLON_EDGE_ISSUER_CA_FILE", "ca.pem"),
    ("SYMBOLON_EDGE_MODE", "bff"),
    ("SYMBOLON_EDGE_WHEN_STALE", "closed"),
    ("SYMBOLON_GATEWAY_LISTEN", "127.0.0.1:8081"),
    ("SYMBOLON_GATEWAY_LOGIN_URL", "/login?from=gateway"),
    ("SYMBOLON_EDGE_BASE_PATH", "/"),
    ("SYMBOLON_EDGE_COOKIE_NAME", "__Host-x"),
    ("SYMBOLON_EDGE_COOKIE_PATH", "/auth"),
    ("SYMBOLON_EDGE_HSTS", "true"),
    ("SYMBOLON_LOG", "symbolon=debug,info"),
    ("SYMBOLON_LOG_FORMAT", "json"),
    ("SYMBOLON_AUDIT_FILE", "/var/log/symbolon/audit.jsonl"),
    ("SYMBOLON_TRACES_ENDPOINT", "http://localhost:4317"),
    ("SYMBOLON_TRACES_ONE_IN", "1"),
];

fn everything(secret_form: &str) -> Written {
    let mut written = written().file("empty.toml", "").file("secret", "t");
    written = written
        .file("clients.toml", "[clients.mobile]\naudience = ['api']")
        .file("callers.toml", "[callers.edge]\npermissions = []");
    let secrets = ["SYMBOLON_MASTER_KEYS", "SYMBOLON_EDGE_VERIFIER_TOKEN", "SYMBOLON_EDGE_ISSUER_TOKEN"];
    for (name, value) in NAMES {
        let secret = secrets.iter().find_map(|secret| name.strip_prefix(secret));
        if secret.is_none_or(|form| form == secret_form) {
            written = written.env(name, value);
        }
    }
    written
}

#[test]
fn every_promised_name_is_known_and_its_value_arrives() {
    for (form, ending) in [("", ""), ("_FILE", "_FILE")] {
        for profile in [Profile::Dev, Profile::Serve] {
            let loaded = everything(form).load(profile).unwrap_or_else(|faults| panic!("{faults}"));
            assert_eq!(loaded.warnings, Vec::<String>::new());
            for setting in &loaded.printed {
                let Source::Environment(name) = &setting.source else { panic!("{} was not set", setting.path) };
                assert!(*name == setting.env || *name == format!("{}{ending}", setting.env), "{name}");
            }
            let config = loaded.config;
            assert_eq!(config.retired_master_key_ids, [1, 255]);
            let tls = config.grpc.tls.expect("TLS");
            assert_eq!((tls.client_ca_file.as_deref(), tls.min_version), (Some(Path::new("ca.pem")), TlsVersion::V1_2));
            assert_eq!((config.grpc.reflection, config.edge.hsts), (Some(false), Some(true)));
            assert_eq!(config.declared.clients["mobile"].leeway, seconds(0));
            assert_eq!(config.declared.clients["mobile"].recovery_limit, 3);
            assert_eq!(config.edge.trusted_proxies, ["10.0.0.0/8", "fd00::/8"]);
            assert_eq!(config.gateway.login_url.as_deref(), Some("/login?from=gateway"));
            assert!(config.master_keys.is_some() && config.edge.verifier.token.is_some());
        }
    }
}

#[test]
fn the_same_settings_can_stand_in_toml() {
    let text = "
        data_dir = '/d'
        retired_master_key_ids = [3, 4]
        access_token_ttl = '5m'
        [session]
        ttl = '12h'
        recovery_limit = 1
        [grpc]
        reflection = true
        [edge]
        allowed_origins = ['https://app.example.com']
        [gateway]
        listen = 'localhost:1'
        [keys]
        publish_ahead = '1h 30m'
    ";
    let config = toml(text).dev().config;
    assert_eq!(config.retired_master_key_ids, [3, 4]);
    assert_eq!(config.keys.publish_ahead, seconds(5400));
    assert_eq!(config.declarations.client_defaults.session_ttl, seconds(12 * 3600));
    assert_eq!(config.declared.clients["web"].recovery_limit, 1);
    assert_eq!(config.declared.clients["web"].access_token_ttl, seconds(300));
    assert_eq!(config.gateway.listen.as_deref(), Some("localhost:1"));
}

#[test]
fn every_default_has_the_form_of_its_setting() {
    for profile in [Profile::Dev, Profile::Serve] {
        let loaded = env("SYMBOLON_ISSUER", "http://a.example").load(profile).expect("no fault");
        for setting in crate::config::settings::SETTINGS {
            if let crate::config::settings::Fallback::Value(text) = setting.fallback(profile) {
                assert!(setting.kind.read_text(text).is_ok(), "{}", setting.path);
                assert!(!printed(&loaded, setting.path).0.is_empty());
            }
        }
    }
}

#[test]
fn a_duration_is_a_number_with_a_unit_in_whole_seconds_and_within_its_limits() {
    let good = [("900s", 900), ("15m", 900), ("1h", 3600), ("60m", 3600), ("14m 59s", 899), ("1s", 1)];
    for (text, expected) in good {
        let config = env("SYMBOLON_ACCESS_TOKEN_TTL", text).dev().config;
        assert_eq!(config.declarations.client_defaults.access_token_ttl, seconds(expected), "{text}");
    }
    for text in ["900", "0", "0s", "61m", "1500ms", "-5m", "5", "m", "5 parsecs", "99999999999999999999d"] {
        let fault = env("SYMBOLON_ACCESS_TOKEN_TTL", text).fault();
        assert!(fault.ends_with("from 1s to 1h, written like \"15m\", \"30d\" or \"900s\""), "{text}: {fault}");
    }
    let fault = toml("access_token_ttl = 900").fault();
    assert!(fault.contains("written like \"15m\"") && fault.ends_with("this is of type integer"), "{fault}");
}

#[test]
fn every_limit_is_kept_at_both_ends() {
    let limits = [
        ("SYMBOLON_SESSION_LEEWAY", vec!["0s", "60s"], vec!["61s"]),
        ("SYMBOLON_SESSION_RECOVERY_LIMIT", vec!["0", "3"], vec!["4", "-1", "1.5", "two"]),
        ("SYMBOLON_SESSION_BURST", vec!["1s", "600s"], vec!["0s", "601s"]),
        ("SYMBOLON_SESSION_TTL", vec!["1s", "3650d"], vec!["0s", "3651d"]),
        ("SYMBOLON_SESSION_IDLE_TTL", vec!["1s", "3650d"], vec!["0s", "3651d"]),
        ("SYMBOLON_LIMITS_ROTATIONS_PER_SECOND", vec!["1", "1000000"], vec!["0", "1000001", "1.5", "1/s"]),
        ("SYMBOLON_KEYS_ROTATE_EVERY", vec!["1s", "3651d"], vec!["0s"]),
        ("SYMBOLON_KEYS_PUBLISH_AHEAD", vec!["1s"], vec!["0s"]),
        ("SYMBOLON_RETIRED_MASTER_KEY_IDS", vec!["", "1", "1,255"], vec!["0", "256", "1,,2", "a"]),
    ];
    accepts_and_refuses(&limits);
}

#[test]
fn addresses_urls_and_names_have_their_forms() {
    let long = "x".repeat(256);
    let forms = [
        (
            "SYMBOLON_GRPC_LISTEN",
            vec!["localhost:0", "[::1]:65535", "0.0.0.0:1", "db_1.example:80"],
            vec![
                "",
                "localhost",
                ":80",
                "::1:80",
                "[::1]",
                "a:65536",
                "a:+80",
                "a b:80",
                "http://a:80",
                "[x]:80",
                "a:",
            ],
        ),
        (
            "SYMBOLON_ISSUER",
            vec!["http://localhost:8080", "https://a.example/t/", "https://[::1]:1"],
            vec![
                "a.example",
                "ftp://a",
                "https://",
                "https://a?x",
                "https://a#x",
                "https://a ",
                "https://u@a",
                "https://a:x",
            ],
        ),
        (
            "SYMBOLON_EDGE_ALLOWED_ORIGINS",
            vec!["", "https://a.example:8443"],
            vec!["https://a.example/", "https://A.example", "https://a.example:443", "http://a:80", "*", "null"],
        ),
        (
            "SYMBOLON_EDGE_TRUSTED_PROXIES",
            vec!["", "0.0.0.0/0", "::1/128"],
            vec!["10.0.0.0", "10.0.0.0/33", "::/129", "a/8", "10.0.0.0/+8", "10.0.0.0/"],
        ),
        ("SYMBOLON_EDGE_CLIENT_ID", vec!["web", &long[1..]], vec!["", "a b", "ä", &long]),
        (
            "SYMBOLON_DATABASE_URL",
            vec!["sqlite:x.db", "sqlite::memory:"],
            vec!["x.db", "mysql://a", "sqlite:", "postgres:a"],
        ),
        ("SYMBOLON_GATEWAY_LOGIN_URL", vec!["/login", "https://a.example/?x"], vec!["//evil", "/\\evil", "login"]),
        ("SYMBOLON_EDGE_BASE_PATH", vec!["/", "/auth/v1"], vec!["auth", "/auth/", "//", "/a;b", "/a b"]),
        ("SYMBOLON_EDGE_COOKIE_NAME", vec!["__Host-Http-symbolon"], vec!["", "a b", "a=b", "a;b"]),
        ("SYMBOLON_EDGE_MODE", vec!["token", "bff"], vec!["", "BFF", "both"]),
        ("SYMBOLON_EDGE_WHEN_STALE", vec!["open", "closed"], vec!["", "ask", "Open"]),
        ("SYMBOLON_EDGE_HSTS", vec!["on", "off", "true", "false"], vec!["", "yes", "1"]),
        ("SYMBOLON_LOG", vec!["info"], vec!["", " "]),
    ];
    accepts_and_refuses(&forms);
}

fn accepts_and_refuses(forms: &[(&str, Vec<&str>, Vec<&str>)]) {
    for (name, good, bad) in forms {
        for text in good {
            let loaded = env(name, text).load(Profile::Dev);
            assert!(loaded.is_ok(), "{name}={text}: {:?}", loaded.err());
        }
        for text in bad {
            assert!(env(name, text).fault().contains(&format!("(environment {name}): expected ")), "{name}={text}");
        }
    }
}
