//! R-EDGE-08, R-EDGE-10: a real Chromium, the browser module and a real edge, by http and by https. The scenarios are
//! JavaScript, in `tests/browser`; here the servers are started and the scenarios' verdict is taken.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::support::{Process, tools};

/// So many scenarios there are at least: who loses some has not made them right.
const AT_LEAST: usize = 33;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a command says, which must succeed.
pub(crate) async fn said(mut command: Command) -> String {
    command.current_dir(root()).env("SYMBOLON_TOOLS", tools()).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(300), command.output()).await;
    let output = ended.expect("it hangs").unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// `dev` whose access tokens live so long, and which pages at `origin` may call.
pub(crate) async fn dev(dir: &Path, flags: &[&str], ttl: &str, origin: &str) -> Process {
    let mut command = Process::command(dir);
    Process::say_dev(&mut command);
    command.args(flags).env_remove("SYMBOLON_ISSUER");
    command.env("SYMBOLON_ACCESS_TOKEN_TTL", ttl).env("SYMBOLON_EDGE_ALLOWED_ORIGINS", origin);
    Process::start(command).await
}

async fn play(scheme: &str, flags: &[&str]) {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let origin = format!("{scheme}://localhost:{page}");
    let long = dev(dirs[0].path(), flags, "15m", &origin).await;
    let short = dev(dirs[1].path(), flags, "2s", &origin).await;
    let mut command = Command::new("node");
    command
        .arg("tests/browser/run")
        .env("SYMBOLON_EDGE", format!("{scheme}://{}", long.edge))
        .env("SYMBOLON_EDGE_SHORT", format!("{scheme}://{}", short.edge))
        .env("SYMBOLON_PAGE_PORT", page)
        .env("SYMBOLON_GRPC", &long.grpc)
        .env("SYMBOLON_OPS", &long.ops);
    let said = said(command).await;
    let passed = said.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(passed >= AT_LEAST, "only {passed} were played:\n{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_stays_signed_in_in_a_real_browser_by_http() {
    play("http", &[]).await;
}

/// With the cookie's real name and attributes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_stays_signed_in_in_a_real_browser_by_https() {
    play("https", &["--https"]).await;
}

#[tokio::test]
async fn the_browser_module_does_in_each_single_case_what_it_should() {
    let mut command = Command::new("bash");
    command.args(["-c", "node --test clients/web/test/*.test.js"]);
    let said = said(command).await;
    let passed = said.lines().find_map(|line| line.strip_prefix("# pass ").or(line.strip_prefix("ℹ pass ")));
    assert!(passed.is_some_and(|passed| passed.trim().parse::<usize>().unwrap() >= 100), "{said}");
}
