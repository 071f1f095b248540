//! What the parts of a refresh cost: `cargo bench`. Read ratios from one run; a shared machine's times mean little.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sha2::{Digest, Sha256};
use symbolon::cli::{World, assemble};
use symbolon::config::{self, Profile};
use symbolon::entropy::SystemEntropy;
use symbolon::keys::{MasterKeys, Ring, SigningKey};
use symbolon::rpc::Gate;
use symbolon::rpc::methods::Methods;
use symbolon::service::{Caller, Callers};
use symbolon::session::redeem::{Policy, Presented, Rotation, redeem};
use symbolon::session::{Authentication, Chain, Device, Session, SessionId};
use symbolon::store::{Missing, Store, Url};
use symbolon::time::Timestamp;
use symbolon::token::access::AccessTokens;
use symbolon::token::lifetime::Lifetimes;
use symbolon::token::refresh::{RefreshToken, RefreshTokens};
use symbolon_verifier::{Audience, Expected, verify};
use tonic::body::Body;
use tonic::codegen::http::Request;

const ISSUER: &str = "https://auth.example.com";
const NOW: i64 = 1_780_315_200;

fn session() -> Session {
    let now = Timestamp::from_seconds(NOW);
    let end = now.after(Duration::from_secs(30 * 86_400));
    Session {
        id: SessionId::new(0, now, [9; 8]),
        subject: "user-4711".to_owned(),
        client_id: "web".to_owned(),
        caller: "backend".to_owned(),
        audience: vec!["api".to_owned()],
        scope: vec!["read".to_owned(), "write".to_owned()],
        claims: [("role".to_owned(), "admin".into())].into_iter().collect(),
        authentication: Authentication { auth_time: now, acr: None, amr: Vec::new() },
        lifetimes: Lifetimes { access_token_ttl: Duration::from_secs(900), idle_ttl: Duration::from_secs(30 * 86_400) },
        browser_session: false,
        chain: Chain::begin(now, end),
        created_at: now,
        expires_at: end,
        revocation: None,
        device: Device::default(),
        decisions: Vec::new(),
    }
}

fn parts(criterion: &mut Criterion) {
    let keys = MasterKeys::parse(&MasterKeys::generate(&SystemEntropy)).unwrap();
    let refresh_tokens = RefreshTokens::new(&keys, ISSUER, &[]);
    let access_tokens = AccessTokens::new(&keys, ISSUER);
    let ring = Ring::of_one(SigningKey::generate(&SystemEntropy));
    let session = session();
    let token = RefreshToken { session_id: session.id, generation: 1 };
    let text = refresh_tokens.write(token);
    let last = if text.ends_with('A') { "E" } else { "A" };
    let forged = format!("{}{last}", &text[..text.len() - 1]);
    assert!(refresh_tokens.read(&text).is_ok() && refresh_tokens.read(&forged).is_err());

    criterion.bench_function("refresh token: parse and check the tag", |bencher| {
        bencher.iter(|| refresh_tokens.read(black_box(&text)).is_ok());
    });
    criterion.bench_function("refresh token: refuse a forged one", |bencher| {
        bencher.iter(|| refresh_tokens.read(black_box(&forged)).is_err());
    });
    criterion.bench_function("refresh token: derive the successor", |bencher| {
        bencher.iter(|| refresh_tokens.write(black_box(token)));
    });
    let policy = Policy {
        leeway: Duration::from_secs(30),
        recovery_limit: 2,
        burst: Duration::from_secs(120),
        rotation_when_due: false,
    };
    let presented = Presented { generation: 1, audience: &[], scope: &[], rotation: Rotation::Always };
    let later = Timestamp::from_seconds(NOW + 600);
    criterion.bench_function("redeem", |bencher| {
        bencher.iter(|| redeem(black_box(&presented), Some(black_box(&session)), later, Some(&policy)));
    });
    criterion.bench_function("access token: mint", |bencher| {
        bencher.iter(|| access_tokens.mint(ring.signer().unwrap(), black_box(&session), &[], &[]).is_ok());
    });
    let access = access_tokens.mint(ring.signer().unwrap(), &session, &[], &[]).unwrap().compact;
    let expected = Expected { issuer: ISSUER, audience: Audience::Any, now: NOW, exp_leeway: 0, iat_leeway: 5 };
    criterion.bench_function("access token: verify strictly", |bencher| {
        bencher.iter(|| verify(black_box(&access), &ring, &expected).is_ok());
    });
}

/// What stands before a call: who calls, whether it may, and whether it comes too often.
fn admission(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let service = runtime.block_on(async {
        let no_file = |_: &Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let config = config::load(Profile::Serve, None, &issuer(), no_file, |_| Vec::new()).unwrap().config;
        let store = Store::open(&Url::Sqlite(dir.path().join("symbolon.db")), Missing::Create).await.unwrap();
        store.migrate().await.unwrap();
        let keys = MasterKeys::parse(&MasterKeys::generate(&SystemEntropy)).unwrap();
        assemble(&config, store, keys, Profile::Serve, World::default()).await.unwrap()
    });
    let mut callers = Callers::default();
    for at in 0..20 {
        let name = format!("caller-{at}");
        callers.declare(Caller::unlimited(&name), &[Sha256::digest(format!("sc1_{name}")).into()], &[]);
    }
    service.callers.store(Arc::new(callers));
    let service = Arc::new(service);
    let gate = Gate::new(Arc::clone(&service), Methods::of_the_contract().unwrap());
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = "http://localhost/symbolon.auth.v1.AuthService/RefreshTokens".parse().unwrap();
    request.headers_mut().insert("authorization", "Bearer sc1_caller-7".parse().unwrap());
    assert!(gate.admit(&request).unwrap().is_some());
    criterion.bench_function("call: authenticate a caller by its secret and permit the method", |bencher| {
        bencher.iter(|| gate.admit(black_box(&request)).is_ok());
    });
    let sessions: Vec<_> =
        (0..4096_u64).map(|at| SessionId::new(0, Timestamp::from_seconds(NOW), at.to_le_bytes())).collect();
    let mut sessions = sessions.iter().cycle();
    criterion.bench_function("call: count a rotation against the session's limit", |bencher| {
        bencher.iter(|| {
            let id = *sessions.next().unwrap();
            let may = service.limits.may_rotate(id).is_ok();
            service.limits.rotated(id);
            may
        });
    });
    let name = "caller-7".to_owned();
    criterion.bench_function("call: count a sign-in against the caller's limit", |bencher| {
        bencher.iter(|| service.limits.issue(black_box(&name)).is_ok());
    });
}

fn issuer() -> BTreeMap<String, String> {
    BTreeMap::from([("SYMBOLON_ISSUER".to_owned(), ISSUER.to_owned())])
}

criterion_group!(benches, parts, admission);
criterion_main!(benches);
