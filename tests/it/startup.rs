//! Starting and stopping: what is made, what is refused with a sentence that says what to do, and how it ends.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sea_orm::ConnectionTrait;
use symbolon::pb::auth::{GetSessionRequest, IntrospectTokenRequest};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{Authority, MASTER_KEY, Process, assert_says, declare_backend, raw, redeem, sentence, sign_in};

const ISSUER: (&str, &str) = ("SYMBOLON_ISSUER", "http://localhost:8080");
const KEYS: (&str, &str) = ("SYMBOLON_MASTER_KEYS", MASTER_KEY);

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn data(dir: &TempDir) -> PathBuf {
    dir.path().join("symbolon-data")
}

/// A folder in which `dev` has run and stopped.
async fn developed() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    assert!(server.terminate().await.0.success());
    dir
}

fn command(dir: &Path, subcommand: &str, env: &[(&str, &str)]) -> Command {
    let mut command = Process::command(dir);
    if subcommand == "dev" {
        Process::say_dev(&mut command);
    } else {
        command.arg(subcommand);
    }
    command.envs(env.iter().copied());
    command
}

async fn execute(dir: &TempDir, sql: &str) {
    let raw = raw(&data(dir).join("symbolon.db")).await;
    raw.execute_unprepared(sql).await.unwrap();
    raw.close().await.unwrap();
}

/// R-AUTHZ-02
#[tokio::test]
async fn dev_in_an_empty_folder_makes_a_place_only_its_owner_can_enter_and_says_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let began = tokio::time::Instant::now();
    let server = Process::dev(dir.path(), &[]).await;
    let ready = began.elapsed();
    assert_eq!(mode(&data(&dir)), 0o700);
    assert_eq!(mode(&data(&dir).join("master-keys")), 0o600);
    assert_says(&server.banner, &["master-keys (made now)", "(migrated, 1 step)", "symbolon.db", &server.grpc]);
    assert!(server.get("/livez").await.starts_with("HTTP/1.1 200"));
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"));

    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kibibytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    println!("ready in {ready:?}, {kibibytes} KiB resident");
    assert!(kibibytes <= 64 * 1024, "{kibibytes} KiB");

    let keys = std::fs::read(data(&dir).join("master-keys")).unwrap();
    server.terminate().await;
    let again = Process::dev(dir.path(), &[]).await;
    assert!(!again.banner.contains("made now") && !again.banner.contains("migrated"), "{}", again.banner);
    assert_eq!(std::fs::read(data(&dir).join("master-keys")).unwrap(), keys);
}

/// R-OPS-01
#[tokio::test]
async fn a_second_process_on_the_same_database_is_refused_and_told_which() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let keys = data(&dir).join("master-keys").display().to_string();
    let serve = [ISSUER, ("SYMBOLON_MASTER_KEYS_FILE", keys.as_str())];
    for second in [command(dir.path(), "dev", &[]), command(dir.path(), "serve", &serve)] {
        assert_says(&sentence(second).await, &["symbolon-data/symbolon.db", "in use by another process"]);
    }
    server.client().await.issue_tokens(sign_in("alice")).await.unwrap();
    server.kill().await;
    // A killed process leaves no lock behind.
    Process::dev(dir.path(), &[]).await;
}

/// R-OPS-07
#[tokio::test]
async fn a_busy_port_is_named_with_its_setting() {
    let dir = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    for setting in ["SYMBOLON_GRPC_LISTEN", "SYMBOLON_OPS_LISTEN", "SYMBOLON_EDGE_LISTEN"] {
        let address = format!("localhost:{port}");
        let sentence = sentence(command(dir.path(), "dev", &[(setting, &address)])).await;
        assert_says(&sentence, &[&format!("port {port} of {address} is in use"), setting]);
    }
    assert!(!data(&dir).exists(), "what is refused leaves nothing behind");
}

/// R-OPS-07, R-KEY-05
#[tokio::test]
async fn serve_says_which_setting_or_command_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let serve = |env: &[(&str, &str)]| sentence(command(dir.path(), "serve", env));
    assert_says(&serve(&[]).await, &["issuer: missing", "SYMBOLON_ISSUER"]);
    assert_says(&serve(&[ISSUER]).await, &["no master key", "SYMBOLON_MASTER_KEYS_FILE", "/dev/urandom"]);
    assert_says(&serve(&[ISSUER, KEYS]).await, &["symbolon-data/symbolon.db", "`symbolon migrate up`"]);
    assert!(!data(&dir).exists(), "serve made something");

    let dir = developed().await;
    let hint = sentence(command(dir.path(), "serve", &[ISSUER])).await;
    assert_says(
        &hint,
        &["`symbolon dev` left some in ./symbolon-data", "SYMBOLON_MASTER_KEYS_FILE=./symbolon-data/master-keys"],
    );
    let other = sentence(command(dir.path(), "serve", &[ISSUER, KEYS])).await;
    assert_says(&other, &["master key 1 is not the key that was used under this id before"]);
}

