use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

/// The folder with prometheus and promtool, installed by the first test that asks.
pub(crate) fn tools() -> &'static PathBuf {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let told = Command::new(root.join("tests/tools/prometheus")).arg(root.join("target/tools")).output().unwrap();
        assert!(told.status.success(), "tests/tools/prometheus: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap().trim().into()
    })
}

/// A Prometheus that scrapes one server twice a second. Killed when dropped.
pub(crate) struct Prometheus {
    address: String,
    _running: (Child, TempDir),
}

impl Prometheus {
    pub(crate) async fn start(scraped: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms }}\n\
             scrape_configs: [ {{ job_name: symbolon, static_configs: [ {{ targets: [ '{scraped}' ] }} ] }} ]\n"
        );
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let mut command = tokio::process::Command::new(tools().join("prometheus"));
        command.arg("--config.file=prometheus.yml").arg("--storage.tsdb.path=data");
        command.arg(format!("--web.listen-address={address}")).current_dir(dir.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let ready = async {
            while get(&address, "/-/ready").await.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ready).await.expect("prometheus is not ready");
        Self { address, _running: (child, dir) }
    }

    async fn ask(&self, path: &str, query: &str) -> Value {
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let body = get(&self.address, &format!("/api/v1/{path}query={query}")).await.unwrap();
        serde_json::from_str::<Value>(&body).unwrap()["data"]["result"].clone()
    }

    /// What a query says now, without what is no number.
    pub(crate) async fn values(&self, query: &str) -> Vec<f64> {
        let series = self.ask("query?", query).await;
        let values = series.as_array().unwrap().iter().map(|series| series["value"][1].as_str().unwrap());
        values.map(|value| value.parse().unwrap()).filter(|value: &f64| !value.is_nan()).collect()
    }

    /// The curve of the first series of a query, over the last seconds: a value a second, by how long ago.
    pub(crate) async fn curve(&self, query: &str, seconds: u32) -> Vec<(f64, f64)> {
        let end = self.values("vector(time())").await[0];
        let start = end - f64::from(seconds);
        let series = self.ask(&format!("query_range?start={start}&end={end}&step=1&"), query).await;
        let points = series[0]["values"].as_array().cloned().unwrap_or_default();
        let point = |point: &Value| (point[0].as_f64().unwrap() - start, point[1].as_str().unwrap().parse().unwrap());
        points.iter().map(point).filter(|(_, value): &(f64, f64)| value.is_finite()).collect()
    }
}

/// What is answered with 200, in HTTP/1.0: whole, however long it is.
async fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}
