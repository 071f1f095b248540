//! `docs/edge.openapi.yaml` and the edge say the same. What any test is answered is looked up there as it arrives (see
//! `support/openapi.rs`); here everything that stands there is brought about. R-EDGE-11.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;
use symbolon::edge::attempts::ACCOUNT;
use symbolon::edge::problem::Code as Problem;
use symbolon::pb::identity::DenialReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::support::alone::{Alone, Does, Impostor};
use crate::support::openapi::{Told, all, document, path_of};
use crate::support::verifier::{Says, Verifier};
use crate::support::{Answer, Ask, Browser, Server, Settings};

/// What was answered.
#[derive(Default)]
struct Seen(BTreeSet<Told>);

impl Seen {
    async fn ask(&mut self, edge: &str, method: &str, path: &str, change: impl Fn(Ask) -> Ask) -> Answer {
        let answer = change(Ask::page(method, path)).of(edge).await;
        let template = path_of(path).unwrap().to_owned();
        self.0.insert((method.to_owned(), template, answer.status, answer.code()));
        answer
    }
}

const CHANGING: [(&str, &str); 5] = [
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    ("POST", "/auth/logout-all"),
    ("DELETE", "/auth/sessions/00000000-0000-8000-8000-000000000000"),
];

const DOCUMENTS: [&str; 3] =
    ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

fn told(code: Code, reason: &str) -> Does {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, "symbolon.auth.v1", HashMap::new());
    Does::Grpc(Status::with_error_details(code, "x", details))
}

fn credentials(ask: Ask) -> Ask {
    ask.json(&json!({"username": "alice", "password": "alice"}))
}

/// R-EDGE-11
#[tokio::test]
async fn everything_that_is_documented_is_answered_and_nothing_else() {
    let mut seen = Seen::default();
    gate(&mut seen).await;
    sessions(&mut seen).await;
    sign_in(&mut seen).await;
    behind(&mut seen).await;
    let missing: Vec<_> = all().difference(&seen.0).cloned().collect();
    assert!(missing.is_empty(), "documented and never answered: {missing:#?}");
    let undocumented: Vec<_> = seen.0.difference(&all()).cloned().collect();
    assert!(undocumented.is_empty(), "{undocumented:#?}");
}

async fn gate(seen: &mut Seen) {
    let server = Server::start().await;
    for (method, path) in CHANGING {
        let site = |site: &'static str| move |ask: Ask| ask.without("sec-fetch-site").header("sec-fetch-site", site);
        seen.ask(&server.edge, method, path, site("cross-site")).await;
        seen.ask(&server.edge, method, path, site("same-site")).await;
        seen.ask(&server.edge, method, path, |ask| ask.without("x-symbolon-csrf")).await;
        seen.ask(&server.edge, method, path, |ask| ask.body("text")).await;
        let large = |ask: Ask| ask.header("content-type", "application/json").body("x".repeat(9000));
        seen.ask(&server.edge, method, path, large).await;
        let twice = |ask: Ask| credentials(ask).header("cookie", "symbolon-8080=a; symbolon-8080=b");
        if path.ends_with("login") || path.ends_with("refresh") || path.ends_with("logout") {
            seen.ask(&server.edge, method, path, twice).await;
        }
    }
}

async fn sessions(seen: &mut Seen) {
    let server = Server::start().await;
    let edge = server.edge.as_str();
    let signed_in = seen.ask(edge, "POST", "/auth/login", credentials).await;
    let bearer = |answer: &Answer| {
        let token = answer.access_token();
        move |ask: Ask| ask.bearer(&token)
    };
    let own = bearer(&signed_in);
    let plain = |ask: Ask| ask;
    for (method, path) in [("GET", "/auth/sessions"), ("POST", "/auth/logout-all"), CHANGING[4], ("GET", "/auth/check")]
    {
        seen.ask(edge, method, path, plain).await;
        if method == "GET" {
            seen.ask(edge, method, path, &own).await;
        }
    }
    seen.ask(edge, "GET", "/auth/check?scope=admin", &own).await;
    seen.ask(edge, "GET", "/auth/check?scop=admin", &own).await;
    for path in DOCUMENTS {
        seen.ask(edge, "GET", path, plain).await;
        seen.ask(edge, "GET", path, |ask| ask.header("if-none-match", "*")).await;
    }
    seen.ask(edge, "DELETE", CHANGING[4].1, &own).await;

    let jar = |browser: &Browser| {
        let cookie = browser.cookie().unwrap().to_owned();
        move |ask: Ask| ask.header("cookie", &cookie)
    };
    seen.ask(edge, "POST", "/auth/refresh", plain).await;
    let mut browser = Browser::signed_in(edge, "alice").await;
    let oldest = jar(&browser);
    for _ in 0..2 {
        let answer = seen.ask(edge, "POST", "/auth/refresh", jar(&browser)).await;
        browser.take(&answer);
    }
    seen.ask(edge, "POST", "/auth/refresh", &oldest).await;
    for _ in 0..2 {
        server.pass(200);
        browser.ask(edge, &Ask::refresh()).await;
    }
    seen.ask(edge, "POST", "/auth/refresh", &oldest).await;
    seen.ask(edge, "POST", "/auth/refresh", |ask| ask.header("cookie", "symbolon-8080=x")).await;
    let ended = Browser::signed_in(edge, "alice").await;
    seen.ask(edge, "POST", "/auth/logout", jar(&ended)).await;
    seen.ask(edge, "POST", "/auth/refresh", jar(&ended)).await;
    let late = Browser::signed_in(edge, "alice").await;
    seen.ask(edge, "POST", "/auth/logout-all", bearer(&Ask::login("alice", "alice").of(edge).await)).await;
    let late_too = Browser::signed_in(edge, "bob").await;
    drop(late);
    server.pass(31 * 86_400);
    seen.ask(edge, "POST", "/auth/refresh", jar(&late_too)).await;
}

