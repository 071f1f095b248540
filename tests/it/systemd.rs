//! Run by systemd: what the process tells it, and what `deploy/symbolon.service` allows the process.

use std::os::unix::net::UnixDatagram as Blocking;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;

use crate::support::{MASTER_KEY, Process, declare_backend};

/// Where systemd would listen.
struct Systemd {
    socket: UnixDatagram,
    dir: TempDir,
}

impl Systemd {
    fn listen() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { socket: UnixDatagram::bind(dir.path().join("notify")).unwrap(), dir }
    }

    fn path(&self) -> String {
        self.dir.path().join("notify").display().to_string()
    }

    /// What it is told next.
    async fn told(&self) -> String {
        let mut datagram = [0; 256];
        let told = tokio::time::timeout(Duration::from_secs(20), self.socket.recv(&mut datagram)).await;
        let length = told.expect("it is told nothing").unwrap();
        String::from_utf8(datagram[..length].to_vec()).unwrap()
    }

    async fn is_told_nothing_for(&self, time: Duration) {
        let told = tokio::time::timeout(time, self.told()).await;
        assert!(told.is_err(), "it is told {told:?}");
    }
}

/// `serve` on a database of its own, not yet started.
async fn serve(dir: &Path, env: &[(&str, &str)]) -> Command {
    let usual = [
        ("SYMBOLON_ISSUER", "https://auth.example.com"),
        ("SYMBOLON_MASTER_KEYS", MASTER_KEY),
        ("SYMBOLON_LOG", "info"),
        declare_backend(dir),
    ];
    let migrated = Process::command(dir).args(["migrate", "up"]).envs(usual).output().await.unwrap();
    assert!(migrated.status.success(), "{migrated:?}");
    let mut command = Process::command(dir);
    command.arg("serve").envs(usual).envs(env.iter().copied());
    command
}

#[tokio::test]
async fn systemd_is_told_that_a_service_is_ready_and_that_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let systemd = Systemd::listen();
    let server = Process::start(serve(dir.path(), &[("NOTIFY_SOCKET", &systemd.path())]).await).await;
    assert_eq!(systemd.told().await, "READY=1");
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"));
    // Who sets no watchdog hears no more.
    systemd.is_told_nothing_for(Duration::from_millis(700)).await;
    let (status, said) = server.terminate().await;
    assert!(status.success(), "{said}");
    assert_eq!(systemd.told().await, "STOPPING=1");
    systemd.is_told_nothing_for(Duration::from_millis(10)).await;
}

#[tokio::test]
async fn systemd_is_not_told_that_an_edge_is_ready_before_it_is() {
    let [dir, behind] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let systemd = Systemd::listen();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut edge = Process::command(dir.path());
    edge.arg("edge").envs([
        ("SYMBOLON_EDGE_LISTEN", "localhost:0"),
        ("SYMBOLON_EDGE_PUBLIC_URL", "http://localhost:8080"),
        ("SYMBOLON_EDGE_ISSUER_URL", &format!("http://{free}")),
        ("NOTIFY_SOCKET", &systemd.path()),
    ]);
    let edge = Process::start(edge).await;
    systemd.is_told_nothing_for(Duration::from_millis(1500)).await;
    assert!(edge.get("/readyz").await.starts_with("HTTP/1.1 503"));
    let _service = Process::dev(behind.path(), &[("SYMBOLON_GRPC_LISTEN", &free)]).await;
    assert_eq!(systemd.told().await, "READY=1");
    assert!(edge.get("/readyz").await.starts_with("HTTP/1.1 200"));
    // It was looked for more than a second, and asked once by us.
    let (_, said) = edge.terminate().await;
    assert_eq!(said.matches("not ready").count(), 2, "{said}");
}

