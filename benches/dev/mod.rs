//! `symbolon dev` in a process of its own, for whoever measures it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tonic::transport::Channel;

/// A server on free ports, on a file in a folder. Ends when dropped.
pub(crate) struct Server {
    child: Child,
    banner: String,
}

impl Server {
    pub(crate) fn start(dir: &Path, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_symbolon"));
        for name in ["SYMBOLON_GRPC_LISTEN", "SYMBOLON_OPS_LISTEN", "SYMBOLON_EDGE_LISTEN"] {
            command.env(name, "localhost:0");
        }
        command.envs(env.iter().copied());
        let mut child =
            command.arg("dev").current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut banner = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
            banner += &(line.clone() + "\n");
            if line.contains("describe") {
                break;
            }
        }
        Self { child, banner }
    }

    /// The address that stands behind this in what it printed.
    pub(crate) fn at(&self, label: &str) -> String {
        self.banner.split_once(label).unwrap().1.split([',', '/', ' ']).next().unwrap().to_owned()
    }

    pub(crate) async fn client(&self) -> AuthServiceClient<Channel> {
        let channel = Channel::from_shared(format!("http://{}", self.at("gRPC         "))).unwrap();
        AuthServiceClient::new(channel.connect().await.unwrap())
    }

    /// The CPU time it has used, in milliseconds.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(&self.child)
    }
}

/// The CPU time a process has used, in milliseconds.
pub(crate) fn cpu(process: &Child) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10.0
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
