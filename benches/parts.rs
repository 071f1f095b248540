//! What the parts of a refresh cost: `cargo bench`. Read ratios from one run; a shared machine's times mean little.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use symbolon::entropy::SystemEntropy;
use symbolon::keys::{MasterKeys, Ring, SigningKey};
use symbolon::session::redeem::{Policy, Presented, Rotation, redeem};
use symbolon::session::{Authentication, Chain, Device, Session, SessionId};
use symbolon::time::Timestamp;
use symbolon::token::access::AccessTokens;
use symbolon::token::lifetime::Lifetimes;
use symbolon::token::refresh::{RefreshToken, RefreshTokens};
use symbolon_verifier::{Audience, Expected, verify};

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
    let ring = Ring::new(SigningKey::generate(&SystemEntropy), []);
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
        bencher.iter(|| access_tokens.mint(ring.signer(), black_box(&session), &[], &[]).is_ok());
    });
    let access = access_tokens.mint(ring.signer(), &session, &[], &[]).unwrap().compact;
    let expected = Expected { issuer: ISSUER, audience: Audience::Any, now: NOW, exp_leeway: 0, iat_leeway: 5 };
    criterion.bench_function("access token: verify strictly", |bencher| {
        bencher.iter(|| verify(black_box(&access), &ring, &expected).is_ok());
    });
}

criterion_group!(benches, parts);
criterion_main!(benches);
