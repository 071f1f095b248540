//! A server that says everything it can say, and whatever it said searched for the secrets it handles.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use symbolon::entropy::Entropy;
use symbolon::keys::MasterKeys;
use symbolon::keys::seal::{Binding, open};
use symbolon::pb::auth::{
    GetJwksRequest, GetSessionRequest, IntrospectTokenRequest, ListSessionsRequest, RevokeSessionRequest, TokenPair,
    revoke_session_request,
};
use symbolon::store::{Missing, Store, Url};
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Status};

use crate::support::collector::Collector;
use crate::support::{Ask, Browser, Dice, Process, Secret, active_key, assert_silent, files, hash, redeem, sign_in};

const ISSUER: &str = "http://localhost:8080";

const CALLER: &str = "sc1_a-secret-of-a-caller-that-is-declared";
const WRONG: &str = "sc1_a-secret-of-a-caller-that-is-a-stranger";

/// What was handled so far: the secrets, and every answer that must not repeat them.
#[derive(Default)]
struct Handled {
    secrets: Vec<Secret>,
    refusals: Vec<String>,
}

impl Handled {
    fn pair(&mut self, name: &str, tokens: &TokenPair) {
        self.secrets.extend(Secret::refresh_token(&format!("the refresh token of {name}"), &tokens.refresh_token));
        self.secrets.extend(Secret::access_token(&format!("the access token of {name}"), &tokens.access_token));
    }

    /// An answer that is a refusal, with everything in it: message, details, metadata.
    fn refused<T>(&mut self, what: &str, answer: Result<T, Status>) {
        let Err(status) = answer else { panic!("{what} was not refused") };
        self.refusals.push(format!("{what}: {status} {status:?} {:?}", String::from_utf8_lossy(status.details())));
        self.refusals.push(String::from_utf8_lossy(status.details()).into_owned());
    }
}

