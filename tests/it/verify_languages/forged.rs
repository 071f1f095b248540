//! An issuer's key set with one key that the test holds: what it signs is wrong in nothing but what it says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use symbolon::clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{claimed, get, part};

/// Publishes the edge's keys and one of the test's own at the issuer's address, unless it is away.
pub(super) struct Publisher {
    pub(super) issuer: String,
    pub(super) edge: Arc<OnceLock<String>>,
    pub(super) away: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Publisher {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("localhost:0").await.unwrap();
        let issuer = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let (edge, away) = (Arc::new(OnceLock::<String>::new()), Arc::new(AtomicBool::new(true)));
        let (to, off) = (Arc::clone(&edge), Arc::clone(&away));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if !off.load(Ordering::SeqCst) {
                    // Whoever asks may leave.
                    let _ = answer(stream, to.get().unwrap()).await;
                }
            }
        });
        Self { issuer, edge, away, task }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, edge: &str) -> std::io::Result<()> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        head.extend(&buffer[..count]);
    }
    assert!(head.starts_with(b"GET /.well-known/jwks.json "), "{}", String::from_utf8_lossy(&head));
    let mut jwks: Value = serde_json::from_str(&get(edge, "/.well-known/jwks.json").await.1).unwrap();
    let mut own = jwks["keys"][0].clone();
    own["kid"] = "own".into();
    own["x"] = URL_SAFE_NO_PAD.encode(own_key().verifying_key().as_bytes()).into();
    jwks["keys"].as_array_mut().unwrap().push(own);
    let (body, head) = (jwks.to_string(), "HTTP/1.1 200 OK\r\ncontent-type: application/jwk-set+json");
    let answer = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await
}

/// A key of the issuer's as far as a service can tell, so that nothing but what a forged token says is wrong with it.
pub(super) fn own_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(super) fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// The claims with one changed, or left out.
pub(super) fn but(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().remove(name);
    if !value.is_null() {
        claims[name] = value;
    }
    claims
}

/// What is wrong, and the token. Only the issuer could know it of the first: that it never signed it.
pub(super) fn forgeries(real: &str, issuer: &str) -> Vec<(&'static str, String)> {
    let claims = claimed(real);
    let header: Value = serde_json::from_str(&part(real, 0)).unwrap();
    let own = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "own" });
    let header_as = |header: &Value| signed(&own_key(), header, &claims);
    let claims_as = |name, value| signed(&own_key(), &own, &but(&claims, name, value));
    let [head, payload, signature] = real.split('.').collect::<Vec<_>>().try_into().unwrap();
    let changed = URL_SAFE_NO_PAD.encode(but(&claims, "sub", "mallory".into()).to_string());
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let now = SystemClock.now().seconds();
    vec![
        ("another key in its name", header_as(&own)),
        ("another type", header_as(&but(&own, "typ", "JWT".into()))),
        ("no type", header_as(&but(&own, "typ", Value::Null))),
        ("another algorithm", header_as(&but(&own, "alg", "ES256".into()))),
        ("a key that nobody published", header_as(&but(&own, "kid", "other".into()))),
        ("a key's name borrowed", header_as(&header)),
        ("no key", header_as(&but(&own, "kid", Value::Null))),
        ("a look-alike issuer", claims_as("iss", format!("{issuer}/").into())),
        ("no issuer", claims_as("iss", Value::Null)),
        ("another audience", claims_as("aud", "files".into())),
        ("a part of the audience", claims_as("aud", "ap".into())),
        ("no audience", claims_as("aud", Value::Null)),
        ("over", claims_as("exp", (now - 60).into())),
        ("no end", claims_as("exp", Value::Null)),
        ("nobody", claims_as("sub", Value::Null)),
        ("a changed claim", format!("{head}.{changed}.{signature}")),
        ("half a signature", real[..real.len() - 40].to_owned()),
        ("no signature", format!("{head}.{payload}.")),
        ("not signed", format!("{}.{payload}.", encode(&but(&header, "alg", "none".into())))),
        ("a bug in a page", "undefined".to_owned()),
        ("no token", "a.b.c".to_owned()),
        ("a refresh token", "sr1_AAAA".to_owned()),
        ("nothing", String::new()),
    ]
}
