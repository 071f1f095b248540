use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::MASTER_KEY;

/// `symbolon dev` or `serve` in a process of its own, on free ports. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it printed when it began to serve.
    pub(crate) banner: String,
    /// Where gRPC is: `localhost:port`.
    pub(crate) grpc: String,
    pub(crate) ops: String,
    /// Where the edge is, if there is one: `localhost:port`.
    pub(crate) edge: String,
    output: Output,
    readers: Vec<JoinHandle<()>>,
}

/// Everything a process has said so far, stdout and stderr.
type Output = Arc<Mutex<Vec<u8>>>;

impl Process {
    /// The command line, with nothing of this process's environment that could be meant for it.
    pub(crate) fn command(dir: &Path) -> Command {
        Self::command_under(dir, &[])
    }

    /// The same, run by `wrapper`, a command that is given the program's path as its last argument.
    pub(crate) fn command_under(dir: &Path, wrapper: &[&str]) -> Command {
        let words = [wrapper, &[env!("CARGO_BIN_EXE_symbolon")]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SYMBOLON_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(dir)
            .env("SYMBOLON_GRPC_LISTEN", "localhost:0")
            .env("SYMBOLON_OPS_LISTEN", "localhost:0")
            .kill_on_drop(true)
            .stdin(Stdio::null());
        command
    }

    /// Has a command line be `dev`, with an edge on a free port. Whatever port that is, the issuer stays, or it could not go
    /// on with what it left.
    pub(crate) fn say_dev(command: &mut Command) {
        command.arg("dev").env("SYMBOLON_EDGE_LISTEN", "localhost:0").env("SYMBOLON_ISSUER", "http://localhost:8080");
    }

    /// Starts `dev` in `dir` and waits until it serves.
    pub(crate) async fn dev(dir: &Path, env: &[(&str, &str)]) -> Self {
        let mut command = Self::command(dir);
        Self::say_dev(&mut command);
        command.envs(env.iter().copied());
        Self::start(command).await
    }

    /// Starts one of any number of servers on the database at `url`.
    pub(crate) async fn replica(dir: &Path, url: &str) -> Self {
        Self::dev(dir, &[("SYMBOLON_DATABASE_URL", url), ("SYMBOLON_MASTER_KEYS", MASTER_KEY)]).await
    }

    /// Starts what `command` says and waits until it serves.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Output::default();
        let readers = vec![
            tokio::spawn(keep(child.stdout.take().unwrap(), output.clone())),
            tokio::spawn(keep(child.stderr.take().unwrap(), output.clone())),
        ];
        let serving = async {
            loop {
                let said = String::from_utf8_lossy(&output.lock().unwrap()).into_owned();
                if let Some(ports) = ports(&said) {
                    return Some((said, ports));
                }
                if readers.iter().all(JoinHandle::is_finished) {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let served = tokio::time::timeout(Duration::from_secs(20), serving).await.ok().flatten();
        let Some((banner, ports)) = served else {
            let _ = child.kill().await;
            panic!("it did not begin to serve:\n{}", String::from_utf8_lossy(&output.lock().unwrap()));
        };
        let [grpc, ops, edge] = ports.map(|port| format!("localhost:{port}"));
        Self { child, banner, grpc, ops, edge, output, readers }
    }

    pub(crate) async fn client(&self) -> AuthServiceClient<Channel> {
        let channel = Channel::from_shared(format!("http://{}", self.grpc)).unwrap();
        AuthServiceClient::new(channel.connect().await.unwrap())
    }

    /// Where gateways ask a `dev` that has an exchange.
    pub(crate) fn exchange(&self) -> &str {
        self.banner.split_once("exchange     ").unwrap().1.split(' ').next().unwrap()
    }

    /// Sends it a signal, as `kill` names it: `-STOP` has it say nothing more while its connections stay, `-CONT` go on.
    pub(crate) async fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.id().to_string()]).status().await.unwrap();
        assert!(told.success());
    }

    /// What the ops listener answers, head and body.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.ops).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Whether it has not ended by itself.
    pub(crate) fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Everything it has said so far.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.output.lock().unwrap().clone()
    }

    /// Waits until it has said this: what it says is read when there is time.
    pub(crate) async fn says(&self, this: &str) {
        let said = || String::from_utf8_lossy(&self.output()).into_owned();
        for _ in 0..500 {
            if said().contains(this) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never says {this}:\n{}", said());
    }

    /// Fails if it had to heal a session. The refresh rule forgives a database that lost a rotation, so that a token
    /// works does not say that nothing was lost.
    pub(crate) fn assert_healed_nothing(&self) {
        let said = String::from_utf8_lossy(&self.output()).into_owned();
        let healed = said.lines().find(|line| line.contains(r#""event":"rolled_back""#));
        assert_eq!(healed, None, "an acknowledged rotation was lost");
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; answers how it ended and everything it said.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, String) {
        self.signal("-TERM").await;
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        let status = ended.expect("it did not end when told to").unwrap();
        for reader in self.readers {
            reader.await.unwrap();
        }
        (status, String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned())
    }
}

/// Keeps what it says, line by line, so that two pipes do not mix in the middle of one.
async fn keep(pipe: impl AsyncRead + Unpin, output: Output) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
        output.lock().unwrap().append(&mut line);
    }
}

/// The ports of gRPC, ops and edge, once it said the last of its first words: `dev` a banner, the others a line of their
/// log. What there is not has none.
fn ports(said: &str) -> Option<[String; 3]> {
    let after = |label: &str| {
        let rest = said.split_once(label)?.1;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some(rest[..digits].to_owned())
    };
    if said.contains("describe symbolon.auth.v1.AuthService\n") {
        let edge =
            ["http", "https"].into_iter().find_map(|scheme| after(&format!("edge         {scheme}://localhost:")));
        let edge = edge.unwrap_or_default();
        return Some([after("gRPC         localhost:")?, after("ops          http://localhost:")?, edge]);
    }
    let line = said.lines().find(|line| line.contains(" serving "))?;
    let after = |label: &str| line.split(' ').find_map(|word| word.strip_prefix(label)).unwrap_or_default().to_owned();
    Some([after("grpc="), after("ops="), after("edge=")])
}