fn with_bearer<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = AsciiMetadataValue::try_from(format!("Bearer {token}")).unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// Every kind of call, with good, spent, dead, misplaced, mangled and over-long tokens.
async fn handle(server: &Process) -> Handled {
    let mut handled = Handled::default();
    let mut client = server.client().await;
    let issued = client.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    let session_id = issued.session.unwrap().session_id;
    let first = issued.tokens.unwrap();
    handled.pair("the sign-in", &first);

    // Rotate, replay, recover: with the access token where a browser would send it, too.
    let rotation = with_bearer(redeem(&first.refresh_token), &first.access_token);
    let second = client.refresh_tokens(rotation).await.unwrap().into_inner().tokens.unwrap();
    handled.pair("the rotation", &second);
    client.refresh_tokens(redeem(&first.refresh_token)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let recovered = client.refresh_tokens(redeem(&first.refresh_token)).await.unwrap().into_inner().tokens.unwrap();
    handled.pair("the recovery", &recovered);

    for token in [&recovered.access_token, &recovered.refresh_token] {
        let request = IntrospectTokenRequest { token: token.clone() };
        assert!(client.introspect_token(request).await.unwrap().into_inner().active);
    }
    client.get_jwks(GetJwksRequest {}).await.unwrap();
    let subject = ListSessionsRequest { subject: "alice".to_owned(), ..ListSessionsRequest::default() };
    client.list_sessions(subject.clone()).await.unwrap();

    // Tokens where they do not belong.
    for (kind, token) in [("access", &first.access_token), ("refresh", &first.refresh_token)] {
        let session = GetSessionRequest { session_id: token.clone() };
        handled.refused(&format!("{kind} token as session id"), client.get_session(session).await);
        let page = ListSessionsRequest { page_token: token.clone(), ..subject.clone() };
        handled.refused(&format!("{kind} token as page token"), client.list_sessions(page).await);
        let mut named = sign_in(token);
        named.client_id.clone_from(token);
        named.audience = vec![token.clone(), format!("{token}\n")];
        named.request_id.clone_from(token);
        handled.refused(&format!("{kind} token as everything"), client.issue_tokens(named).await);
        let mut scoped = redeem(&recovered.refresh_token);
        scoped.scope = vec![token.clone()];
        handled.refused(&format!("{kind} token as scope"), client.refresh_tokens(scoped).await);
        let mangled = [token.to_uppercase(), format!("{token}{token}"), token[..token.len() - 1].to_owned()];
        for bad in mangled.into_iter().chain([token.repeat(40), token.repeat(4000)]) {
            handled.refused(&format!("mangled {kind} token"), client.refresh_tokens(redeem(&bad)).await);
            let judged = client.introspect_token(IntrospectTokenRequest { token: bad.clone() }).await;
            assert!(judged.is_err() || !judged.unwrap().into_inner().active);
        }
    }
    handled.refused("an access token redeemed", client.refresh_tokens(redeem(&first.access_token)).await);

    // The third generation recovered in a row is reuse.
    let third = client.refresh_tokens(redeem(&recovered.refresh_token)).await.unwrap().into_inner().tokens.unwrap();
    handled.pair("the second rotation", &third);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    handled.refused("reuse", client.refresh_tokens(redeem(&first.refresh_token)).await);
    handled.refused("a dead token", client.refresh_tokens(redeem(&third.refresh_token)).await);
    handled.refused("an explanation", client.get_session(GetSessionRequest { session_id: session_id + "0" }).await);

    let other = client.issue_tokens(sign_in("bob")).await.unwrap().into_inner().tokens.unwrap();
    handled.pair("the second sign-in", &other);
    let target = revoke_session_request::Target::RefreshToken;
    for (token, ends) in [(other.refresh_token.clone(), true), (other.refresh_token.to_uppercase(), false)] {
        let revoke = RevokeSessionRequest { target: Some(target(token)), ..RevokeSessionRequest::default() };
        assert_eq!(client.revoke_session(revoke).await.unwrap().into_inner().revoked, ends);
    }
    handled.refused("a revoked token", client.refresh_tokens(redeem(&other.refresh_token)).await);

    // A caller with a secret, one with a wrong secret, and one that asks for what it may not.
    for secret in [CALLER, WRONG] {
        handled.secrets.push(Secret::new("a caller's secret", secret));
    }
    let mut backend = server.as_caller(CALLER).await;
    backend.issue_tokens(sign_in("carol")).await.unwrap();
    let list = ListSessionsRequest { subject: "carol".to_owned(), ..ListSessionsRequest::default() };
    handled.refused("a permission", backend.list_sessions(list).await);
    handled.refused("a wrong secret", server.as_caller(WRONG).await.issue_tokens(sign_in("carol")).await);
    handled
}

/// A browser at the edge: good and bad credentials, cookies and tokens, each also where it does not belong.
async fn browse(server: &Process, handled: &mut Handled) {
    const PASSWORD: &str = "a-password-nobody-shall-see";
    handled.secrets.push(Secret::new("a password", PASSWORD));
    let mut browser = Browser::default();
    let first = browser.ask(&server.edge, &Ask::login("alice", "alice")).await;
    let stolen = browser.token().to_owned();
    handled.secrets.extend(Secret::refresh_token("the first cookie", &stolen));
    handled.secrets.extend(Secret::access_token("the first page's token", &first.access_token()));
    let next = browser.ask(&server.edge, &Ask::refresh().bearer(&first.access_token())).await;
    handled.secrets.extend(Secret::refresh_token("the next cookie", browser.token()));
    handled.secrets.extend(Secret::access_token("the next page's token", &next.access_token()));
    let cookie = browser.cookie().unwrap().to_owned();
    let asks = [
        Ask::login("alice", PASSWORD),
        Ask::login(PASSWORD, PASSWORD),
        Ask::page("POST", "/auth/login").json(&serde_json::json!([PASSWORD])),
        Ask::login("alice", PASSWORD).header("cookie", format!("{cookie}; {cookie}")),
        Ask::refresh().header("cookie", format!("{cookie}x")),
        Ask::refresh().header("cookie", &cookie).without("x-symbolon-csrf"),
        Ask::refresh().header("cookie", &cookie).header("x-padding", "x".repeat(20_000)),
        Ask::get("/auth/sessions").bearer(&stolen),
        Ask::get("/auth/check").bearer(&(first.access_token() + "x")),
        Ask::get(&format!("/auth/check?audience={stolen}")).bearer(&first.access_token()),
        Ask::page("DELETE", &format!("/auth/sessions/{stolen}")).bearer(&first.access_token()),
        Ask::page("POST", &format!("/auth/{stolen}")),
    ];
    for ask in asks {
        let answer = ask.of(&server.edge).await;
        handled.refusals.push(format!("{answer:?}"));
    }
    assert_eq!(browser.ask(&server.edge, &Ask::page("POST", "/auth/logout")).await.status, 204);
}

/// The secrets that are there before anybody calls.
async fn kept(data: &std::path::Path) -> Vec<Secret> {
    let text = std::fs::read_to_string(data.join("master-keys")).unwrap();
    let encoded = text.trim().split_once(':').unwrap().1;
    let bytes = STANDARD.decode(encoded).unwrap();
    let keys = MasterKeys::parse(&text).unwrap();
    let store = Store::open(&Url::Sqlite(data.join("symbolon.db")), Missing::Refuse).await.unwrap();
    let key = active_key(&store).await;
    store.close().await;
    let binding = Binding { purpose: "signing-key/v1", issuer: ISSUER, key_id: key.member.public.key_id() };
    let seed = open(&keys, binding, &key.sealed.unwrap()).unwrap();
    vec![
        Secret::new("the master key", bytes),
        Secret::new("the master key's text", encoded),
        Secret::new("the seed of the signing key", &seed[..]),
        Secret::new("the key that seals", *keys.first().derive("seal/v1", ISSUER)),
        Secret::new("the key of the tags", *keys.first().derive("refresh-token/v1", ISSUER)),
    ]
}

/// R-OBS-01
#[tokio::test]
async fn no_secret_stands_in_logs_errors_figures_traces_or_database_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("symbolon-data");
    let entry = format!("[callers.backend]\ntoken_sha256 = [\"{}\"]\n", hash(CALLER));
    let entry = entry + "permissions = [\"issue\"]\nclients = [\"web\"]\n";
    std::fs::write(dir.path().join("callers.toml"), entry).unwrap();
    let callers = ("SYMBOLON_CALLERS_FILE", "callers.toml");
    let env = [callers, ("SYMBOLON_LOG", "trace"), ("SYMBOLON_SESSION_LEEWAY", "2s"), ("SYMBOLON_SESSION_BURST", "1s")];
    let (collector, url) = Collector::start().await;
    let traces = [("SYMBOLON_TRACES_ENDPOINT", url.as_str()), ("SYMBOLON_TRACES_ONE_IN", "1")];
    let server = Process::dev(dir.path(), &[&env[..], &traces].concat()).await;
    let mut handled = handle(&server).await;
    browse(&server, &mut handled).await;
    let figures = server.get("/metrics").await;
    let beside = files(&data);
    let (_, said) = server.terminate().await;
    handled.secrets.extend(kept(&data).await);
    let Handled { secrets, refusals } = handled;

    // It would be silent, too, if nothing had been captured.
    assert!(said.contains(" TRACE ") && said.contains("h2::"), "no trace was captured");
    for event in ["issued", "replayed", "recovered", "reuse", "revoked", "denied"] {
        assert!(said.contains(&format!(r#""event":"{event}""#)), "{event}");
    }
    assert!(figures.contains("symbolon_refreshes_total"), "{figures}");

    assert_silent("the log", said.as_bytes(), &secrets);
    assert_silent("the figures", figures.as_bytes(), &secrets);
    assert!(collector.spans().len() > 100, "no trace was collected");
    assert_silent("the traces", &collector.bytes(), &secrets);
    for known in ["alice", "carol"] {
        assert!(!collector.bytes().windows(known.len()).any(|part| part == known.as_bytes()), "{known} is in a trace");
    }
    for refusal in &refusals {
        assert_silent(refusal, refusal.as_bytes(), &secrets);
    }
    for (name, content) in beside.iter().chain(&files(&data)).filter(|(name, _)| !name.ends_with("master-keys")) {
        assert_silent(name, content, &secrets);
    }
}

/// R-OBS-01
#[test]
fn a_secret_is_found_however_it_is_spelled() {
    let mut seed = [0; 32];
    Dice::seeded(1).fill(&mut seed);
    let secret = Secret::new("a seed", seed);
    let mut texts: Vec<Vec<u8>> = vec![[b"x".as_slice(), &seed, b"y"].concat(), format!("{seed:?}").into_bytes()];
    for (before, after) in [(0, 0), (1, 0), (2, 5), (3, 1), (7, 2)] {
        let inside = [vec![9; before], seed.to_vec(), vec![9; after]].concat();
        texts.push(STANDARD.encode(inside).into_bytes());
    }
    for text in texts {
        assert!(secret.found_in(&text).is_some(), "{text:?}");
        let last = text.len() - 16;
        assert!(secret.found_in(&text[..last]).is_none());
    }
}
