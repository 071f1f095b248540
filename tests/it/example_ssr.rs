//! `examples/ssr` renders pages for whoever the refresh cookie belongs to, in front of a real edge.

use std::path::Path;
use std::process::Stdio;

use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::alone::frozen;
use crate::support::http::raw;
use crate::support::{Answer, Application, Ask, Browser, Process};

/// The program, in a process of its own. Killed when dropped.
struct Ssr {
    address: String,
    _child: Child,
}

impl Ssr {
    async fn before(edge: &str) -> Self {
        Self::with(edge, edge).await
    }

    /// In front of an edge that browsers call otherwise.
    async fn with(edge: &str, public: &str) -> Self {
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ssr/server.js"))
            .env("EDGE_URL", format!("http://{edge}"))
            .env("PUBLIC_URL", format!("http://{public}"))
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = said.next_line().await.unwrap().expect("it ended before it served");
        let address = line.strip_prefix("pages at http://").unwrap().trim_end_matches('/').to_owned();
        Self { address, _child: child }
    }

    /// A page load of this browser.
    async fn load(&self, browser: &mut Browser) -> Answer {
        let page = browser.ask(&self.address, &Ask::get("/")).await;
        assert_eq!((page.status, page.header("cache-control")), (200, Some("private, no-store")));
        assert!(!page.body.contains("sr1_") && !page.body.contains("eyJ"), "a token in the page: {}", page.body);
        page
    }
}

fn assert_says(page: &Answer, says: &str) {
    assert!(page.body.contains(&format!("<p>{says}</p>")), "{says}: {page:?}");
}

/// Nothing is known, and nothing is lost.
fn assert_unknown(page: &Answer, why: &str) {
    assert!(page.body.contains("<p>Not known yet</p>"), "{why}: {page:?}");
    assert_eq!(page.header("set-cookie"), None, "{why}");
}

/// How many refreshes had this outcome.
async fn outcomes(server: &Process, outcome: &str) -> u32 {
    let metrics = server.get("/metrics").await;
    let figure = format!("symbolon_refreshes_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&figure)).map_or(0, |count| count.parse().unwrap())
}

/// R-EDGE-04
#[tokio::test]
async fn ten_parallel_renders_of_one_cookie_are_all_signed_in_after_one_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let ssr = Ssr::before(&server.edge).await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let before = browser.token().to_owned();

    let mut tabs = vec![browser.clone(); 10];
    let pages = join_all(tabs.iter_mut().map(|tab| ssr.load(tab))).await;
    for page in &pages {
        assert_says(page, "Signed in as alice");
        assert_eq!(page.cookie(), pages[0].cookie());
    }
    assert_eq!((outcomes(&server, "rotated").await, outcomes(&server, "replayed").await), (1, 9));
    assert_ne!(tabs[0].token(), before);

    // With the cookie of the page the browser goes on. A page load that comes late with an older one has no effect.
    assert_says(&ssr.load(&mut tabs[0]).await, "Signed in as alice");
    assert_unknown(&ssr.load(&mut browser).await, "an older cookie");
    assert_eq!(tabs[0].ask(&server.edge, &Ask::refresh()).await.json()["session"]["subject"], "alice");
}

/// R-EDGE-04
#[tokio::test]
async fn whoever_is_signed_out_sees_it_and_a_link_of_another_site_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let ssr = Ssr::before(&server.edge).await;
    assert_says(&ssr.load(&mut Browser::default()).await, "Signed out");
    // Browsers leave the cookie behind then.
    let linked = Ask::get("/").header("sec-fetch-site", "cross-site");
    assert_unknown(&linked.of(&ssr.address).await, "a link of another site");

    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let mut copy = browser.clone();
    assert_says(&ssr.load(&mut browser).await, "Signed in as alice");
    assert_eq!(browser.ask(&server.edge, &Ask::page("POST", "/auth/logout")).await.status, 204);
    let dead = ssr.load(&mut copy).await;
    assert_says(&dead, "Signed out");
    assert_eq!(dead.header("set-cookie"), None, "no answer to a refresh deletes a cookie");
    // Two cookies of the name, and what cannot be one.
    let twice = format!("{0}; {0}", copy.cookie().unwrap());
    assert_unknown(&Ask::get("/").header("cookie", twice).of(&ssr.address).await, "two cookies");
    let name = copy.cookie().unwrap().split_once('=').unwrap().0;
    let forged = Ask::get("/").header("cookie", format!("theme=dark; {name}=sr1_forged")).of(&ssr.address).await;
    assert_says(&forged, "Signed out");
}

/// R-EDGE-04
#[tokio::test]
async fn an_issuer_or_an_edge_that_is_away_leaves_it_unknown_and_nothing_is_lost() {
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let server = Process::dev(one.path(), &[]).await;
    let (grpc, issuer) = (server.grpc.clone(), format!("http://{}", server.grpc));
    let mut command = Process::command(other.path());
    command.arg("edge").env("SYMBOLON_EDGE_LISTEN", "localhost:0").env("SYMBOLON_EDGE_ISSUER_URL", issuer);
    // It has no users of its own: the sign-in is the other's, whose place it takes.
    command.env("SYMBOLON_EDGE_PUBLIC_URL", format!("http://{}", server.edge));
    let edge = Process::start(command).await;
    let ssr = Ssr::with(&edge.edge, &server.edge).await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    assert_says(&ssr.load(&mut browser).await, "Signed in as alice");
    server.kill().await;
    assert_unknown(&ssr.load(&mut browser).await, "the issuer is away");

    let _server = Process::dev(one.path(), &[("SYMBOLON_GRPC_LISTEN", grpc.as_str())]).await;
    assert_says(&ssr.load(&mut browser).await, "Signed in as alice");
    edge.kill().await;
    assert_unknown(&ssr.load(&mut browser).await, "the edge is away");
    // One that accepts and says nothing.
    let (frozen, _kept) = frozen().await;
    let ssr = Ssr::before(frozen.strip_prefix("http://").unwrap()).await;
    assert_unknown(&ssr.load(&mut browser).await, "the edge hangs");
}

/// R-EDGE-03, R-OPS-06
#[tokio::test]
async fn the_edge_is_asked_as_the_users_browser_would_ask() {
    let edge = Application::start().await;
    let ssr = Ssr::before(&format!("localhost:{}", edge.port)).await;
    let page = Ask::get("/").header("cookie", "a=1; symbolon-8080=sr1_x").header("user-agent", "a browser");
    // Not the JSON of an edge.
    assert_unknown(&page.header("x-forwarded-for", "198.51.100.1").of(&ssr.address).await, "no edge");
    let [asked] = edge.saw().try_into().unwrap();
    for (name, value) in [
        ("cookie", "a=1; symbolon-8080=sr1_x"),
        ("x-symbolon-csrf", "1"),
        ("origin", &format!("http://localhost:{}", edge.port)),
        ("user-agent", "a browser"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    let forwarded = asked["x-forwarded-for"].to_str().unwrap();
    assert!(["198.51.100.1, 127.0.0.1", "198.51.100.1, ::1", "198.51.100.1, ::ffff:127.0.0.1"].contains(&forwarded));
    let picture = Ask::get("/favicon.ico").header("cookie", "symbolon-8080=sr1_x");
    assert_eq!(raw(&ssr.address, &picture.bytes()).await.unwrap().status, 404);
    assert!(edge.saw().is_empty(), "a picture asked the edge");
}
