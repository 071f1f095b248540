use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tonic::transport::Channel;

/// `symbolon dev` in a process of its own, on free ports. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it printed when it began to serve.
    pub(crate) banner: String,
    /// Where gRPC is: `localhost:port`.
    pub(crate) grpc: String,
    pub(crate) ops: String,
}

impl Process {
    /// The command line, with nothing of this process's environment that could be meant for it.
    pub(crate) fn command(dir: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_symbolon"));
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

    /// Starts `dev` in `dir` and waits until it serves.
    pub(crate) async fn dev(dir: &Path, env: &[(&str, &str)]) -> Self {
        let mut command = Self::command(dir);
        command.arg("dev").envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        let read = async {
            while let Some(line) = stdout.next_line().await.unwrap() {
                banner.push_str(&line);
                banner.push('\n');
                if line.contains("describe") {
                    return true;
                }
            }
            false
        };
        let served = tokio::time::timeout(Duration::from_secs(20), read).await.unwrap_or(false);
        if !served {
            child.kill().await.unwrap();
            let mut log = String::new();
            child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
            panic!("dev did not begin to serve:\n{banner}\n{log}");
        }
        // Read on, so that the process never waits for a reader.
        let mut stderr = child.stderr.take().unwrap();
        tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        let after = |label: &str| {
            let rest = banner.split_once(label).unwrap().1.trim_start();
            rest.split([',', '/', '\n']).next().unwrap().trim().to_owned()
        };
        let (grpc, ops) = (after("gRPC "), after("ops          http://"));
        Self { child, grpc, ops, banner }
    }

    pub(crate) async fn client(&self) -> AuthServiceClient<Channel> {
        let channel = Channel::from_shared(format!("http://{}", self.grpc)).unwrap();
        AuthServiceClient::new(channel.connect().await.unwrap())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}
