//! Keys that rotate every two seconds while three replicas are under load, and verifiers that know nothing of each other
//! fetch the key set from any of them: nobody meets a token it cannot verify.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use symbolon::pb::auth as pb;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::key_service_client::KeyServiceClient;
use symbolon::pb::auth::watch_revocations_response::Event;
use symbolon_verifier::{Issuer, Verifier};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{MASTER_KEY, Postgres, Process, part, redeem, sign_in, soaking, tools};

const ISSUER: &str = "http://localhost:8080";
const REPLICAS: usize = 3;
/// What the key set says of itself when keys are published two seconds ahead.
const KEPT: &str = "1";

async fn replicas(dir: &std::path::Path) -> Vec<Process> {
    let url = Postgres::shared().database().await;
    let env = [
        ("SYMBOLON_DATABASE_URL", url.as_str()),
        ("SYMBOLON_MASTER_KEYS", MASTER_KEY),
        ("SYMBOLON_KEYS_ROTATE_EVERY", "2s"),
        ("SYMBOLON_KEYS_PUBLISH_AHEAD", "2s"),
        ("SYMBOLON_ACCESS_TOKEN_TTL", "5s"),
    ];
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(Process::dev(dir, &env).await);
    }
    replicas
}

/// A verifier nobody here wrote, in a process of its own.
struct Theirs {
    name: &'static str,
    pipes: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _child: Child,
}

