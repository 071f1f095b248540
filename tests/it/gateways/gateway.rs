//! A gateway with what stands around it.

use std::path::Path;
use std::time::Duration;

use symbolon::pb::auth::IssueTokensRequest;
use tempfile::TempDir;

use super::upstream::Upstream;
use crate::support::front::{Front, Fronted, free};
use crate::support::http::{Connection, raw};
use crate::support::{Answer, Ask, Process, entry, sign_in};

/// Every gateway that has a recipe.
pub(super) const GATEWAYS: [Front; 4] = [Front::Nginx, Front::Caddy, Front::Envoy, Front::Traefik];

/// Where those stand that a recipe names.
pub(super) struct Places {
    pub(super) front: u16,
    pub(super) edge: u16,
    pub(super) exchange: u16,
    pub(super) application: u16,
}

/// Starts a gateway as its recipe has it, but for its addresses and for what `change` makes of it.
pub(super) async fn start(
    gateway: Front,
    dir: &Path,
    Places { front, edge, exchange, application }: Places,
    change: impl Fn(String) -> String,
) -> Fronted {
    let (files, differences) = match gateway {
        Front::Nginx => (
            &["gateways/nginx.conf"][..],
            vec![
                ("listen 127.0.0.1:8000;", format!("listen 127.0.0.1:{front};")),
                ("server 127.0.0.1:8080;", format!("server 127.0.0.1:{edge};")),
                ("server 127.0.0.1:8081;", format!("server 127.0.0.1:{exchange};")),
                ("server localhost:8080;", format!("server 127.0.0.1:{application};")),
            ],
        ),
        Front::Caddy => (
            &["gateways/Caddyfile"][..],
            vec![
                ("http://:8000 {", format!("http://:{front} {{")),
                (" 127.0.0.1:8080 {", format!(" 127.0.0.1:{edge} {{")),
                (" 127.0.0.1:8081 {", format!(" 127.0.0.1:{exchange} {{")),
                (" localhost:8080", format!(" 127.0.0.1:{application}")),
            ],
        ),
        Front::Envoy => (
            &["gateways/envoy.yaml"][..],
            vec![
                ("127.0.0.1, port_value: 8000 }", format!("127.0.0.1, port_value: {front} }}")),
                ("127.0.0.1, port_value: 8080 }", format!("127.0.0.1, port_value: {edge} }}")),
                ("127.0.0.1, port_value: 8081 }", format!("127.0.0.1, port_value: {exchange} }}")),
                ("port_value: 8080, address: 127.0.0.1 }", format!("port_value: {application}, address: 127.0.0.1 }}")),
            ],
        ),
        Front::Traefik => (
            &["gateways/traefik.yaml", "gateways/traefik-routes.yaml"][..],
            vec![
                ("127.0.0.1:8000", format!("127.0.0.1:{front}")),
                ("127.0.0.1:8080", format!("127.0.0.1:{edge}")),
                ("127.0.0.1:8081", format!("127.0.0.1:{exchange}")),
                ("localhost:8080", format!("127.0.0.1:{application}")),
                ("symbolon-8000", format!("symbolon-8000, symbolon-{front}")),
                ("filename: deploy/gateways", format!("filename: {}", dir.display())),
            ],
        ),
    };
    let fronted = gateway.run(dir, files, &differences, change, [front, front]).await;
    // Traefik listens before it knows the way.
    let known = async {
        while raw(&format!("127.0.0.1:{front}"), &Ask::get("/auth/check").bytes()).await.unwrap().status == 404 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), known).await.expect("it leads nowhere");
    fronted
}

/// A gateway in front of an upstream, an edge in BFF mode with its exchange, and the service of that.
pub(super) struct Gated {
    /// Where the gateway is: `127.0.0.1:port`.
    pub(super) address: String,
    /// The cookie's name.
    pub(super) name: String,
    pub(super) upstream: Upstream,
    /// None: away.
    issuer: Option<Process>,
    /// With the exchange. None: away.
    edge: Option<Process>,
    /// Of the service, and of everything else.
    dirs: [TempDir; 2],
    /// For as long as it is asked.
    _running: Fronted,
}

impl Gated {
    /// With access tokens of so long.
    pub(super) async fn start(gateway: Front, access_token_ttl: &str) -> Self {
        Self::start_with(gateway, access_token_ttl, |text| text).await
    }

    /// With a recipe that is changed first.
    pub(super) async fn start_with(gateway: Front, access_token_ttl: &str, change: impl Fn(String) -> String) -> Self {
        Self::start_as(gateway, access_token_ttl, change, &[]).await
    }

    /// With an edge that may not watch revocations, and what it is to do then.
    pub(super) async fn start_deaf(gateway: Front, when_stale: &str) -> Self {
        let env = [("SYMBOLON_EDGE_ISSUER_TOKEN", "deaf"), ("SYMBOLON_EDGE_WHEN_STALE", when_stale)];
        Self::start_as(gateway, "15m", |text| text, &env).await
    }

