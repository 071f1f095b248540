use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Child;

use super::http::raw;
use super::{Application, Ask, claimed, tools};

/// nginx, installed by the first test that asks.
pub(crate) fn nginx() -> &'static PathBuf {
    static NGINX: OnceLock<PathBuf> = OnceLock::new();
    NGINX.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let told = Command::new(root.join("tests/tools/nginx")).arg(root.join("target/tools")).output().unwrap();
        assert!(told.status.success(), "tests/tools/nginx: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap().trim().into()
    })
}

/// A proxy with a recipe in `deploy/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Nginx,
    Caddy,
    Envoy,
    Traefik,
}

/// The ports of this machine that stand in place of those in a recipe.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    /// Where the proxy listens.
    pub(crate) front: u16,
    pub(crate) edge: u16,
    pub(crate) application: u16,
}

/// A proxy that runs with its recipe. Killed when dropped.
pub(crate) struct Fronted {
    /// Where it is spoken to by HTTP/2 without TLS: `127.0.0.1:port`.
    pub(crate) http2: String,
    _child: Child,
}

impl Front {
    /// What the recipe says, and what it has to say here: other ports, and HTTP/2 without TLS.
    fn differences(self, dir: &Path, ports: Ports, http2: u16) -> Vec<(&'static str, String)> {
        let Ports { front, edge, application } = ports;
        match self {
            Self::Nginx => vec![
                ("listen 127.0.0.1:8000;", format!("listen 127.0.0.1:{front}; listen 127.0.0.1:{http2} http2;")),
                ("server 127.0.0.1:8080;", format!("server 127.0.0.1:{edge};")),
                ("server 127.0.0.1:3000;", format!("server 127.0.0.1:{application};")),
            ],
            Self::Caddy => vec![
                ("admin off", "admin off\nservers {\nprotocols h1 h2 h2c\n}".to_owned()),
                ("http://:8000 {", format!("http://:{front} {{")),
                (" 127.0.0.1:8080 {", format!(" 127.0.0.1:{edge} {{")),
                (" 127.0.0.1:3000 {", format!(" 127.0.0.1:{application} {{")),
            ],
            Self::Envoy => vec![
                ("port_value: 8000 }", format!("port_value: {front} }}")),
                ("port_value: 8080 }", format!("port_value: {edge} }}")),
                ("port_value: 3000 }", format!("port_value: {application} }}")),
            ],
            Self::Traefik => vec![
                ("127.0.0.1:8000", format!("127.0.0.1:{front}")),
                ("127.0.0.1:8080", format!("127.0.0.1:{edge}")),
                ("127.0.0.1:3000", format!("127.0.0.1:{application}")),
                ("filename: deploy", format!("filename: {}", dir.display())),
            ],
        }
    }

    /// The recipe's files, the first of which the proxy is given.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Nginx => &["nginx.conf"],
            Self::Caddy => &["Caddyfile"],
            Self::Envoy => &["envoy-edge.yaml"],
            Self::Traefik => &["traefik.yaml", "traefik-hosts.yaml"],
        }
    }

    fn command(self, dir: &Path, file: &str) -> Command {
        let bin = |name: &str| Command::new(tools().join("python/bin").join(name));
        let file = dir.join(file);
        let mut command = match self {
            Self::Nginx => Command::new(nginx()),
            Self::Caddy => bin("caddy"),
            Self::Envoy => bin("envoy"),
            Self::Traefik => bin("traefik"),
        };
        match self {
            // One process, which ends when it is killed.
            Self::Nginx => {
                command.arg("-p").arg(dir).args(["-e", "stderr", "-g", "master_process off;", "-c"]).arg(file)
            }
            Self::Caddy => command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file).env("HOME", dir),
            Self::Envoy => command.args(["--use-dynamic-base-id", "--log-level", "error", "-c"]).arg(file),
            Self::Traefik => command.arg(format!("--configFile={}", file.display())),
        };
        command
    }

    /// Starts the proxy as its recipe has it, but for its addresses, and waits until it listens.
    pub(crate) async fn start(self, dir: &Path, ports: Ports) -> Fronted {
        self.start_with(dir, ports, |text| text).await
    }

    /// The same, but for what `change` makes of a file's text, too.
    pub(crate) async fn start_with(self, dir: &Path, ports: Ports, change: impl Fn(String) -> String) -> Fronted {
        // The others tell by what is said first on the same port.
        let http2 = if self == Self::Nginx { free::<1>()[0] } else { ports.front };
        self.run(dir, self.files(), &self.differences(dir, ports, http2), change, [ports.front, http2]).await
    }

    /// Starts the proxy with some files of `deploy/`, the first of which it is given, in which something else stands in place
    /// of what is named; and waits until it listens on the first of two ports, the other of which is for HTTP/2.
    pub(crate) async fn run(
        self,
        dir: &Path,
        files: &[&str],
        differences: &[(&str, String)],
        change: impl Fn(String) -> String,
        [port, http2]: [u16; 2],
    ) -> Fronted {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let mut missing: Vec<_> = differences.iter().map(|(named, _)| *named).collect();
        for file in files {
            let mut text = std::fs::read_to_string(deploy.join(file)).unwrap();
            for (named, here) in differences {
                missing.retain(|it| it != named || !text.contains(named));
                text = text.replace(named, here);
            }
            std::fs::write(dir.join(Path::new(file).file_name().unwrap()), change(text)).unwrap();
        }
        assert!(missing.is_empty(), "{missing:?} is not in {files:?}");

        let (at, file) = (dir.to_owned(), Path::new(files[0]).file_name().unwrap().to_str().unwrap().to_owned());
        let command = tokio::task::spawn_blocking(move || self.command(&at, &file)).await.unwrap();
        let log = dir.join("front.log");
        let file = std::fs::File::create(&log).unwrap();
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = ("127.0.0.1", port);
        let listening = async {
            while TcpStream::connect(address).await.is_err() && child.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(20), listening).await;
        let listens = TcpStream::connect(address).await.is_ok();
        assert!(listens, "{self:?} does not listen:\n{}", std::fs::read_to_string(&log).unwrap());
        Fronted { http2: format!("127.0.0.1:{http2}"), _child: child }
    }
}

