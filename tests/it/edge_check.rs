//! What other services ask the edge: is this token good, and with which keys. R-KEY-04.

use serde_json::{Value, json};
use symbolon::pb::auth::{Authentication, IssueTokensRequest};

use crate::support::http::raw;
use crate::support::{Answer, Ask, Browser, Other, Postgres, Process, Server, Settings, sign_in};

const IDENTITY: [&str; 5] =
    ["x-symbolon-subject", "x-symbolon-session", "x-symbolon-client", "x-symbolon-scope", "x-symbolon-acr"];

async fn token(server: &Server, request: IssueTokensRequest) -> String {
    server.client().issue_tokens(request).await.unwrap().into_inner().tokens.unwrap().access_token
}

/// All five, in the order above.
fn identity(answer: &Answer) -> [&str; 5] {
    IDENTITY.map(|name| answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")))
}

#[tokio::test]
async fn a_good_token_passes_with_every_identity_header() {
    let server = Server::start().await;
    let request = IssueTokensRequest {
        scope: vec!["read".to_owned(), "write".to_owned()],
        authentication: Some(Authentication { acr: "aal2".to_owned(), ..Authentication::default() }),
        ..sign_in("alice")
    };
    let issued = server.client().issue_tokens(request).await.unwrap().into_inner();
    let full = issued.tokens.unwrap().access_token;
    let check = async |token: &str, query: &str| {
        Ask::get(&format!("/auth/check{query}")).bearer(token).header("x-symbolon-acr", "forged").of(&server.edge).await
    };
    let answer = check(&full, "").await;
    let session = issued.session.unwrap().session_id;
    assert_eq!((answer.status, identity(&answer)), (200, ["alice", session.as_str(), "web", "read write", "aal2"]));
    let bare = check(&server.issue("bob").await.tokens.unwrap().access_token, "").await;
    assert_eq!((identity(&bare)[0], identity(&bare)[3], identity(&bare)[4]), ("bob", "", ""));

    for query in [
        "?audience=api",
        "?audience=other&audience=api",
        "?scope=read",
        "?scope=read&scope=write",
        "?scope=write%20read",
        "?scope=read+write",
        "?acr=aal2",
        "?acr=aal3&acr=aal2",
        "?audience=api&scope=read&acr=aal2",
    ] {
        assert_eq!(check(&full, query).await.status, 200, "{query}");
    }
    for query in [
        "?audience=other",
        "?scope=admin",
        "?scope=read&scope=admin",
        "?acr=aal3",
        "?audience=api&scope=rea",
        "?audience=API",
    ] {
        let answer = check(&full, query).await;
        assert_eq!(answer.problem(), (403, "access_token_insufficient".to_owned()), "{query}");
        assert_eq!(identity(&answer), [""; 5], "{query}");
    }
    for query in ["?scop=admin", "?audience=api&x=1", "?Scope=read", "?&=a", "?acr=", "?scope", "?audience=api&acr=+"] {
        let answer = check(&full, query).await;
        assert_eq!(answer.problem(), (400, "bad_request".to_owned()), "{query}");
        assert_eq!(identity(&answer), [""; 5], "{query}");
    }
}

#[tokio::test]
async fn without_a_word_about_the_audience_the_edges_own_is_meant() {
    let server = Server::start().await;
    let other = token(&server, IssueTokensRequest { audience: vec!["other".to_owned()], ..sign_in("alice") }).await;
    let check = async |path: &str| Ask::get(path).bearer(&other).of(&server.edge).await.status;
    assert_eq!(check("/auth/check").await, 403);
    assert_eq!(check("/auth/check?audience=other").await, 200);
}

#[tokio::test]
async fn a_bad_token_is_the_users_fault_and_names_nobody() {
    let server = Server::start().await;
    let elsewhere = Server::with(Settings::default().env("SYMBOLON_ISSUER", "https://other.example")).await;
    let good = server.issue("alice").await.tokens.unwrap();
    let foreign = elsewhere.issue("alice").await.tokens.unwrap().access_token;
    let mut changed = good.access_token.clone().into_bytes();
    let last = changed.len() - 20;
    changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    let cookie = format!("symbolon-8080={}", good.refresh_token);
    server.pass(1);
    let asks = [
        Ask::get("/auth/check"),
        Ask::get("/auth/check").header("cookie", cookie),
        Ask::get("/auth/check").bearer(&good.refresh_token),
        Ask::get("/auth/check").bearer(&foreign),
        Ask::get("/auth/check").bearer(&changed),
        Ask::get("/auth/check").bearer(&good.access_token).bearer(&good.access_token),
        Ask::get("/auth/check").bearer("eyJhbGciOiJub25lIn0.e30."),
    ];
    for ask in asks {
        let answer = ask.of(&server.edge).await;
        assert_eq!(answer.problem(), (401, "access_token_invalid".to_owned()), "{ask:?}");
        assert_eq!(identity(&answer), [""; 5]);
    }
    let check = async || Ask::get("/auth/check").bearer(&good.access_token).of(&server.edge).await.status;
    server.pass(898);
    assert_eq!(check().await, 200, "a second before its end");
    server.pass(1);
    assert_eq!(check().await, 401, "at its end");
    // A gateway that asks with HEAD is told the same.
    assert_eq!(Ask::new("HEAD", "/auth/check").of(&server.edge).await.status, 401);
}

const DOCUMENTS: [&str; 3] =
    ["/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

/// R-KEY-04
#[tokio::test]
async fn the_documents_say_what_is_true_whatever_the_host_header_says() {
    let settings = Settings::default()
        .env("SYMBOLON_EDGE_PUBLIC_URL", "https://auth.example.com/")
        .env("SYMBOLON_ISSUER", "https://id.example.com");
    let server = Server::with(settings).await;
    let get = async |path: &str| {
        let plain = Ask::get(path).of(&server.edge).await;
        let poisoned = format!("GET {path} HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example\r\n\r\n");
        assert_eq!(raw(&server.edge, poisoned.as_bytes()).await.unwrap().body, plain.body);
        plain.json()
    };
    let jwks = get(DOCUMENTS[0]).await;
    let key = &jwks["keys"][0];
    let members: Vec<_> = key.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!(
        (&key["alg"], &key["crv"], &key["kty"], &key["use"]),
        (&json!("EdDSA"), &json!("Ed25519"), &json!("OKP"), &json!("sig"))
    );
    let token = server.issue("alice").await.tokens.unwrap().access_token;
    let header: Value = serde_json::from_str(&crate::support::part(&token, 0)).unwrap();
    assert_eq!(header["kid"], key["kid"]);

    let jwks_uri = "https://auth.example.com/.well-known/jwks.json";
    let metadata = json!({
        "issuer": "https://id.example.com", "jwks_uri": jwks_uri, "response_types_supported": ["none"]
    });
    assert_eq!(get(DOCUMENTS[1]).await, metadata);
    let mut openid = metadata;
    openid["subject_types_supported"] = json!(["public"]);
    openid["id_token_signing_alg_values_supported"] = json!(["EdDSA"]);
    assert_eq!(get(DOCUMENTS[2]).await, openid);
}

/// R-KEY-04
#[tokio::test]
async fn what_is_known_is_not_sent_again_and_anybody_may_read_it() {
    let server = Server::start().await;
    for path in DOCUMENTS {
        let first = Ask::get(path).header("origin", "https://anybody.example").of(&server.edge).await;
        let golden = first.golden();
        assert_eq!(golden["cache-control"], "public, max-age=300");
        assert_eq!(
            (golden["access-control-allow-origin"], golden["cross-origin-resource-policy"]),
            ("*", "cross-origin")
        );
        assert_eq!(first.header("access-control-allow-credentials"), None);
        let tag = golden["etag"];
        for condition in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = Ask::get(path).header("if-none-match", &condition).of(&server.edge).await;
            assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)), "{condition}");
            assert_eq!(again.header("cache-control"), Some("public, max-age=300"));
        }
        let changed = Ask::get(path).header("if-none-match", "\"x\"").of(&server.edge).await;
        assert_eq!((changed.status, changed.body), (200, first.body.clone()));
    }
}