#[tokio::test]
async fn a_watchdog_hears_that_the_process_lives_and_another_processs_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let systemd = Systemd::listen();
    let path = systemd.path();
    let asked = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "300000")];
    let server = Process::start(serve(dir.path(), &asked).await).await;
    assert_eq!(systemd.told().await, "READY=1");
    for _ in 0..5 {
        assert_eq!(systemd.told().await, "WATCHDOG=1");
    }
    // A process that stands still is one that does not live.
    server.signal("-STOP").await;
    while tokio::time::timeout(Duration::from_millis(200), systemd.told()).await.is_ok() {}
    systemd.is_told_nothing_for(Duration::from_millis(500)).await;
    server.signal("-CONT").await;
    assert_eq!(systemd.told().await, "WATCHDOG=1");
    server.kill().await;
    while tokio::time::timeout(Duration::from_millis(200), systemd.told()).await.is_ok() {}

    let others = [&asked[..], &[("WATCHDOG_PID", "1")]].concat();
    let _server = Process::start(serve(dir.path(), &others).await).await;
    assert_eq!(systemd.told().await, "READY=1");
    systemd.is_told_nothing_for(Duration::from_millis(700)).await;
}

#[tokio::test]
async fn a_service_that_cannot_tell_systemd_says_so_and_serves() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    drop(Blocking::bind(&gone).unwrap());
    let server = Process::start(serve(dir.path(), &[("NOTIFY_SOCKET", gone.to_str().unwrap())]).await).await;
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (status, said) = server.terminate().await;
    assert!(status.success() && said.contains("systemd cannot be told"), "{said}");
}

/// How much of the machine a unit leaves open, in tenths of 10, as `systemd-analyze security` counts it: what needs a
/// network cannot come to nothing, and this is where "OK" begins.
const MOST_EXPOSED: &str = "15";

fn unit() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/symbolon.service")).unwrap()
}

/// What systemd says of a unit like ours; `None` where there is no systemd, but not in CI.
fn analyzed(arguments: &[&str], unit: &str) -> Option<(bool, String)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("symbolon.service");
    // What is installed elsewhere later is here now.
    std::fs::write(&path, unit.replace("/usr/local/bin/symbolon", env!("CARGO_BIN_EXE_symbolon"))).unwrap();
    match std::process::Command::new("systemd-analyze").args(arguments).arg(&path).output() {
        Ok(told) => {
            let said = [told.stdout, told.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
            Some((told.status.success(), said))
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "systemd-analyze: {error}");
            None
        }
    }
}

/// R-OPS-08
#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let Some(told) = analyzed(&["verify", "--man=no"], &unit()) else { return };
    assert_eq!(told, (true, String::new()));
    let (_, said) = analyzed(&["verify", "--man=no"], &unit().replace("ProtectHome", "ProtectHouse")).unwrap();
    assert!(said.contains("ProtectHouse"), "{said}");
}

/// R-OPS-08
#[test]
fn the_unit_leaves_little_of_the_machine_open() {
    let threshold = format!("--threshold={MOST_EXPOSED}");
    let asked = ["security", "--offline=true", "--no-pager", &threshold];
    let Some((good, said)) = analyzed(&asked, &unit()) else { return };
    assert!(good, "{said}");
    let (good, said) =
        analyzed(&asked, &unit().replace("PrivateUsers=yes\n", "").replace("ProtectProc=", "#")).unwrap();
    assert!(!good, "{said}");
}

/// Everything else is read-only for it.
#[test]
fn the_unit_can_write_the_audit_file_that_the_documentation_names() {
    let audit = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).unwrap();
    let named: Vec<_> = audit.split(['"', ' ', '\n']).filter(|word| word.ends_with("/audit.jsonl")).collect();
    assert_eq!(named, ["/var/log/symbolon/audit.jsonl"; 2]);
    let unit = unit();
    for line in ["ProtectSystem=strict", "LogsDirectory=symbolon", "LogsDirectoryMode=0700"] {
        assert!(unit.lines().any(|it| it == line), "{line}");
    }
}

#[test]
fn the_unit_sets_what_the_program_knows() {
    let table = symbolon::config::markdown_table();
    let unit = unit();
    let variables: Vec<_> =
        unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('=')).collect();
    assert_eq!(variables.len(), 2);
    for (name, _) in variables {
        assert!(table.contains(&format!("`{name}`")), "{name}");
    }
}
