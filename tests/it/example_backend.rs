//! `examples/backend` behind a real edge, as its README has it: whom it registers, whom it lets in, and whom it does not.

use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use sha1::Sha1;
use symbolon::clock::{Clock, SystemClock};
use symbolon::pb::auth::ListSessionsRequest;
use symbolon_example_backend::{Settings, Users, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{Answer, Ask, Browser, Process, claimed};

/// What the edge brings along.
const TOKEN: &str = "the edge's own";

const PASSWORD: &str = "correct horse";

/// The backend, with its users in `dir`. Ends when dropped.
struct Backend {
    verifier: String,
    http: String,
    users: String,
    task: JoinHandle<()>,
}

impl Backend {
    async fn start(dir: &Path, locked_for: Duration) -> Self {
        let users = dir.join("users.db").display().to_string();
        let grpc = TcpListener::bind("localhost:0").await.unwrap();
        let http = TcpListener::bind("localhost:0").await.unwrap();
        let (verifier, address) = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
        let open = Users::open(&users).await.unwrap();
        let settings = Settings { token: Some(TOKEN.to_owned()), locked_for };
        let task = tokio::spawn(async move { serve(open, settings, grpc, http).await.unwrap() });
        Self { verifier: format!("http://{verifier}"), http: address.to_string(), users, task }
    }

    async fn register(&self, form: &Value) -> Answer {
        Ask::new("POST", "/register").json(form).of(&self.http).await
    }

    async fn registered(&self, username: &str) {
        let answer = self.register(&json!({ "username": username, "password": PASSWORD })).await;
        assert_eq!((answer.status, answer.json()), (201, json!({ "username": username })));
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Both, and the folder they live in.
async fn started() -> (Process, Backend, tempfile::TempDir) {
    started_with(Duration::from_mins(15), TOKEN).await
}

async fn started_with(locked_for: Duration, token: &str) -> (Process, Backend, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let backend = Backend::start(dir.path(), locked_for).await;
    let env = [("SYMBOLON_EDGE_VERIFIER_URL", backend.verifier.as_str()), ("SYMBOLON_EDGE_VERIFIER_TOKEN", token)];
    let process = Process::dev(dir.path(), &env).await;
    (process, backend, dir)
}

/// What a page sends; no `code` if there is none.
async fn login(edge: &Process, username: &str, password: &str, code: Option<&str>) -> Answer {
    let mut credentials = json!({ "username": username, "password": password });
    if let Some(code) = code {
        credentials["code"] = code.into();
    }
    Ask::page("POST", "/auth/login").json(&credentials).of(&edge.edge).await
}

async fn sessions(edge: &Process, subject: &str) -> usize {
    let request = ListSessionsRequest { subject: subject.to_owned(), ..ListSessionsRequest::default() };
    edge.client().await.list_sessions(request).await.unwrap().into_inner().sessions.len()
}

/// "No tokens at registration."
#[tokio::test]
async fn who_registers_gets_no_token_and_no_session_and_signs_in_like_everybody() {
    let (edge, backend, _dir) = started().await;
    let answer = backend.register(&json!({ "username": " Carol ", "password": PASSWORD })).await;
    assert_eq!((answer.status, answer.json()), (201, json!({ "username": "carol" })));
    assert_eq!(answer.cookie(), None);
    assert_eq!(sessions(&edge, "user-1").await, 0);
    assert_eq!(Ask::refresh().of(&edge.edge).await.code(), "no_session");

    let mut browser = Browser::default();
    let credentials = json!({ "username": "Carol", "password": PASSWORD });
    let signed_in = browser.ask(&edge.edge, &Ask::page("POST", "/auth/login").json(&credentials)).await;
    let claims = claimed(&signed_in.access_token());
    assert_eq!((&claims["sub"], &claims["amr"]), (&json!("user-1"), &json!(["pwd"])));
    assert_eq!(sessions(&edge, "user-1").await, 1);
    assert_eq!(browser.ask(&edge.edge, &Ask::refresh()).await.json()["session"]["subject"], "user-1");
}

#[tokio::test]
async fn a_taken_name_a_short_password_and_an_odd_name_are_refused() {
    let (_edge, backend, _dir) = started().await;
    backend.registered("carol").await;
    let refused = async |username: &str, password: &str| {
        backend.register(&json!({ "username": username, "password": password })).await.status
    };
    assert_eq!(refused("CAROL", "another one").await, 409);
    assert_eq!(refused("dave", "short").await, 400);
    assert_eq!(refused("dave&issuer=x", PASSWORD).await, 400);
    // What a form of another site can send.
    let form = Ask::new("POST", "/register").header("content-type", "text/plain");
    let body = json!({ "username": "dave", "password": PASSWORD }).to_string();
    assert_eq!(form.body(body).of(&backend.http).await.status, 415);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_the_same_to_a_page() {
    let (edge, backend, _dir) = started().await;
    backend.registered("carol").await;
    let wrong = login(&edge, "carol", "wrong horse", None).await;
    let unknown = login(&edge, "nobody", PASSWORD, None).await;
    assert_eq!(wrong.problem(), (401, "credentials_rejected".to_owned()));
    assert_eq!((unknown.status, &unknown.body), (wrong.status, &wrong.body));
    assert_eq!((wrong.cookie(), unknown.cookie()), (None, None));
    assert_eq!(login(&edge, "carol", PASSWORD, None).await.status, 200);
}

/// How long a wrong password takes.
async fn rejected(edge: &Process, username: &str) -> Duration {
    let begun = Instant::now();
    assert_eq!(login(edge, username, "wrong horse", None).await.code(), "credentials_rejected");
    begun.elapsed()
}

#[tokio::test]
async fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    let (edge, backend, _dir) = started().await;
    backend.registered("carol").await;
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    // In turn, so that other work on this machine disturbs both alike.
    for _ in 0..5 {
        wrong.push(rejected(&edge, "carol").await);
        unknown.push(rejected(&edge, "nobody").await);
    }
    wrong.sort();
    unknown.sort();
    // A hash takes ten times as long as all the rest.
    assert!(unknown[2] > wrong[0] / 3, "{unknown:?} for an unknown user, {wrong:?} for a wrong password");
}

/// The code an authenticator app shows (RFC 6238), so many steps from now.
fn code(secret: &str, steps: i64) -> String {
    let bits: String = secret
        .bytes()
        .map(|letter| {
            format!("{:05b}", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|it| *it == letter).unwrap())
        })
        .collect();
    let key: Vec<u8> = bits
        .as_bytes()
        .chunks_exact(8)
        .map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap())
        .collect();
    let step = SystemClock.now().seconds() / 30 + steps;
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_its_code_is_good_once() {
    let (edge, backend, _dir) = started().await;
    let form = json!({ "username": "carol", "password": PASSWORD, "totp": true });
    let registered = backend.register(&form).await.json();
    let secret = registered["totp_secret"].as_str().unwrap();
    let uri = format!("otpauth://totp/Example:carol?secret={secret}&issuer=Example");
    assert_eq!(registered["totp_uri"], uri);

    let assert_asked = |answer: &Answer| {
        assert_eq!(answer.problem(), (401, "more_required".to_owned()));
        assert_eq!((&answer.json()["details"], answer.cookie()), (&json!({ "factor": "totp" }), None));
    };
    assert_asked(&login(&edge, "carol", PASSWORD, None).await);
    let good = code(secret, 0);
    let wrong = format!("{:06}", (good.parse::<u32>().unwrap() + 1) % 1_000_000);
    assert_asked(&login(&edge, "carol", PASSWORD, Some(&wrong)).await);
    // Whoever has the code and not the password learns nothing of it.
    assert_eq!(login(&edge, "carol", "wrong horse", Some(&good)).await.code(), "credentials_rejected");

    let signed_in = login(&edge, "carol", PASSWORD, Some(&good)).await;
    assert_eq!(claimed(&signed_in.access_token())["amr"], json!(["pwd", "otp"]));
    assert_asked(&login(&edge, "carol", PASSWORD, Some(&good)).await);
    assert_eq!(login(&edge, "carol", PASSWORD, Some(&code(secret, 1))).await.status, 200);
}

/// The seconds an answer says to wait.
fn retry_after(answer: &Answer) -> u64 {
    answer.header("retry-after").unwrap_or_else(|| panic!("{answer:?}")).parse().unwrap()
}

#[tokio::test]
async fn a_name_is_locked_after_five_wrong_guesses_whether_somebody_has_it_or_not() {
    let (edge, backend, _dir) = started().await;
    backend.registered("carol").await;
    backend.registered("dave").await;
    for name in ["carol", "nobody"] {
        for _ in 0..5 {
            assert_eq!(login(&edge, name, "wrong horse", None).await.code(), "credentials_rejected");
        }
        let locked = login(&edge, name, PASSWORD, None).await;
        assert_eq!((locked.problem(), locked.cookie()), ((429, "locked".to_owned()), None));
        assert!((1..=900).contains(&retry_after(&locked)), "{locked:?}");
    }
    assert_eq!(login(&edge, "dave", PASSWORD, None).await.status, 200);
}

#[tokio::test]
async fn wrong_codes_are_guesses_too() {
    let (edge, backend, _dir) = started().await;
    let form = json!({ "username": "carol", "password": PASSWORD, "totp": true });
    let secret = backend.register(&form).await.json()["totp_secret"].as_str().unwrap().to_owned();
    for _ in 0..5 {
        // The password alone, in between, starts no new count.
        assert_eq!(login(&edge, "carol", PASSWORD, None).await.code(), "more_required");
        assert_eq!(login(&edge, "carol", PASSWORD, Some("no code")).await.code(), "more_required");
    }
    assert_eq!(login(&edge, "carol", PASSWORD, Some(&code(&secret, 0))).await.code(), "locked");
}

#[tokio::test]
async fn the_lock_opens_again_when_it_says() {
    let (edge, backend, _dir) = started_with(Duration::from_secs(3), TOKEN).await;
    backend.registered("carol").await;
    let opened = async {
        while login(&edge, "carol", "wrong horse", None).await.code() != "locked" {}
        let locked = login(&edge, "carol", PASSWORD, None).await;
        assert!(locked.status == 200 || retry_after(&locked) <= 3, "{locked:?}");
        while login(&edge, "carol", PASSWORD, None).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), opened).await.expect("it did not open");
}

#[tokio::test]
async fn a_database_that_cannot_be_read_counts_against_nobody() {
    let (edge, backend, _dir) = started().await;
    backend.registered("carol").await;
    let operator = sea_orm::Database::connect(format!("sqlite:{}", backend.users)).await.unwrap();
    operator.execute_unprepared("ALTER TABLE users RENAME TO away").await.unwrap();
    for _ in 0..6 {
        assert_eq!(login(&edge, "carol", PASSWORD, None).await.problem(), (503, "verifier_unavailable".to_owned()));
    }
    operator.execute_unprepared("ALTER TABLE away RENAME TO users").await.unwrap();
    assert_eq!(login(&edge, "carol", PASSWORD, None).await.status, 200);
}

#[tokio::test]
async fn a_disabled_user_is_told_so_only_with_the_right_password() {
    let (edge, backend, _dir) = started().await;
    backend.registered("carol").await;
    let users = Users::open(&backend.users).await.unwrap();
    assert!(users.disable("carol").await.unwrap() && !users.disable("nobody").await.unwrap());
    assert_eq!(login(&edge, "carol", PASSWORD, None).await.problem(), (403, "account_disabled".to_owned()));
    assert_eq!(login(&edge, "carol", "wrong horse", None).await.code(), "credentials_rejected");
}

#[tokio::test]
async fn an_edge_without_the_right_secret_decides_nothing() {
    let (edge, backend, _dir) = started_with(Duration::from_mins(15), "another edge's").await;
    backend.registered("carol").await;
    let answer = login(&edge, "carol", PASSWORD, None).await;
    assert_eq!(answer.problem(), (503, "verifier_unavailable".to_owned()));
}