async fn sign_in(seen: &mut Seen) {
    let verifier = Verifier::start(Says::Nothing).await;
    let server = Server::with(Settings::default().env("SYMBOLON_EDGE_VERIFIER_URL", &verifier.url)).await;
    let denied = [DenialReason::Locked, DenialReason::MoreRequired, DenialReason::Disabled].map(Says::no);
    for says in [Says::Nothing].into_iter().chain(denied) {
        verifier.say(says);
        seen.ask(&server.edge, "POST", "/auth/login", credentials).await;
    }
    seen.ask(&server.edge, "POST", "/auth/login", |ask| ask.json(&json!([]))).await;
    verifier.say(Says::no(DenialReason::Unspecified));
    for _ in 0..=ACCOUNT.burst {
        seen.ask(&server.edge, "POST", "/auth/login", credentials).await;
    }
    let nobody = Alone::before(&["http://127.0.0.1:1".to_owned()]).await;
    seen.ask(&nobody.address, "POST", "/auth/login", credentials).await;
    for path in DOCUMENTS {
        seen.ask(&nobody.address, "GET", path, |ask| ask).await;
    }
    seen.ask(&nobody.address, "GET", "/auth/check", |ask| ask.bearer("a.b.c")).await;
}

/// What only a service that is away, limits or refuses brings about. The edge has the keys of a good one.
async fn behind(seen: &mut Seen) {
    let server = Server::start().await;
    let token = server.issue("alice").await.tokens.unwrap().access_token;
    let verifier = Verifier::start(Says::yes("alice")).await;
    let impostor = Impostor::that(Does::Hangs).await;
    let env = [("SYMBOLON_EDGE_VERIFIER_URL", verifier.url.as_str())];
    let edge = Alone::with(std::slice::from_ref(&impostor.url), &env, symbolon::edge::Limits::default()).await;
    let jwks = server.client().get_jwks(symbolon::pb::auth::GetJwksRequest {}).await.unwrap().into_inner();
    impostor.does(Does::Answers(prost::Message::encode_to_vec(&jwks)));
    edge.edge.ready().await;
    for does in [told(Code::ResourceExhausted, "RATE_LIMITED"), told(Code::Internal, "INTERNAL")] {
        impostor.does(does);
        for (method, path) in CHANGING.into_iter().chain([("GET", "/auth/sessions")]) {
            let change = |ask: Ask| credentials(ask).header("cookie", "symbolon-8080=x").bearer(&token);
            seen.ask(&edge.address, method, path, change).await;
        }
    }
    impostor.does(told(Code::ResourceExhausted, "SESSION_LIMIT_REACHED"));
    seen.ask(&edge.address, "POST", "/auth/login", credentials).await;

    impostor.does(Does::Answers(prost::Message::encode_to_vec(&jwks)));
    let env = [env[0], ("SYMBOLON_EDGE_MODE", "bff")];
    let edge = Alone::with(std::slice::from_ref(&impostor.url), &env, symbolon::edge::Limits::default()).await;
    edge.edge.ready().await;
    seen.ask(&edge.address, "POST", "/auth/refresh", |ask| ask).await;
    for (method, path) in [("GET", "/auth/sessions"), CHANGING[3], CHANGING[4]] {
        seen.ask(&edge.address, method, path, |ask| ask).await;
        seen.ask(&edge.address, method, path, |ask| ask.header("cookie", "symbolon-8080=a; symbolon-8080=b")).await;
        for (code, reason) in [
            (Code::Unauthenticated, "SESSION_EXPIRED"),
            (Code::Unauthenticated, "SESSION_REVOKED"),
            (Code::Unauthenticated, "REFRESH_TOKEN_REUSED"),
            (Code::Unauthenticated, "REFRESH_TOKEN_INVALID"),
            (Code::Aborted, "REFRESH_TOKEN_STALE"),
        ] {
            impostor.does(told(code, reason));
            seen.ask(&edge.address, method, path, |ask| ask.header("cookie", "symbolon-8080=x")).await;
        }
    }
}

#[tokio::test]
async fn what_is_refused_everywhere_is_refused_on_every_route() {
    let server = Server::start().await;
    for (path, methods) in document()["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "x");
        for method in methods.as_object().unwrap().keys() {
            let ask = Ask::page(&method.to_uppercase(), &path);
            assert_eq!(ask.header("x-padding", "x".repeat(20_000)).of(&server.edge).await.status, 431, "{path}");
        }
        assert_eq!(Ask::page("PUT", &path).of(&server.edge).await.status, 405, "{path}");
        assert_eq!(Ask::page("PUT", &format!("{path}/more/and/more")).of(&server.edge).await.status, 404, "{path}");
    }
}

#[test]
fn every_code_there_is_stands_in_the_document() {
    let text = include_str!("../../docs/edge.openapi.yaml");
    for code in Problem::ALL {
        assert!(text.contains(code.name()), "{}", code.name());
    }
}
