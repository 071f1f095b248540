//! What a verifier costs beside the signature check that nobody can do without: `cargo bench -p symbolon-verifier
//! --features testing`. The three take turns, a few each, so that a busy machine is as slow for one as for the others.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a benchmark")]

use ed25519_dalek::Signature;
use http::{Request, Response, header};
use std::convert::Infallible;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};
use symbolon_verifier::testing::TestIssuer;
use symbolon_verifier::{Audience, Expected, KeySet, KeySource, verify};
use tower::{ServiceBuilder, ServiceExt, service_fn};

const AUDIENCE: &str = "https://api.example";

const ROUNDS: usize = 3000;
const A_TURN: u32 = 10;

fn main() {
    let issuer = TestIssuer::new("https://id.example");
    let mut claims = issuer.claims(AUDIENCE, "user-4711");
    claims.scope = Some("orders:read orders:write".to_owned());
    let token = issuer.sign(&claims);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let keys = KeySet::from_json(issuer.jwks().as_bytes()).unwrap();
    let jwks: serde_json::Value = serde_json::from_str(&issuer.jwks()).unwrap();
    let key = keys.verifying_key(jwks["keys"][0]["kid"].as_str().unwrap()).unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    let audiences = [AUDIENCE.to_owned()];
    let expected = Expected {
        issuer: "https://id.example",
        audience: Audience::OneOf(&audiences),
        now: claims.iat,
        exp_leeway: 30,
        iat_leeway: 30,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let verifier = issuer.verifier(AUDIENCE);
    let reached = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let layered = ServiceBuilder::new().layer(verifier.required()).service(reached);
    // The least a service could do: the same signature, the same way in and out.
    let least = service_fn(async |_: Request<()>| {
        key.verify_strict(black_box(input.as_bytes()), &signature).unwrap();
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let request = || Request::get("/").header(header::AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap();

    let mut times = [const { Vec::new() }; 4];
    let requests = || (0..A_TURN).map(|_| request()).collect::<Vec<_>>();
    for _ in 0..ROUNDS {
        times[0].push(timed(0..A_TURN, |_| key.verify_strict(black_box(input.as_bytes()), &signature).unwrap()));
        times[1].push(timed(0..A_TURN, |_| verify(black_box(&token), &keys, &expected).unwrap()));
        times[2].push(timed(requests(), |request| runtime.block_on(least.oneshot(request)).unwrap()));
        times[3].push(timed(requests(), |request| runtime.block_on(layered.clone().oneshot(request)).unwrap()));
    }
    let [bare, pure, least, layered] = times.map(undisturbed);
    let mut out = std::io::stdout();
    let mut say = |name, time: Duration, beside: Duration| {
        let more = 100.0 * (time.as_secs_f64() / beside.as_secs_f64() - 1.0);
        writeln!(out, "{name:<40} {:>6.1} µs {more:>+6.1} %", time.as_secs_f64() * 1e6).unwrap();
    };
    say("verify_strict alone", bare, bare);
    say("verify", pure, bare);
    say("a service that calls verify_strict", least, least);
    say("a service behind the layer", layered, least);
}

/// What one takes when all are done in a row.
fn timed<I, O>(inputs: impl IntoIterator<Item = I>, mut run: impl FnMut(I) -> O) -> Duration {
    let began = Instant::now();
    for input in inputs {
        black_box(run(input));
    }
    began.elapsed() / A_TURN
}

/// What it takes when nobody else is at work: one in ten is quicker.
fn undisturbed(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 10]
}