/// Fails unless a proxy asks the edge before it asks the application of this host, whose page has this access token.
pub(crate) async fn assert_edge_is_asked_first(address: &str, host: &str, application: &Application, token: &str) {
    let names = ["subject", "session", "client", "scope", "acr"].map(|name| format!("x-symbolon-{name}"));
    let ask = async |token: Option<&str>| {
        let ask = names.iter().fold(Ask::get("/orders").header("host", host), |ask, name| ask.header(name, "forged"));
        let ask = token.iter().fold(ask, |ask, token| ask.bearer(token));
        raw(address, &ask.bytes()).await.unwrap()
    };
    assert_eq!(ask(Some(token)).await.body, "the application");
    let seen = application.saw();
    let claims = claimed(token);
    for (name, value) in names.iter().zip([Some("alice"), claims["sid"].as_str(), Some("web"), None, None]) {
        let told: Vec<_> = seen[0].get_all(name).iter().filter(|told| !told.is_empty()).collect();
        assert_eq!(told, value.into_iter().collect::<Vec<_>>(), "{name}");
    }
    for token in [None, Some("undefined"), Some(&token[..token.len() - 4])] {
        assert_eq!(ask(token).await.status, 401, "{token:?}");
    }
    assert_eq!(application.saw().len(), 0, "it was asked");
}

/// So many free ports, for whoever has to be told one. They are not of those the system gives away by itself: between the
/// look and the use it would give one to somebody else.
pub(crate) fn free<const COUNT: usize>() -> [u16; COUNT] {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let taken = |address| TcpListener::bind(address).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    [(); COUNT].map(|()| {
        loop {
            let number = std::process::id().wrapping_mul(97).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
            let port = 10_000 + u16::try_from(number % 20_000).unwrap();
            if !taken(("127.0.0.1", port)) && !taken(("::1", port)) {
                return port;
            }
        }
    })
}

/// Jars as headers, and what is left of them for whoever is not the edge; `$` stands for the cookie's name.
pub(crate) const JARS: [(&[&str], &str); 21] = [
    (&["$=sr1_x"], ""),
    (&["$="], ""),
    (&[" \t$ =\tsr1_x;"], ""),
    (&["__Host-Http-symbolon=sr1_x"], ""),
    (&["__HOST-HTTP-SYMBOLON=x; a=1"], "a=1"),
    (&["a=1; b=2"], "a=1; b=2"),
    (&["$=sr1_x; a=1; b=2"], "a=1; b=2"),
    (&["a=1; $=sr1_x; b=2"], "a=1; b=2"),
    (&["a=1; b=2; $=sr1_x"], "a=1; b=2"),
    (&["a=1;$=sr1_x;b=2"], "a=1;b=2"),
    // Two of the name, beside each other and apart, and three.
    (&["$=sr1_x; $=sr1_y"], ""),
    (&["a=1; $=sr1_x; $=sr1_y; b=2"], "a=1; b=2"),
    (&["$=sr1_x; a=1; $=sr1_y"], "a=1"),
    (&["$=sr1_x; a=1; $=sr1_y; b=2; $=sr1_z; c=3"], "a=1; b=2; c=3"),
    (&["$=sr1_x; a=1; __Host-Http-symbolon=sr1_y"], "a=1"),
    // In headers of their own.
    (&["a=1", "$=sr1_x", "b=2"], "a=1; b=2"),
    (&["$=sr1_x", "$=sr1_y", "b=2"], "b=2"),
    (&["a=1; $=sr1_x", "$=sr1_y; b=2"], "a=1; b=2"),
    // Quotes hide nothing.
    (&["a=\"x; $=sr1_x; b=y\""], "a=\"x; b=y\""),
    // What only looks like it is somebody else's.
    (&["my$=1; $x=2; a=$=1; $; =3"], "my$=1; $x=2; a=$=1; $; =3"),
    (&["a=b=c==; d=\"e f\"; g=%20; h"], "a=b=c==; d=\"e f\"; g=%20; h"),
];
