//! The TLS files: every mistake in them is found before anything starts, and what changes on disk is served from then
//! on, unless it is faulty.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::version::TLS13;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::support::{Authority, Process, assert_says, sentence, sign_in};

const ISSUER: (&str, &str) = ("SYMBOLON_ISSUER", "https://issuer.example");
const CERT: &str = "SYMBOLON_GRPC_TLS_CERT_FILE";
const KEY: &str = "SYMBOLON_GRPC_TLS_KEY_FILE";
const CLIENT_CA: &str = "SYMBOLON_GRPC_TLS_CLIENT_CA_FILE";

/// Files are looked at every two seconds.
const SOON: Duration = Duration::from_secs(15);

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn write(dir: &TempDir, name: &str, content: &str, mode: u32) {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// What `config check` says of these files: whether all is good, and the lines.
async fn check(dir: &TempDir, env: &[(&str, &str)]) -> (bool, Vec<String>) {
    let mut command = Process::command(dir.path());
    command.args(["config", "check"]).envs([ISSUER]).envs(env.iter().copied());
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let lines = String::from_utf8(said).unwrap().lines().map(str::to_owned).collect();
    (output.status.success(), lines)
}

/// The one fault there is in a pair of files.
async fn fault(dir: &TempDir, cert: &str, key: &str) -> String {
    let (good, lines) = check(dir, &[(CERT, cert), (KEY, key)]).await;
    assert!(!good && lines.len() == 1, "{lines:?}");
    lines.concat()
}

/// R-OPS-07
#[tokio::test]
async fn every_fault_of_the_files_is_reported_at_once_with_all_others() {
    let (dir, authority) = (folder(), Authority::new());
    let issued = authority.server();
    write(&dir, "loose.key", &issued.key, 0o644);
    write(&dir, "empty.pem", "nothing\n", 0o644);
    let env = [(CERT, "no.pem"), (KEY, "loose.key"), (CLIENT_CA, "empty.pem"), ("SYMBOLON_SESSION_BURST", "1h")];
    let (good, lines) = check(&dir, &env).await;
    let said = lines.join("\n");
    assert!(!good && lines.len() == 4, "{said}");
    assert_says(
        &said,
        &[
            "grpc.tls_cert_file (environment SYMBOLON_GRPC_TLS_CERT_FILE): cannot read no.pem: No such file",
            "grpc.tls_key_file (environment SYMBOLON_GRPC_TLS_KEY_FILE): loose.key can be read or written by everybody \
             (mode 0644): chmod 600 loose.key",
            "grpc.tls_client_ca_file (environment SYMBOLON_GRPC_TLS_CLIENT_CA_FILE): there is no certificate in empty.pem",
            "session.burst",
        ],
    );
    // `serve` and `dev` say the same before they make anything.
    for subcommand in ["serve", "dev"] {
        let mut command = Process::command(dir.path());
        let output = command.arg(subcommand).envs([ISSUER]).envs(env).output().await.unwrap();
        assert!(!output.status.success());
        assert_eq!(String::from_utf8(output.stderr).unwrap().trim_end(), said);
    }
    assert!(!dir.path().join("symbolon-data").exists());
}

#[tokio::test]
async fn each_mistake_is_named_with_what_would_be_right() {
    let (dir, authority) = (folder(), Authority::new());
    let (issued, other) = (authority.server(), authority.server());
    issued.write(dir.path(), "server");
    other.write(dir.path(), "other");
    let begun = &issued.key[..issued.key.len() - 40];
    write(&dir, "torn.key", begun, 0o600);
    write(&dir, "encrypted.key", &issued.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), 0o600);
    write(&dir, "torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n", 0o644);
    write(&dir, "rubbish.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644);
    write(&dir, "private.pem", &issued.chain, 0o600);
    let cases = [
        ("server.pem", "other.key", vec!["grpc.tls_key_file", "key in other.key does not belong", "server.pem"]),
        ("server.pem", "torn.key", vec!["grpc.tls_key_file", "torn.key is not valid PEM"]),
        ("server.pem", "encrypted.key", vec!["grpc.tls_key_file", "encrypted", "openssl pkey -in encrypted.key"]),
        ("server.pem", "private.pem", vec!["no private key in private.pem, but a certificate", "BEGIN PRIVATE KEY"]),
        ("server.pem", ".", vec!["grpc.tls_key_file", "cannot read .:"]),
        ("server.key", "server.key", vec!["grpc.tls_cert_file", "no certificate in server.key, but a private key"]),
        ("torn.pem", "server.key", vec!["grpc.tls_cert_file", "torn.pem is not valid PEM"]),
        ("rubbish.pem", "server.key", vec!["grpc.tls_cert_file", "rubbish.pem cannot be read", "X.509"]),
        ("/dev/zero", "server.key", vec!["grpc.tls_cert_file", "/dev/zero has more than 1 MiB"]),
    ];
    for (cert, key, parts) in cases {
        let said = fault(&dir, cert, key).await;
        assert_says(&said, &parts);
        let secret = issued.key.lines().nth(1).unwrap();
        assert!(!said.contains(&secret[..20]), "{said}");
    }
    let (good, lines) = check(&dir, &[(CERT, "server.pem"), (KEY, "server.key")]).await;
    assert!(good && lines == ["the configuration is good"], "{lines:?}");
}

#[tokio::test]
async fn a_certificate_whose_time_is_not_now_is_a_warning() {
    let (dir, authority) = (folder(), Authority::new());
    authority.expired_server().write(dir.path(), "server");
    let env = [(CERT, "server.pem"), (KEY, "server.key")];
    let (good, lines) = check(&dir, &env).await;
    let expected =
        "warning: grpc.tls_cert_file: certificate 1 in server.pem expired at 2021-01-01 00:00:00 UTC".to_owned();
    assert!(good && lines == [expected, "the configuration is good".to_owned()], "{lines:?}");
    let server = Process::dev(dir.path(), &env).await;
    assert!(authority.shake(&server.grpc, &[&TLS13], None).await.is_err());
    let (_, said) = server.terminate().await;
    assert!(said.lines().any(|line| line.contains(" WARN ") && line.contains("expired at 2021")), "{said}");
    authority.future_server().write(dir.path(), "server");
    let (good, lines) = check(&dir, &env).await;
    assert!(good && lines[0].contains("is not valid before 4000-01-01"), "{lines:?}");
}

/// The certificate a new connection is shown.
async fn shown(authority: &Authority, server: &Process) -> CertificateDer<'static> {
    let stream = authority.shake(&server.grpc, &[&TLS13], None).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// Waits until new connections are shown this certificate.
async fn until_shown(authority: &Authority, server: &Process, certificate: &CertificateDer<'_>) {
    let came = async {
        while shown(authority, server).await != *certificate {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, came).await.expect("the new certificate is not shown");
}

/// The figure of reloads with this outcome.
async fn reloads(server: &Process, outcome: &str) -> u32 {
    let metrics = server.get("/metrics").await;
    let line = metrics.lines().find(|line| {
        line.starts_with("symbolon_reloads_total{") && line.contains("what=\"tls\"") && line.contains(outcome)
    });
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// How often the server said that what is new cannot be used.
fn complaints(server: &Process) -> usize {
    let said = String::from_utf8_lossy(&server.output()).into_owned();
    said.lines().filter(|line| line.contains(" WARN ") && line.contains("the old stays")).count()
}

/// R-AUTHZ-02
#[tokio::test]
async fn a_bad_pair_on_disk_keeps_the_old_and_says_so_once() {
    let (dir, authority) = (folder(), Authority::new());
    let (old, new) = (authority.server(), authority.server());
    old.write(dir.path(), "server");
    let server = Process::dev(dir.path(), &[(CERT, "server.pem"), (KEY, "server.key")]).await;
    // The new certificate, and the old key.
    std::fs::write(dir.path().join("server.pem"), &new.chain).unwrap();
    let told = async {
        while complaints(&server) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("nothing is said of a bad pair");
    assert_eq!(shown(&authority, &server).await, old.certificates()[0]);
    // It looks again, and has nothing new to say.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((complaints(&server), reloads(&server, "refused").await, reloads(&server, "applied").await), (1, 1, 0));
    assert_eq!(shown(&authority, &server).await, old.certificates()[0]);
    let said = String::from_utf8_lossy(&server.output()).into_owned();
    assert_says(&said, &["the key in server.key does not belong to the first certificate in server.pem"]);
    // The key comes, first for everybody.
    write(&dir, "server.key", &new.key, 0o644);
    let told = async {
        while complaints(&server) == 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, told).await.expect("nothing is said of a loose key");
    assert_eq!(shown(&authority, &server).await, old.certificates()[0]);
    write(&dir, "server.key", &new.key, 0o600);
    until_shown(&authority, &server, &new.certificates()[0]).await;
    assert_eq!((complaints(&server), reloads(&server, "applied").await), (2, 1));
}

/// Puts a version of the files where Kubernetes would: a folder of its own, and a link that is swapped.
fn mount(dir: &Path, version: &str) {
    let link = dir.join("..data_tmp");
    symlink(version, &link).unwrap();
    std::fs::rename(link, dir.join("..data")).unwrap();
}

/// R-AUTHZ-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_load_and_no_call_fails() {
    let (dir, authority) = (folder(), Arc::new(Authority::new()));
    let versions = [authority.server(), authority.server(), authority.server()];
    for (version, issued) in versions.iter().enumerate() {
        let place = dir.path().join(version.to_string());
        std::fs::create_dir(&place).unwrap();
        issued.write(&place, "tls");
    }
    mount(dir.path(), "0");
    let env = [(CERT, "..data/tls.pem"), (KEY, "..data/tls.key")];
    let server = Process::dev(dir.path(), &env).await;

    let (over, calls, connections) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for client in 0..4 {
        let (over, calls, connections) = (Arc::clone(&over), Arc::clone(&calls), Arc::clone(&connections));
        let (authority, address) = (Arc::clone(&authority), server.grpc.clone());
        clients.spawn(async move {
            let mut channel = authority.channel(&address, None).await.unwrap();
            while !over.load(Ordering::Relaxed) {
                // Two keep their connection, two take a new one for every few calls.
                if client % 2 == 0 {
                    channel = authority.channel(&address, None).await.unwrap();
                    connections.fetch_add(1, Ordering::Relaxed);
                }
                let mut client = AuthServiceClient::new(channel.clone());
                for _ in 0..3 {
                    client.issue_tokens(sign_in("alice")).await.unwrap();
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    for (version, issued) in versions.iter().enumerate().skip(1) {
        let (before, connected) = (calls.load(Ordering::Relaxed), connections.load(Ordering::Relaxed));
        mount(dir.path(), &version.to_string());
        until_shown(&authority, &server, &issued.certificates()[0]).await;
        let worked = async {
            while calls.load(Ordering::Relaxed) < before + 50 || connections.load(Ordering::Relaxed) < connected + 5 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, worked).await.expect("the load went on");
    }
    over.store(true, Ordering::Relaxed);
    // Panics if a call failed.
    clients.join_all().await;
    assert_eq!((reloads(&server, "applied").await, reloads(&server, "refused").await), (2, 0));
}

/// R-AUTHZ-02
#[tokio::test]
async fn a_client_ca_that_changes_decides_over_new_connections() {
    let (dir, authority, old, new) = (folder(), Authority::new(), Authority::new(), Authority::new());
    authority.server().write(dir.path(), "server");
    let ca = dir.path().join("callers.pem");
    std::fs::write(&ca, old.pem()).unwrap();
    let env = [(CERT, "server.pem"), (KEY, "server.key"), (CLIENT_CA, "callers.pem")];
    let server = Process::dev(dir.path(), &env).await;
    let works = async |issued| {
        let channel = authority.channel(&server.grpc, Some(issued)).await;
        let Ok(channel) = channel else { return false };
        AuthServiceClient::new(channel).issue_tokens(sign_in("alice")).await.is_ok()
    };
    let (of_old, of_new) = (old.client(&["a.example"]), new.client(&["a.example"]));
    assert!(works(&of_old).await && !works(&of_new).await);
    std::fs::write(&ca, new.pem()).unwrap();
    let came = async {
        while !works(&of_new).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, came).await.expect("the new CA is not believed");
    assert!(!works(&of_old).await, "the old CA is still believed");
}

#[tokio::test]
async fn half_a_pair_is_refused() {
    let dir = folder();
    let mut command: Command = Process::command(dir.path());
    command.args(["config", "check"]).envs([ISSUER, (CERT, "server.pem")]);
    assert_says(&sentence(command).await, &["grpc.tls_cert_file", "needs `grpc.tls_key_file`"]);
}
