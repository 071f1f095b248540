//! The README's second path, run as it stands there: from an empty PostgreSQL to two replicas behind one address, of
//! which one may go.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;

use crate::support::{Postgres, Process, get, readme_path, redeem, sign_in, tools};

/// The ports the README names, and free ones in their place.
fn ports() -> Vec<(String, String)> {
    let named = ["50050", "50051", "50052", "9091", "9092"];
    let held: Vec<_> = named.map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).into();
    let free = held.iter().map(|listener| listener.local_addr().unwrap().port().to_string());
    named.iter().map(ToString::to_string).zip(free).collect()
}

fn script() -> String {
    let readme = std::fs::read_to_string(readme_path()).unwrap();
    let (_, rest) = readme.split_once("```sh two-replicas\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// Runs the README's block in `dir`; what it starts in the background goes on until the shell ends.
fn run(dir: &Path, postgres: &Postgres, ports: &[(String, String)]) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let replace = |text: String| ports.iter().fold(text, |text, (named, free)| text.replace(named, free));
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_symbolon"), bin.join("symbolon")).unwrap();
    for name in ["grpcurl", "envoy"] {
        std::os::unix::fs::symlink(tools().join("python/bin").join(name), bin.join(name)).unwrap();
    }
    std::fs::create_dir(dir.join("deploy")).unwrap();
    let envoy = std::fs::read_to_string(root.join("deploy/envoy.yaml")).unwrap();
    std::fs::write(dir.join("deploy/envoy.yaml"), replace(envoy)).unwrap();

    let script = replace(script()).replace("localhost:5432", &format!("127.0.0.1:{}", postgres.port()));
    // Envoy needs a moment before the first call; several may run on one machine.
    let script = script
        .replace("envoy -c", "envoy --use-dynamic-base-id -c")
        .replace("grpcurl -plaintext", "sleep 4; grpcurl -plaintext");
    Process::command(dir)
        .env_remove("SYMBOLON_GRPC_LISTEN")
        .env_remove("SYMBOLON_OPS_LISTEN")
        .env("PATH", format!("{}:{}:{}", bin.display(), Postgres::bin().display(), std::env::var("PATH").unwrap()))
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", postgres.port().to_string())
        .env("PGUSER", "postgres")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .as_shell(&format!("{script}\necho begun; read -r || true; kill $(jobs -p) || true; wait"))
}

trait AsShell {
    fn as_shell(&mut self, script: &str) -> Child;
}

impl AsShell for Command {
    /// The same environment and folder, with bash in the place of the program.
    fn as_shell(&mut self, script: &str) -> Child {
        let prepared = self.as_std();
        let mut shell = Command::new("bash");
        shell.args(["-ec", script]).current_dir(prepared.get_current_dir().unwrap()).kill_on_drop(true);
        for (name, value) in prepared.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }
}

async fn printed(shell: &mut Child) -> String {
    let mut stdout = shell.stdout.take().unwrap();
    let mut text = Vec::new();
    let read = async {
        let mut chunk = [0; 4096];
        while !text.windows(6).any(|window| window == b"begun\n") {
            let length = stdout.read(&mut chunk).await.unwrap();
            assert!(length > 0, "the block ended early: {}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&chunk[..length]);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("the block of the README hangs");
    String::from_utf8(text).unwrap()
}

/// R-OPS-09 (what one machine can show)
#[tokio::test]
async fn from_an_empty_postgresql_to_two_replicas_behind_one_address() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start();
    let ports = ports();
    let port = |named: &str| ports.iter().find(|(name, _)| name == named).unwrap().1.clone();
    let mut shell = run(dir.path(), &postgres, &ports);
    let printed = printed(&mut shell).await;
    assert!(printed.contains("\"refreshToken\": \"sr1_"), "{printed}");

    let address = format!("http://127.0.0.1:{}", port("50050"));
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    let secret = std::fs::read_to_string(dir.path().join("backend.token")).unwrap();
    let bearer: MetadataValue<_> = format!("Bearer {}", secret.trim()).parse().unwrap();
    let mut client = AuthServiceClient::with_interceptor(channel, move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    let mut token = client.issue_tokens(sign_in("bob")).await.unwrap().into_inner().tokens.unwrap().refresh_token;
    for _ in 0..20 {
        token = client.refresh_tokens(redeem(&token)).await.unwrap().into_inner().tokens.unwrap().refresh_token;
    }
    for ops in ["9091", "9092"] {
        let (_, figures) = get(&format!("localhost:{}", port(ops)), "/metrics").await;
        assert!(figures.contains("symbolon_refreshes_total{outcome=\"rotated\"}"), "{ops} served nothing: {figures}");
    }

    // One of them goes, as a crash would have it go.
    let first = format!("SYMBOLON_OPS_LISTEN=localhost:{}", port("9091"));
    let killed = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let environment = std::fs::read(path.join("environ")).ok()?;
        let of_symbolon = std::fs::read_to_string(path.join("comm")).ok()?.trim() == "symbolon";
        let ours = environment.split(|byte| *byte == 0).any(|variable| variable == first.as_bytes());
        (of_symbolon && ours).then(|| path.file_name().unwrap().to_string_lossy().into_owned())
    });
    let killed: Vec<_> = killed.collect();
    assert_eq!(killed.len(), 1);
    assert!(std::process::Command::new("kill").args(["-KILL", &killed[0]]).status().unwrap().success());
    for _ in 0..20 {
        token = client.refresh_tokens(redeem(&token)).await.unwrap().into_inner().tokens.unwrap().refresh_token;
    }
    drop(shell.stdin.take());
    tokio::time::timeout(Duration::from_secs(20), shell.wait()).await.unwrap().unwrap();
}