/// R-KEY-04
#[tokio::test]
async fn the_documents_and_the_check_come_from_memory() {
    let server = Server::start().await;
    let token = Browser::default().ask(&server.edge, &Ask::login("alice", "alice")).await.access_token();
    let lock = Other::lock(&server.database()).await;
    let began = tokio::time::Instant::now();
    for path in DOCUMENTS {
        assert_eq!(Ask::get(path).of(&server.edge).await.status, 200, "{path}");
    }
    assert_eq!(Ask::get("/auth/check").bearer(&token).of(&server.edge).await.status, 200);
    assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
    lock.unlock().await;
}

/// R-KEY-04
#[tokio::test]
async fn with_the_database_gone_the_documents_are_told_and_tokens_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start();
    let server = Process::replica(dir.path(), &postgres.database().await).await;
    let mut browser = Browser::default();
    let token = browser.ask(&server.edge, &Ask::login("alice", "alice")).await.access_token();
    let documents = async || {
        let mut bodies = Vec::new();
        for path in DOCUMENTS {
            let answer = Ask::get(path).of(&server.edge).await;
            assert_eq!((answer.status, answer.header("cache-control").is_some()), (200, true), "{path}");
            bodies.push(answer.body);
        }
        bodies
    };
    let before = documents().await;
    postgres.kill();
    assert_eq!(documents().await, before);
    assert_eq!(Ask::new("HEAD", DOCUMENTS[0]).of(&server.edge).await.status, 200);
    assert_eq!(Ask::get("/auth/check").bearer(&token).of(&server.edge).await.status, 200);
    // It is gone indeed.
    let refresh = browser.ask(&server.edge, &Ask::refresh()).await;
    assert_eq!(refresh.problem(), (503, "issuer_unavailable".to_owned()));
}
