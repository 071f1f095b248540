//! The cookie, byte for byte: what is set, what is found, and what stands around it. R-EDGE-01, R-EDGE-02, R-EDGE-06.

use std::collections::BTreeMap;

use crate::support::{Ask, Browser, Server, Settings};

const COMMON: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
];

fn expected<'a>(more: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    COMMON.into_iter().chain(more.iter().copied()).collect()
}

async fn golden(server: &Server, name: &str, secure: &str, also: &[(&str, &str)]) {
    let mut browser = Browser::default();
    for ask in [Ask::login("alice", "alice"), Ask::refresh()] {
        let answer = browser.ask(&server.edge, &ask).await;
        let token = browser.token();
        let cookie = format!("{name}={token}; Path=/; Max-Age=2592000; HttpOnly;{secure} SameSite=Strict");
        let more = [&[("content-type", "application/json"), ("set-cookie", cookie.as_str())], also].concat();
        assert_eq!(answer.golden(), expected(&more));
        assert!(token.starts_with("sr1_") && !answer.body.contains(token), "{answer:?}");
    }
    let answer = browser.ask(&server.edge, &Ask::page("POST", "/auth/logout")).await;
    let deletion = format!("{name}=; Path=/; Max-Age=0; HttpOnly;{secure} SameSite=Strict");
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(answer.golden(), expected(&[&[("set-cookie", deletion.as_str())], also].concat()));

    let refused = Ask::refresh().of(&server.edge).await;
    let more = [&[("content-type", "application/problem+json")], also].concat();
    assert_eq!(refused.golden(), expected(&more));
}

/// R-EDGE-01, R-EDGE-06
#[tokio::test]
async fn the_headers_are_golden_on_https() {
    let server = Server::with(Settings::default().env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com")).await;
    golden(&server, "__Host-Http-symbolon", " Secure;", &[("strict-transport-security", "max-age=31536000")]).await;
}

/// R-EDGE-01, R-EDGE-06
#[tokio::test]
async fn the_headers_are_golden_on_http_in_dev() {
    golden(&Server::start().await, "symbolon-8080", "", &[]).await;
}

#[tokio::test]
async fn hsts_can_be_left_to_the_proxy() {
    let settings = Settings::default()
        .env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com")
        .env("SYMBOLON_EDGE_HSTS", "off");
    golden(&Server::with(settings).await, "__Host-Http-symbolon", " Secure;", &[]).await;
}

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        rest = match after.strip_prefix('t') {
            Some(after) => {
                bytes.push(b'\t');
                after
            }
            None => {
                bytes.push(u8::from_str_radix(&after[1..3], 16).unwrap());
                &after[3..]
            }
        };
    }
    bytes.extend(rest.as_bytes());
    bytes
}

/// R-EDGE-02
#[tokio::test]
async fn every_jar_of_the_table_is_read_as_it_says_and_none_costs_the_session() {
    let server = Server::start().await;
    let mut browser = Browser::signed_in(&server.edge, "alice").await;
    let rows: Vec<_> = include_str!("edge/cookies.tsv").lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() >= 40);
    for row in rows {
        let (jar, expected) = row.split_once('\t').unwrap();
        let token = browser.token().to_owned();
        let good = format!("symbolon-8080={token}");
        let jar = jar.replace("GOOD", &good).replace("UPPER", "SYMBOLON-8080").replace("NAME", "symbolon-8080");
        let jar = jar.replace("VALUE", &token);
        let headers = jar.split('|').filter(|header| *header != "-");
        let ask = headers.fold(Ask::refresh(), |ask, header| ask.header("cookie", bytes(header)));
        let answer = ask.of(&server.edge).await;
        let is = if answer.status == 200 { "found".to_owned() } else { answer.code() };
        assert_eq!(is, expected, "{row}: {answer:?}");
        if expected != "found" {
            assert_eq!(answer.cookie(), None, "{row}");
        }
        browser.take(&answer);
    }
    assert_eq!(browser.ask(&server.edge, &Ask::refresh()).await.status, 200);
}

#[tokio::test]
async fn two_cookies_are_refused_wherever_one_is_read() {
    let server = Server::start().await;
    for path in ["/auth/login", "/auth/refresh", "/auth/logout"] {
        let ask = Ask::page("POST", path).json(&serde_json::json!({"username": "alice", "password": "alice"}));
        let answer = ask.header("cookie", "symbolon-8080=a; symbolon-8080=b").of(&server.edge).await;
        assert_eq!(answer.problem(), (400, "duplicate_cookie".to_owned()), "{path}");
        assert_eq!(answer.cookie(), None, "{path}");
    }
}

#[tokio::test]
async fn a_cookie_a_backend_has_set_is_as_good_as_ours() {
    let server = Server::start().await;
    let issued = server.issue("alice").await.tokens.unwrap();
    let ask = Ask::refresh().header("cookie", format!("symbolon-8080={}", issued.refresh_token));
    let answer = ask.of(&server.edge).await;
    assert_eq!(answer.json()["session"]["subject"], "alice");
}