/// R-OPS-04
#[tokio::test]
async fn serve_on_another_schema_names_the_command_and_leaves_it_alone() {
    let dir = developed().await;
    let keys = data(&dir).join("master-keys").display().to_string();
    let env = [ISSUER, ("SYMBOLON_MASTER_KEYS_FILE", keys.as_str())];
    execute(&dir, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m29991231_000001_future', 1)").await;
    let newer = ["m29991231_000001_future", "newer than this program"];
    assert_says(&sentence(command(dir.path(), "serve", &env)).await, &newer);
    assert_says(&sentence(command(dir.path(), "dev", &[])).await, &newer);

    execute(&dir, "DELETE FROM seaql_migrations").await;
    let older = sentence(command(dir.path(), "serve", &env)).await;
    assert_says(&older, &["lacks m20261124_000001_initial", "`symbolon migrate up`"]);
}

/// Why a command did not start, whatever it warned of before.
async fn told(mut command: Command) -> String {
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{said}");
    said.lines().last().unwrap().strip_prefix("error: ").unwrap().to_owned()
}

const TLS: [(&str, &str); 2] =
    [("SYMBOLON_GRPC_TLS_CERT_FILE", "server.pem"), ("SYMBOLON_GRPC_TLS_KEY_FILE", "server.key")];

/// R-AUTHZ-02
#[tokio::test]
async fn serve_beyond_loopback_is_refused_without_tls_and_callers_and_says_what_to_set() {
    let dir = developed().await;
    Authority::new().server().write(dir.path(), "server");
    let callers = declare_backend(dir.path());
    let keys = data(&dir).join("master-keys").display().to_string();
    let refused = async |address: &str, more: &[(&str, &str)]| {
        let env = [ISSUER, ("SYMBOLON_MASTER_KEYS_FILE", keys.as_str()), ("SYMBOLON_GRPC_LISTEN", address)];
        told(command(dir.path(), "serve", &[&env, more].concat())).await
    };
    for address in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0"] {
        let said = refused(address, &[]).await;
        assert_says(&said, &["SYMBOLON_GRPC_LISTEN is ", address, "loopback", "--insecure"]);
        assert_says(&said, &["SYMBOLON_GRPC_TLS_CERT_FILE and SYMBOLON_GRPC_TLS_KEY_FILE and SYMBOLON_CALLERS_FILE"]);
    }
    let said = refused("0.0.0.0:0", &TLS).await;
    assert!(said.contains("set SYMBOLON_CALLERS_FILE;") && !said.contains("TLS"), "{said}");
    let said = refused("0.0.0.0:0", &[callers]).await;
    assert!(said.contains("SYMBOLON_GRPC_TLS_KEY_FILE;") && !said.contains("CALLERS"), "{said}");
    // `dev` asks nobody for a credential, whatever is set.
    let env = [&TLS[..], &[callers, ("SYMBOLON_GRPC_LISTEN", "0.0.0.0:0")]].concat();
    let said = told(command(dir.path(), "dev", &env)).await;
    assert!(said.contains("loopback") && said.contains("`symbolon serve`") && !said.contains("--insecure"), "{said}");
}

/// `symbolon serve` on all addresses of a machine that has none but its own, if this user can have one.
async fn on_all_addresses(dir: &TempDir, flags: &[&str], env: &[(&str, &str)]) -> String {
    let alone = ["unshare", "--user", "--map-root-user", "--net"];
    let mut able = std::process::Command::new(alone[0]);
    able.args(&alone[1..]).args([env!("CARGO_BIN_EXE_symbolon"), "--version"]);
    let is_able = able.output().is_ok_and(|output| output.status.success());
    let keys = data(dir).join("master-keys").display().to_string();
    let mut command = Process::command_under(dir.path(), if is_able { &alone } else { &[] });
    command.arg("serve").args(flags).envs([ISSUER, ("SYMBOLON_MASTER_KEYS_FILE", keys.as_str())]);
    command.env("SYMBOLON_OPS_LISTEN", if is_able { "0.0.0.0:0" } else { "127.0.0.1:0" });
    command.env("SYMBOLON_GRPC_LISTEN", "0.0.0.0:0").envs(env.iter().copied());
    let (status, said) = Process::start(command).await.terminate().await;
    assert!(status.success(), "{said}");
    said
}

/// R-AUTHZ-02
#[tokio::test]
async fn serve_beyond_loopback_starts_with_tls_and_callers_or_says_loudly_what_is_missing() {
    let dir = developed().await;
    Authority::new().server().write(dir.path(), "server");
    let callers = declare_backend(dir.path());
    let warned = |said: &str| said.lines().filter(|it| it.contains(" WARN ") && it.contains("--insecure")).count();
    let said = on_all_addresses(&dir, &["--insecure"], &[]).await;
    assert_eq!(warned(&said), 2, "{said}");
    assert_says(&said, &["without TLS, whoever", "SYMBOLON_GRPC_TLS_CERT_FILE", "without callers", callers.0]);
    let said = on_all_addresses(&dir, &["--insecure"], &TLS).await;
    assert!(warned(&said) == 1 && said.contains("without callers"), "{said}");
    let said = on_all_addresses(&dir, &[], &[&TLS[..], &[callers]].concat()).await;
    assert_eq!(warned(&said), 0, "{said}");
}

