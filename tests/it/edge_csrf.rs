//! Who may change something: pages of the edge's own origin and of the listed ones, and nobody else. R-EDGE-03, R-EDGE-06.

use crate::support::{Ask, Browser, Server, Settings};

/// One row of the table.
struct Row {
    ask: Ask,
    expected: &'static str,
    text: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = include_str!("edge/csrf.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(row).collect()
}

fn row(text: &'static str) -> Row {
    let columns: Vec<_> = text.split('\t').collect();
    let [method, site, origin, marker, content_type, body, expected] = columns[..] else { panic!("{text:?}") };
    let path = if method == "DELETE" { "/auth/sessions/x" } else { "/auth/refresh" };
    let headers =
        [("sec-fetch-site", site), ("origin", origin), ("x-symbolon-csrf", marker), ("content-type", content_type)];
    let mut ask = Ask::new(method, path);
    for (name, values) in headers {
        for value in values.split('|').filter(|value| *value != "-") {
            ask = ask.header(name, value);
        }
    }
    if body != "-" {
        ask = ask.body(body);
    }
    Row { ask, expected, text }
}

/// R-EDGE-03
#[tokio::test]
async fn every_combination_of_the_table_is_judged_as_it_says_and_no_refusal_touches_the_cookie() {
    let server = Server::start().await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let rows = rows();
    assert!(rows.len() >= 40);
    for Row { ask, expected, text } in rows {
        let before = browser.cookie().map(str::to_owned);
        let answer = browser.ask(&server.edge, &ask).await;
        let is = match (answer.status, answer.code().as_str()) {
            // Past the gate: refreshed, or asked for an access token.
            (200, "") | (401, "access_token_invalid") => "admitted".to_owned(),
            // HEAD has no body to say so.
            (405, "") => "method_not_allowed".to_owned(),
            (_, code) => code.to_owned(),
        };
        assert_eq!(is, expected, "{text}: {answer:?}");
        if expected != "admitted" {
            assert_eq!(answer.cookie(), None, "{text}");
            assert_eq!(browser.cookie().map(str::to_owned), before);
        }
    }
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

#[tokio::test]
async fn a_page_under_another_name_of_this_machine_is_told_which_one_works() {
    let server = Server::start().await;
    let ask = |origin| {
        Ask::refresh().without("sec-fetch-site").header("sec-fetch-site", "cross-site").header("origin", origin)
    };
    for (origin, better) in
        [("http://127.0.0.1:5173", "http://localhost:5173"), ("http://[::1]:8080", "http://localhost:8080")]
    {
        let answer = ask(origin).of(&server.edge).await;
        assert_eq!(answer.problem(), (403, "cross_site".to_owned()));
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with(&format!("open the page as {better}")), "{detail}");
    }
    let foreign = ask("https://evil.example").of(&server.edge).await.json();
    assert!(foreign["detail"].as_str().unwrap().contains("pages of another site"), "{foreign}");
    // Where a preflight is refused nothing follows, and its answer is all a developer finds.
    let preflight = Ask::new("OPTIONS", "/auth/refresh").header("origin", "http://127.0.0.1:4711");
    let preflight = preflight.header("access-control-request-method", "POST").header("sec-fetch-site", "cross-site");
    let refused = preflight.of(&server.edge).await;
    assert_eq!(refused.problem(), (403, "cross_site".to_owned()));
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.ends_with("open the page as http://localhost:4711"), "{detail}");
}

/// R-EDGE-06
#[tokio::test]
async fn only_listed_origins_may_read_answers_and_preflight() {
    let listed = "https://app.example.com";
    let settings = Settings::default()
        .env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com")
        .env("SYMBOLON_EDGE_ALLOWED_ORIGINS", listed);
    let server = Server::with(settings).await;
    let preflight = |origin: &str, path: &str| {
        let ask = Ask::new("OPTIONS", path).header("origin", origin);
        ask.header("access-control-request-method", "POST").header("access-control-request-headers", "x-symbolon-csrf")
    };
    for path in
        ["/auth/login", "/auth/refresh", "/auth/logout", "/auth/logout-all", "/auth/sessions", "/auth/sessions/x"]
    {
        let answer = preflight(listed, path).of(&server.edge).await;
        assert_eq!(answer.status, 204, "{path}: {answer:?}");
        let headers = answer.golden();
        assert_eq!(headers["access-control-allow-origin"], listed);
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(headers["access-control-allow-methods"], "GET, POST, DELETE");
        assert_eq!(headers["access-control-allow-headers"], "authorization, content-type, x-symbolon-csrf");
        assert_eq!(headers["vary"], "origin, access-control-request-method, access-control-request-headers");
    }
    for origin in ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"] {
        let answer = preflight(origin, "/auth/refresh").of(&server.edge).await;
        assert_eq!(answer.problem(), (403, "origin_not_allowed".to_owned()), "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        let answer = Ask::get("/auth/sessions").header("origin", origin).of(&server.edge).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(answer.header("vary"), Some("origin"), "{origin}");
    }
    // A refusal can be read by a page that may ask, and one without an origin varies all the same.
    let refused = Ask::refresh().header("origin", listed).of(&server.edge).await;
    assert_eq!(refused.header("access-control-allow-origin"), Some(listed));
    assert_eq!(Ask::refresh().of(&server.edge).await.header("vary"), Some("origin"));
    // Not our routes; and no preflight at all.
    assert_eq!(preflight(listed, "/elsewhere").of(&server.edge).await.problem(), (404, "not_found".to_owned()));
    let plain = Ask::new("OPTIONS", "/auth/refresh").header("origin", listed).of(&server.edge).await;
    assert_eq!(plain.problem(), (405, "method_not_allowed".to_owned()));
}

#[tokio::test]
async fn without_a_list_only_the_own_origin_is_served_outside_dev() {
    let settings = Settings::default()
        .env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com")
        .env("SYMBOLON_EDGE_ALLOWED_ORIGINS", "");
    let server = Server::with(settings).await;
    for (origin, allowed) in
        [("https://auth.example.com", true), ("http://localhost:5173", false), ("https://app.example.com", false)]
    {
        let answer = Ask::refresh().without("sec-fetch-site").header("origin", origin).of(&server.edge).await;
        assert_eq!(answer.code() == "no_session", allowed, "{origin}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin").is_some(), allowed, "{origin}");
    }
}