    async fn start_as(
        gateway: Front,
        access_token_ttl: &str,
        change: impl Fn(String) -> String,
        edge_env: &[(&str, &str)],
    ) -> Self {
        let [front, edge, exchange] = free();
        let upstream = Upstream::start().await;
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let clients = "[clients.web]\naudience = [\"api\"]\nrotation_when_due = true\nleeway = \"5s\"\n";
        let clients = format!("{clients}access_token_ttl = \"{access_token_ttl}\"\n");
        std::fs::write(dirs[0].path().join("clients.toml"), clients).unwrap();
        let deaf = entry("deaf", "clients = [\"web\"]\npermissions = [\"issue\", \"refresh\"]");
        std::fs::write(dirs[0].path().join("callers.toml"), deaf).unwrap();
        let files = [("SYMBOLON_CLIENTS_FILE", "clients.toml"), ("SYMBOLON_CALLERS_FILE", "callers.toml")];
        let issuer = Process::dev(dirs[0].path(), &files).await;
        let mut command = Process::command(dirs[1].path());
        command.arg("edge").envs([
            ("SYMBOLON_EDGE_LISTEN", format!("localhost:{edge}")),
            ("SYMBOLON_EDGE_PUBLIC_URL", format!("http://localhost:{front}")),
            ("SYMBOLON_EDGE_ISSUER_URL", format!("http://{}", issuer.grpc)),
            ("SYMBOLON_EDGE_TRUSTED_PROXIES", "127.0.0.1/32".to_owned()),
            ("SYMBOLON_EDGE_MODE", "bff".to_owned()),
            ("SYMBOLON_GATEWAY_LISTEN", format!("127.0.0.1:{exchange}")),
            ("SYMBOLON_GATEWAY_LOGIN_URL", "/sign-in".to_owned()),
        ]);
        command.envs(edge_env.iter().copied());
        let edge_process = Process::start(command).await;
        let ready = async {
            while !edge_process.get("/readyz").await.starts_with("HTTP/1.1 200") {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ready).await.expect("the edge never has the keys");
        let places = Places { front, edge, exchange, application: upstream.port };
        let fronted = start(gateway, dirs[1].path(), places, change).await;
        let (address, name) = (format!("127.0.0.1:{front}"), format!("symbolon-{front}"));
        Self { address, name, upstream, issuer: Some(issuer), edge: Some(edge_process), dirs, _running: fronted }
    }

    pub(super) fn issuer(&self) -> &Process {
        self.issuer.as_ref().unwrap()
    }

    pub(super) fn edge(&self) -> &Process {
        self.edge.as_ref().unwrap()
    }

    pub(super) async fn kill_issuer(&mut self) {
        self.issuer.take().unwrap().kill().await;
    }

    /// What the gateway has said.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.dirs[1].path().join("front.log")).unwrap()
    }

    pub(super) async fn kill_edge(&mut self) {
        self.edge.take().unwrap().kill().await;
    }

    /// Signs alice in; answers her session and her cookie, `name=value`.
    pub(super) async fn sign_in(&self, how: impl FnOnce(&mut IssueTokensRequest)) -> (String, String) {
        let mut request = sign_in("alice");
        how(&mut request);
        let issued = self.issuer().client().await.issue_tokens(request).await.unwrap().into_inner();
        let token = issued.tokens.unwrap().refresh_token;
        (issued.session.unwrap().session_id, format!("{}={token}", self.name))
    }

    pub(super) async fn ask(&self, ask: &Ask) -> Answer {
        raw(&self.address, &ask.bytes()).await.unwrap_or_else(|| panic!("no answer to {ask:?}"))
    }

    /// A connection for an upgrade; answers it too, since it goes on.
    pub(super) async fn upgrade(&self, ask: Ask) -> (Connection, Answer) {
        let ask = ask.header("connection", "Upgrade").header("upgrade", "websocket");
        let ask = ask.header("sec-websocket-version", "13").header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut connection = Connection::open(&self.address).await;
        connection.write(&ask.header("sec-fetch-mode", "websocket").bytes()).await;
        let answer = connection.answer().await.unwrap();
        (connection, answer)
    }

    /// How many refresh tokens the service has rotated.
    pub(super) async fn rotations(&self) -> u64 {
        let metrics = self.issuer().get("/metrics").await;
        let rotated =
            metrics.lines().find_map(|line| line.strip_prefix(r#"symbolon_refreshes_total{outcome="rotated"} "#));
        rotated.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
    }
}

/// A page load, as a browser asks for it when somebody clicks on a link of `site`.
pub(super) fn page_load(path: &str, site: &str) -> Ask {
    Ask::get(path)
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("sec-fetch-site", site)
}

/// What a script of a page of `site` asks for.
pub(super) fn fetch(method: &str, path: &str, site: &str) -> Ask {
    Ask::new(method, path).header("sec-fetch-mode", "cors").header("sec-fetch-site", site)
}