/// R-OPS-03
#[tokio::test]
async fn serve_with_what_dev_left_goes_on_with_its_sessions() {
    let dir = tempfile::tempdir().unwrap();
    let dev = Process::dev(dir.path(), &[]).await;
    let issued = dev.client().await.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    let (tokens, session) = (issued.tokens.unwrap(), issued.session.unwrap());
    assert!(dev.terminate().await.0.success());

    let keys = data(&dir).join("master-keys").display().to_string();
    let env = [ISSUER, ("SYMBOLON_MASTER_KEYS_FILE", keys.as_str()), declare_backend(dir.path())];
    let serve = Process::start(command(dir.path(), "serve", &env)).await;
    let mut client = serve.as_caller("backend").await;
    let request = GetSessionRequest { session_id: session.session_id.clone() };
    assert_eq!(client.get_session(request).await.unwrap().into_inner().session, Some(session));
    let judged = client.introspect_token(IntrospectTokenRequest { token: tokens.access_token }).await.unwrap();
    assert!(judged.into_inner().active);
    let next = client.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap().into_inner().tokens.unwrap();
    assert!(serve.terminate().await.0.success());

    let dev = Process::dev(dir.path(), &[]).await;
    dev.client().await.refresh_tokens(redeem(&next.refresh_token)).await.unwrap();
}

/// R-RPC-05
#[tokio::test]
async fn sigterm_ends_it_with_exit_code_0_although_a_client_stays_and_leaves_one_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let mut idle = server.client().await;
    idle.issue_tokens(sign_in("alice")).await.unwrap();
    let (status, said) = server.terminate().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(!said.contains("ERROR") && !said.contains("panicked"), "{said}");
    let left: Vec<_> = ["symbolon.db", "symbolon.db-wal", "symbolon.db-shm"]
        .into_iter()
        .filter(|name| data(&dir).join(name).exists())
        .collect();
    assert_eq!(left, ["symbolon.db"]);
    assert!(idle.issue_tokens(sign_in("alice")).await.is_err());
}

/// A command as somebody who is not root, who may write wherever he is asked to.
fn as_nobody(dir: &Path) -> Option<Command> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Some(Process::command(dir));
    }
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut able = std::process::Command::new(nobody[0]);
    able.args(&nobody[1..]).args([env!("CARGO_BIN_EXE_symbolon"), "--version"]);
    able.output().is_ok_and(|output| output.status.success()).then(|| Process::command_under(dir, &nobody))
}

/// R-OPS-07
#[tokio::test]
async fn a_database_that_may_not_be_written_to_starts_nothing_and_is_named() {
    let dir = developed().await;
    let Some(mut dev) = as_nobody(dir.path()) else {
        println!("not tried: this user may write everywhere, and nobody else can run the program");
        return;
    };
    for (path, mode) in [
        (dir.path().to_owned(), 0o755),
        (data(&dir), 0o777),
        (data(&dir).join("master-keys"), 0o444),
        (data(&dir).join("symbolon.db.lock"), 0o666),
        (data(&dir).join("symbolon.db"), 0o444),
    ] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    Process::say_dev(&mut dev);
    assert_says(&sentence(dev).await, &["symbolon-data/symbolon.db", "cannot be written to"]);

    std::fs::set_permissions(data(&dir).join("symbolon.db.lock"), PermissionsExt::from_mode(0o444)).unwrap();
    let mut dev = as_nobody(dir.path()).unwrap();
    Process::say_dev(&mut dev);
    assert_says(&sentence(dev).await, &["symbolon.db.lock", "cannot be opened"]);
}

/// R-OPS-07, R-OBS-01
#[tokio::test]
async fn files_that_are_not_what_they_should_be_are_named_and_not_shown() {
    let dir = developed().await;
    std::fs::write(data(&dir).join("symbolon.db"), vec![b'x'; 8192]).unwrap();
    assert_says(&sentence(command(dir.path(), "dev", &[])).await, &["symbolon-data/symbolon.db"]);

    let secret = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh";
    for content in ["", "\n", secret, "hunter2hunter2"] {
        std::fs::write(data(&dir).join("master-keys"), content).unwrap();
        let sentence = sentence(command(dir.path(), "dev", &[])).await;
        assert_says(&sentence, &["symbolon-data/master-keys"]);
        assert!(content.trim().is_empty() || !sentence.contains(content), "{sentence}");
    }
    let nowhere = sentence(command(dir.path(), "dev", &[("SYMBOLON_DATA_DIR", "/proc/nowhere")])).await;
    assert_says(&nowhere, &["the data directory /proc/nowhere cannot be made"]);
}