impl Theirs {
    fn start(name: &'static str, edge: &str) -> Self {
        let script = format!("{}/tests/tools/verify/{name}", env!("CARGO_MANIFEST_DIR"));
        let interpreter = if name.ends_with("py") { tools().join("python/bin/python") } else { "node".into() };
        let mut child = Command::new(interpreter)
            .args([&script, &jwks(edge), ISSUER, "api", KEPT])
            .env("NODE_PATH", tools().join("node_modules"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        Self { name, pipes: pipes.into(), _child: child }
    }

    async fn verify(&self, token: &str) -> Result<(), String> {
        let (stdin, stdout) = &mut *self.pipes.lock().await;
        stdin.write_all(format!("{token}\n").as_bytes()).await.unwrap();
        match stdout.next_line().await.unwrap().unwrap() {
            ok if ok == "ok" => Ok(()),
            refused => Err(format!("{}: {refused}", self.name)),
        }
    }
}

fn jwks(edge: &str) -> String {
    format!("http://{edge}/.well-known/jwks.json")
}

/// What happened.
#[derive(Default)]
struct Tally {
    tokens: AtomicU64,
    verified: AtomicU64,
    over: AtomicBool,
    kids: std::sync::Mutex<BTreeSet<String>>,
}

/// One user, who refreshes at any replica and shows each token to every verifier at once.
async fn user(turn: usize, grpc: Vec<String>, theirs: Arc<Vec<Theirs>>, ours: Arc<Vec<Verifier>>, tally: Arc<Tally>) {
    let mut clients = Vec::new();
    for address in grpc {
        let address = format!("http://{address}");
        clients.push(AuthServiceClient::connect(address).await.unwrap());
    }
    let mut tokens =
        clients[turn % REPLICAS].issue_tokens(sign_in("alice")).await.unwrap().into_inner().tokens.unwrap();
    for turn in turn.. {
        if tally.over.load(Ordering::Relaxed) {
            return;
        }
        let token = &tokens.access_token;
        tally.kids.lock().unwrap().insert(kid(token));
        tally.tokens.fetch_add(1, Ordering::Relaxed);
        let ours = &ours[turn % REPLICAS];
        ours.verify(token).await.unwrap_or_else(|refused| panic!("ours: {refused:?}"));
        for theirs in theirs.iter().skip(turn % REPLICAS).step_by(REPLICAS) {
            theirs.verify(token).await.unwrap();
        }
        tally.verified.fetch_add(1, Ordering::Relaxed);
        let client = &mut clients[turn % REPLICAS];
        tokens = client.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap().into_inner().tokens.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// R-KEY-01, R-KEY-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_rotate_every_two_seconds_under_load_fail_nobody() {
    tokio::task::spawn_blocking(tools).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let replicas = replicas(dir.path()).await;
    let mut theirs = Vec::new();
    // One of each kind before each replica.
    for name in ["follow_pyjwt.py", "follow_jose.mjs"] {
        theirs.extend(replicas.iter().map(|replica| Theirs::start(name, &replica.edge)));
    }
    let mut ours = Vec::new();
    for replica in &replicas {
        let issuer = Issuer::new(ISSUER).jwks_url(jwks(&replica.edge)).cool_down(Duration::from_secs(1));
        ours.push(Verifier::new(issuer, "api").start().await.unwrap());
    }
    let (theirs, ours, tally) = (Arc::new(theirs), Arc::new(ours), Arc::new(Tally::default()));
    let grpc: Vec<_> = replicas.iter().map(|replica| replica.grpc.clone()).collect();
    let mut users = JoinSet::new();
    for turn in 0..6 {
        users.spawn(user(turn, grpc.clone(), Arc::clone(&theirs), Arc::clone(&ours), Arc::clone(&tally)));
    }
    let time = Duration::from_secs(if soaking() { 300 } else { 60 });
    let end = Instant::now() + time;
    while let Ok(Some(ended)) = tokio::time::timeout_at(end, users.join_next()).await {
        ended.expect("a token was refused");
    }
    tally.over.store(true, Ordering::Relaxed);
    while let Some(ended) = users.join_next().await {
        ended.expect("a token was refused");
    }
    let signers = tally.kids.lock().unwrap().len();
    let tokens = tally.tokens.load(Ordering::Relaxed);
    println!("{tokens} tokens of {signers} keys in {time:?}, each verified by two or three verifiers");
    assert_eq!(tokens, tally.verified.load(Ordering::Relaxed));
    assert!(signers as u64 >= time.as_secs() / 4, "only {signers} keys signed in {time:?}");
    // One signs, one waits, and those whose tokens may be alive verify: no more than that is kept.
    let ring = ring(&replicas[0]).await;
    assert!(ring.len() < 12, "{} keys are kept", ring.len());
    assert_eq!(ring.iter().filter(|state| *state == "SIGNING_KEY_STATE_ACTIVE").count(), 1);
    for replica in &replicas {
        replica.assert_healed_nothing();
    }
}

async fn ring(replica: &Process) -> Vec<String> {
    let address = format!("http://{}", replica.grpc);
    let mut keys = KeyServiceClient::connect(address).await.unwrap();
    let request = pb::ListSigningKeysRequest::default();
    let listed = keys.list_signing_keys(request).await.unwrap().into_inner().keys;
    listed.iter().map(|key| key.state().as_str_name().to_owned()).collect()
}

/// R-KEY-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compromised_key_is_refused_by_every_replica_and_told_to_every_watcher_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(Process::replica(dir.path(), &url).await);
    }
    let mut slowest = Duration::ZERO;
    for round in 0..if soaking() { 50 } else { 3 } {
        let (at, tokens) = (&replicas[round % REPLICAS], issue(&replicas[0]).await);
        let compromised = kid(&tokens.access_token);
        let mut watches = Vec::new();
        for replica in &replicas {
            let request = pb::WatchRevocationsRequest::default();
            watches.push(replica.client().await.watch_revocations(request).await.unwrap().into_inner());
        }
        let address = format!("http://{}", at.grpc);
        let mut keys = KeyServiceClient::connect(address).await.unwrap();
        let request = pb::RevokeSigningKeyRequest { key_id: compromised.clone() };
        keys.revoke_signing_key(request).await.unwrap();
        let revoked = Instant::now();
        for (replica, mut watch) in replicas.iter().zip(watches) {
            loop {
                let told = tokio::time::timeout(Duration::from_secs(1), watch.message()).await;
                let event = told.expect("nothing is told").unwrap().unwrap().event;
                let Some(Event::Revocations(told)) = event else { continue };
                if told.keys.iter().any(|key| key.key_id == compromised) {
                    break;
                }
            }
            // Whoever was told of it asks a replica that knows it, and is signed for by another key.
            let request = pb::IntrospectTokenRequest { token: tokens.access_token.clone() };
            assert!(!replica.client().await.introspect_token(request).await.unwrap().into_inner().active);
            slowest = slowest.max(revoked.elapsed());
            assert_ne!(kid(&issue(replica).await.access_token), compromised);
        }
    }
    println!("the slowest of all replicas knew of a compromised key after {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

async fn issue(replica: &Process) -> pb::TokenPair {
    replica.client().await.issue_tokens(sign_in("alice")).await.unwrap().into_inner().tokens.unwrap()
}

fn kid(token: &str) -> String {
    let header: Value = serde_json::from_str(&part(token, 0)).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
