use super::*;
use crate::config::Client;

fn clients(text: &str) -> Written {
    toml("clients_file = 'clients.toml'").file("clients.toml", text)
}

fn web(text: &str) -> Client {
    clients(&format!("[clients.web]\naudience = ['api']\n{text}")).dev().config.declared.clients["web"].clone()
}

#[test]
fn without_a_file_there_is_one_client_web() {
    let config = written().dev().config;
    let expected = Client {
        audience: vec!["api".into()],
        scope: vec![],
        access_token_ttl: seconds(900),
        session_ttl: seconds(30 * 86_400),
        idle_ttl: seconds(30 * 86_400),
        leeway: seconds(30),
        burst: seconds(120),
        recovery_limit: 2,
        rotation_when_due: false,
    };
    assert_eq!(config.declared.clients.into_iter().collect::<Vec<_>>(), [("web".to_owned(), expected)]);
}

#[test]
fn a_client_says_what_it_wants_and_has_the_defaults_for_the_rest() {
    let text = "
        [clients.web]
        audience = ['api', 'files']
        scope = ['read']
        access_token_ttl = '10m'
        session_ttl = '7d'
        idle_ttl = '1d'
        leeway = '5s'
        recovery_limit = 0
        burst = '10s'
        rotation_when_due = true
        [clients.mobile]
        audience = ['api']
    ";
    let written = clients(text).env("SYMBOLON_SESSION_LEEWAY", "0s").env("SYMBOLON_SESSION_BURST", "60s");
    let loaded = written.dev();
    let web = &loaded.config.declared.clients["web"];
    assert_eq!((web.audience.len(), web.scope.as_slice()), (2, ["read".to_owned()].as_slice()));
    assert_eq!(
        (web.access_token_ttl, web.session_ttl, web.idle_ttl),
        (seconds(600), seconds(604_800), seconds(86_400))
    );
    assert_eq!((web.leeway, web.burst, web.recovery_limit), (seconds(5), seconds(10), 0));
    assert!(web.rotation_when_due);
    let mobile = &loaded.config.declared.clients["mobile"];
    assert_eq!((mobile.leeway, mobile.burst, mobile.recovery_limit), (seconds(0), seconds(60), 2));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_profile_gives_lifetimes_and_limit_and_what_is_said_besides_wins() {
    let lifetimes = |client: &Client| {
        [client.session_ttl, client.idle_ttl, client.access_token_ttl].map(|span| span.as_secs() / 60)
    };
    let aal1 = web("profile = 'aal1'");
    assert_eq!((lifetimes(&aal1), aal1.recovery_limit), ([30 * 1440, 30 * 1440, 15], 2));
    let aal2 = web("profile = 'aal2'");
    assert_eq!((lifetimes(&aal2), aal2.recovery_limit), ([1440, 60, 15], 1));
    let aal3 = web("profile = 'aal3'");
    assert_eq!((lifetimes(&aal3), aal3.recovery_limit), ([720, 15, 5], 1));
    let mine = web("profile = 'aal3'\nidle_ttl = '10m'\nrecovery_limit = 2");
    assert_eq!((lifetimes(&mine), mine.recovery_limit), ([720, 10, 5], 2));
    assert!(
        clients("[clients.web]\naudience = ['api']\nprofile = 'aal4'").fault().ends_with("one of aal1, aal2, aal3")
    );
}

#[test]
fn all_faults_of_the_file_are_reported_at_once_with_their_paths() {
    let text = "
        [clients.web]
        lee_way = '1s'
        audience = []
        leeway = 30
        burst = '11m'
        recovery_limit = '2'
        rotation_when_due = 'no'
        [clients.'a b']
        audience = ['a b']
        scope = 'read'
        [client.mobile]
        audience = ['api']
    ";
    let faults = clients(text).faults();
    let mut paths: Vec<&str> = faults.iter().filter_map(|line| line.split(" (").next()).collect();
    paths.sort_unstable();
    let expected = [
        "client",
        "clients.a b",
        "clients.a b.audience",
        "clients.a b.scope",
        "clients.web.audience",
        "clients.web.burst",
        "clients.web.lee_way",
        "clients.web.leeway",
        "clients.web.recovery_limit",
        "clients.web.rotation_when_due",
    ];
    assert_eq!(paths, expected, "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.ends_with("unknown section, did you mean `clients`?")), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.ends_with("unknown key, did you mean `leeway`?")), "{faults:#?}");
}

#[test]
fn a_client_without_audience_and_a_file_without_client_are_faults() {
    assert!(clients("[clients.web]").fault().starts_with("clients.web.audience (file clients.toml, line 1): missing"));
    assert!(clients("").fault().contains("no client is declared"));
    assert!(clients("clients = 1").fault().contains("[clients.<name>]"));
    assert!(clients("clients.web = 1").fault().contains("expected a section"));
    assert!(clients("[clients").fault().starts_with("file clients.toml, line 1: not valid TOML"));
}

#[test]
fn what_does_not_go_together_is_a_warning_that_names_client_and_reason() {
    let text = "
        [clients.gate]
        audience = ['api']
        rotation_when_due = true
        [clients.hasty]
        audience = ['api']
        burst = '9s'
        [clients.idle]
        audience = ['api']
        session_ttl = '1d'
        [clients.short]
        audience = ['api']
        idle_ttl = '15m'
    ";
    let warnings = clients(text).dev().warnings;
    let starts = [
        "clients.gate.leeway: 30s is too long with rotation_when_due: thief and owner share the current token",
        "clients.hasty.burst: 9s is short",
        "clients.idle.idle_ttl: 30d has no effect: the session ends after session_ttl, 24h",
        "clients.short.access_token_ttl: 15m is not below idle_ttl, 15m",
    ];
    assert_eq!(warnings.len(), starts.len(), "{warnings:#?}");
    assert!(warnings.iter().zip(starts).all(|(warning, start)| warning.starts_with(start)), "{warnings:#?}");
    assert_eq!(env("SYMBOLON_SESSION_BURST", "5s").dev().warnings.len(), 1, "the client `web` is warned of too");
}
