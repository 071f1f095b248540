//! Verifiers nobody here wrote read our key set and our tokens, and refuse what is not ours.

use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use symbolon::clock::{Clock, SystemClock};
use symbolon::pb;
use symbolon::pb::auth::{Authentication, GetJwksRequest, GetJwksResponse, IssueTokensRequest};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Indoors, MASTER_KEY, Server, sign_in, subject, tools};

const VERIFIERS: [&str; 4] = ["pyjwt.py", "joserfc.py", "jose.mjs", "fast_jwt.cjs"];

/// The answer as grpcurl prints it: protobuf's JSON.
fn as_json(jwks: &GetJwksResponse) -> Value {
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name("symbolon.auth.v1.GetJwksResponse").unwrap();
    let message = DynamicMessage::decode(descriptor, jwks.encode_to_vec().as_slice()).unwrap();
    serde_json::to_value(&message).unwrap()
}

/// What a verifier says: the claims, or why not.
async fn verify(verifier: &str, asked: &Value) -> Result<Value, String> {
    let script = format!("{}/tests/tools/verify/{verifier}", env!("CARGO_MANIFEST_DIR"));
    let interpreter = if verifier.ends_with("py") { tools().join("python/bin/python") } else { "node".into() };
    let mut child = Command::new(interpreter)
        .arg(script)
        .env("NODE_PATH", tools().join("node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(serde_json::from_slice(&output.stdout).unwrap()) } else { Err(told) }
}

/// The claims as anybody can read them.
fn read(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The token with one claim changed and the old signature.
fn tampered(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = read(token);
    claims["sub"] = "mallory".into();
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    [parts[0], &payload, parts[2]].join(".")
}

/// A server at the time of the machine, since these verifiers have no other, with its key set.
async fn server() -> (Server, Value) {
    // Starts the installation, which may take a while, outside of any time limit.
    tokio::task::spawn_blocking(tools).await.unwrap();
    let server = Server::start().await;
    server.clock.set(SystemClock.now());
    let jwks = server.client().get_jwks(GetJwksRequest {}).await.unwrap().into_inner();
    (server, as_json(&jwks))
}

fn asked_for(audience: &[&str]) -> IssueTokensRequest {
    IssueTokensRequest {
        audience: audience.iter().map(|audience| (*audience).to_owned()).collect(),
        scope: vec!["read".to_owned(), "write".to_owned()],
        authentication: Some(Authentication {
            acr: "aal2".to_owned(),
            amr: vec!["pwd".to_owned(), "otp".to_owned()],
            ..Authentication::default()
        }),
        ..sign_in("alice@example")
    }
}

/// R-TOK-02
#[tokio::test]
async fn the_key_set_in_protobufs_json_is_a_jwk_set() {
    let (_server, jwks) = server().await;
    let keys = jwks["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "one signs, and the next one waits");
    let mut members: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    let expected = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"});
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&keys[0][member], value);
    }
}

/// R-TOK-02
#[tokio::test]
async fn other_peoples_verifiers_accept_our_tokens_and_read_the_same_claims() {
    let (server, jwks) = server().await;
    for audience in [&["api"][..], &["api", "files"][..]] {
        let issued = server.client().issue_tokens(asked_for(audience)).await.unwrap().into_inner();
        let token = issued.tokens.unwrap().access_token;
        let session_id = issued.session.unwrap().session_id;
        let ours = read(&token);
        let aud = if audience.len() == 1 { json!("api") } else { json!(["api", "files"]) };
        assert_eq!((&ours["sub"], &ours["sid"], &ours["aud"]), (&json!("alice@example"), &json!(session_id), &aud));

        for verifier in VERIFIERS {
            for expected in audience {
                let asked = json!({"jwks": jwks, "token": token, "issuer": jwks["issuer"], "audience": expected});
                assert_eq!(verify(verifier, &asked).await.as_ref(), Ok(&ours), "{verifier} for {expected}");
            }
        }
    }
}

/// R-TOK-02
#[tokio::test]
async fn other_peoples_verifiers_refuse_what_is_tampered_with_and_what_is_for_somebody_else() {
    let (server, jwks) = server().await;
    let token = server.issue("alice").await.tokens.unwrap().access_token;
    let dir = tempfile::tempdir().unwrap();
    let stranger = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    stranger.clock.set(SystemClock.now());
    let foreign = stranger.issue(subject("alice")).await.unwrap().access.compact;
    server.clock.set(symbolon::time::Timestamp::from_seconds(SystemClock.now().seconds() - 3600));
    let expired = server.issue("alice").await.tokens.unwrap().access_token;

    let issuer = jwks["issuer"].as_str().unwrap();
    let cut = &token[..token.len() - 4];
    let tampered = tampered(&token);
    let cases: [(&str, &str, &str, &str); 7] = [
        ("a changed claim", &tampered, issuer, "api"),
        ("half a signature", cut, issuer, "api"),
        ("another server's key", &foreign, issuer, "api"),
        ("a token that ran out", &expired, issuer, "api"),
        ("another audience", &token, issuer, "files"),
        ("a part of the audience", &token, issuer, "ap"),
        ("another issuer", &token, "http://localhost:8081", "api"),
    ];
    for verifier in VERIFIERS {
        let asked = |token: &str, issuer: &str, audience: &str| json!({"jwks": jwks, "token": token, "issuer": issuer, "audience": audience});
        verify(verifier, &asked(&token, issuer, "api")).await.unwrap();
        for (what, token, issuer, audience) in cases {
            let refused = verify(verifier, &asked(token, issuer, audience)).await;
            assert!(refused.is_err(), "{verifier} took {what}: {refused:?}");
        }
    }
}

/// R-TOK-01
#[tokio::test]
async fn other_peoples_verifiers_can_tell_an_access_token_by_its_type() {
    let (server, jwks) = server().await;
    let token = server.issue("alice").await.tokens.unwrap().access_token;
    let (head, rest) = token.split_once('.').unwrap();
    let ours: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    assert_eq!(ours, json!({"alg": "EdDSA", "typ": "at+jwt", "kid": jwks["keys"][0]["kid"]}));

    // The same claims signed by a key of the test's own, so that nothing but the type differs.
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let mut own_jwks = jwks.clone();
    own_jwks["keys"][0]["x"] = URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes()).into();
    let signed = |typ: &str| {
        let head = json!({"alg": "EdDSA", "typ": typ, "kid": jwks["keys"][0]["kid"]});
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), rest.split_once('.').unwrap().0);
        let signature = ed25519_dalek::Signer::sign(&key, message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    };
    for verifier in VERIFIERS {
        let asked = |token| json!({"jwks": own_jwks, "token": token, "issuer": jwks["issuer"], "audience": "api"});
        verify(verifier, &asked(signed("at+jwt"))).await.unwrap();
        assert!(verify(verifier, &asked(signed("JWT"))).await.is_err(), "{verifier}");
    }
}
