//! Forged and confusing tokens: none is taken for good, none is told apart from another, and none ends a session.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use symbolon::entropy::Entropy;
use symbolon::pb::auth as pb;

use crate::introspect::assert_inactive;
use crate::support::{BEGINNING, Dice, Server, part};

/// The order of Ed25519's base point (RFC 8032 section 5.1), lowest byte first.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whoever has stolen the server's signing key and its handwriting: it signs anything.
pub(crate) struct Forger {
    key: SigningKey,
    header: Value,
    claims: Value,
    good: String,
}

impl Forger {
    /// Knows what the server signs for a live session.
    pub(crate) async fn of(server: &Server) -> Self {
        // The server's dice are seeded: first the epoch of its database, then the seed of its key.
        let dice = Dice::seeded(1);
        let _epoch: [u8; 16] = (&dice as &dyn Entropy).bytes();
        let key = SigningKey::from_bytes(&(&dice as &dyn Entropy).bytes());
        let good = server.issue("alice").await.tokens.unwrap().access_token;
        let read = |at| serde_json::from_str(&part(&good, at)).unwrap();
        let forger = Self { key, header: read(0), claims: read(1), good: good.clone() };
        assert_eq!(forger.sign(&part(&good, 0), &part(&good, 1)), good, "the key is the server's");
        forger
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        self.sign_bytes(header.as_bytes(), claims.as_bytes())
    }

    fn sign_bytes(&self, header: &[u8], claims: &[u8]) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()).to_bytes());
        format!("{input}.{signature}")
    }

    pub(crate) fn with_header(&self, change: impl Fn(&mut Value)) -> String {
        let mut header = self.header.clone();
        change(&mut header);
        self.sign(&header.to_string(), &self.claims.to_string())
    }

    pub(crate) fn with_claim(&self, name: &str, value: Value) -> String {
        self.with_claims(&[(name, value)])
    }

    pub(crate) fn with_claims(&self, changes: &[(&str, Value)]) -> String {
        let mut claims = self.claims.clone();
        for (name, value) in changes {
            claims[name] = value.clone();
        }
        self.sign(&self.header.to_string(), &claims.to_string())
    }

    fn without(&self, name: &str) -> String {
        let mut claims = self.claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        self.sign(&self.header.to_string(), &claims.to_string())
    }

    /// Signed by itself, members in another order: what a difference in the tests below cannot come from.
    fn honest(&self) -> String {
        self.sign(&self.header.to_string(), &self.claims.to_string())
    }
}

async fn all_inactive(server: &Server, forger: &Forger, attacks: impl IntoIterator<Item = (String, String)>) {
    assert!(server.introspect(&forger.honest()).await.active, "the forger's hand is good");
    for (why, token) in attacks {
        assert_inactive(server, &token, &why).await;
    }
    assert!(server.introspect(&forger.good).await.active, "and the good token is still good");
}

/// R-REV-01, R-JWS-02
#[tokio::test]
async fn a_header_that_says_anything_else_is_not_believed() {
    let server = Server::start().await;
    let forger = Forger::of(&server).await;
    let set = |name: &'static str, value: Value| {
        (format!("{name}: {value:.60}"), forger.with_header(|header| header[name] = value.clone()))
    };
    let mut attacks = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "RS256", "ES256", "Ed25519", "eddsa", "EdDSA "] {
        attacks.push(set("alg", json!(alg)));
    }
    attacks.extend([json!(null), json!(["EdDSA"]), json!(1)].map(|alg| set("alg", alg)));
    for typ in
        [json!("JWT"), json!("at+JWT"), json!("application/at+jwt"), json!("refresh+jwt"), json!(""), json!(null)]
    {
        attacks.push(set("typ", typ));
    }
    let kids = ["../../etc/passwd", "' OR 1=1 --", "\0", "", "unknown", "https://evil.example/jwks.json"];
    attacks.extend(kids.map(|kid| set("kid", json!(kid))));
    attacks.extend([json!(null), json!([forger.header["kid"]]), json!({}), json!(0)].map(|kid| set("kid", kid)));
    attacks.push(set("kid", json!("k".repeat(4000))));
    let others = [
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("crit", json!(["exp"])),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["MIIB"])),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
        ("p2c", json!(1_000_000)),
        ("nested", json!({"a": {"b": {"c": {}}}})),
    ];
    attacks.extend(others.map(|(name, value)| set(name, value)));
    for missing in ["alg", "typ", "kid"] {
        let gone = |header: &mut Value| drop(header.as_object_mut().unwrap().remove(missing));
        attacks.push((format!("no {missing}"), forger.with_header(gone)));
    }
    let (header, claims) = (part(&forger.good, 0), part(&forger.good, 1));
    for (why, header) in [
        ("alg twice", header.replacen('{', r#"{"alg":"EdDSA","#, 1)),
        ("alg twice, escaped", header.replacen('{', r#"{"\u0061lg":"EdDSA","#, 1)),
        ("kid twice", header.replacen('{', r#"{"kid":"x","#, 1)),
        ("in a list", format!("[{header}]")),
        ("no object", "\"EdDSA\"".to_owned()),
        ("something behind", format!("{header} x")),
        ("empty", "{}".to_owned()),
        ("deep", format!("{}{}", "[".repeat(2000), "]".repeat(2000))),
    ] {
        attacks.push((format!("header {why}"), forger.sign(&header, &claims)));
    }
    all_inactive(&server, &forger, attacks).await;
}

/// R-REV-01, R-JWS-03
#[tokio::test]
async fn claims_that_say_anything_else_are_not_believed() {
    let server = Server::start().await;
    let forger = Forger::of(&server).await;
    let mut attacks = Vec::new();
    let set = |name: &str, value: Value| (format!("{name}: {value:.60}"), forger.with_claim(name, value));
    let times = [
        json!(null),
        json!("1780316100"),
        json!(1.5),
        json!(1e300),
        json!(-1),
        json!([1]),
        json!(true),
        json!({}),
        json!(u64::MAX),
        json!(i64::MIN),
    ];
    for name in ["exp", "iat", "nbf"] {
        attacks.extend(times.iter().map(|time| set(name, time.clone())));
    }
    attacks.push(set("exp", json!(BEGINNING)));
    attacks.push(set("exp", json!(0)));
    attacks.push(set("iat", json!(BEGINNING + 6)));
    attacks.push(set("nbf", json!(BEGINNING + 6)));
    attacks.push(set("iss", json!("http://localhost:8080/")));
    for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid"] {
        attacks.push((format!("no {name}"), forger.without(name)));
    }
    for name in ["iss", "sub", "jti", "client_id", "sid"] {
        attacks.extend([json!(null), json!(1), json!(""), json!(["alice"])].map(|value| set(name, value)));
    }
    attacks.extend([json!([]), json!(""), json!(null), json!([1]), json!({"a": 1})].map(|aud| set("aud", aud)));
    attacks.push(set("sid", json!(forger.claims["sid"].as_str().unwrap().to_uppercase())));
    attacks.push(set("Sub", json!("mallory")));
    attacks.push(set("act", json!("mallory")));
    let (header, claims) = (part(&forger.good, 0), part(&forger.good, 1));
    for (why, claims) in [
        ("sub twice", claims.replacen('{', r#"{"sub":"mallory","#, 1)),
        ("sub twice, escaped", claims.replacen('{', r#"{"s\u0075b":"mallory","#, 1)),
        ("exp twice", claims.replacen('}', r#","exp":9999999999}"#, 1)),
        ("a member inside twice", claims.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1)),
        ("in a list", format!("[{claims}]")),
        ("something behind", format!("{claims}{claims}")),
        ("not JSON", "sub=alice".to_owned()),
        ("deep", claims.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(900), "]".repeat(900)), 1)),
        ("too long", claims.replacen('{', &format!(r#"{{"x":"{}","#, "x".repeat(9000)), 1)),
    ] {
        attacks.push((format!("claims {why}"), forger.sign(&header, &claims)));
    }
    attacks.push(("claims not UTF-8".to_owned(), forger.sign_bytes(header.as_bytes(), b"{\"sub\":\"\xff\"}")));
    all_inactive(&server, &forger, attacks).await;
}

/// R-REV-01, R-JWS-02
#[tokio::test]
async fn a_signature_that_is_not_the_keys_own_and_any_other_spelling_is_not_believed() {
    let server = Server::start().await;
    let forger = Forger::of(&server).await;
    let good = &forger.good;
    let parts: Vec<_> = good.split('.').collect();
    let (input, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signed = |bytes: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));

    let public = server.client().get_jwks(pb::GetJwksRequest {}).await.unwrap().into_inner().keys.remove(0).x;
    let raw = URL_SAFE_NO_PAD.decode(&public).unwrap();
    let hmac = |key: &[u8]| {
        let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": forger.header["kid"]}).to_string();
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), parts[1]);
        let tag = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&input).finalize().into_bytes();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&raw));

    // S + L: the same signature to whoever does not insist on the least S.
    let (mut malleable, mut carry) = (bytes.clone(), 0);
    for (byte, l) in malleable[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    let small_order = [&[1][..], &[0; 63]].concat();
    let other = SigningKey::from_bytes(&[7; 32]).sign(input.as_bytes()).to_bytes();
    let mut attacks = vec![
        ("stripped", format!("{input}.")),
        ("stripped of its dot", input.to_owned()),
        ("of zeros", signed(&[0; 64])),
        ("of small order", signed(&small_order)),
        ("with S + L", signed(&malleable)),
        ("by another key", signed(&other)),
        ("too short", signed(&bytes[..63])),
        ("too long", signed(&[&bytes[..], &[0]].concat())),
        ("with the public key as HMAC key", hmac(&raw)),
        ("with the public key's text as HMAC key", hmac(public.as_bytes())),
        ("with the public key's PEM as HMAC key", hmac(pem.as_bytes())),
        ("with padding", format!("{good}==")),
        ("in another alphabet", format!("{input}.{}", STANDARD.encode(&bytes))),
        ("in padded base64url", format!("{input}.{}", URL_SAFE.encode(&bytes))),
        ("with a space before", format!(" {good}")),
        ("with a line end behind", format!("{good}\n")),
        ("with its scheme", format!("Bearer {good}")),
        ("with four parts", format!("{good}.x")),
        ("with five parts", format!("{good}.{}.{}", parts[1], parts[2])),
        ("with an empty part", format!(".{}.{}", parts[1], parts[2])),
        ("as JSON", json!({"payload": parts[1], "protected": parts[0], "signature": parts[2]}).to_string()),
        ("in lower case", good.to_lowercase()),
        ("nested", forger.sign(&part(good, 0), good)),
        ("of another token", format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(b"{\"sub\":\"mallory\"}"), parts[2])),
        ("empty", String::new()),
        ("undefined", "undefined".to_owned()),
        ("null", "null".to_owned()),
        ("dots", "..".to_owned()),
        ("NUL", "\0".to_owned()),
        ("of 60 kB", "a".repeat(60_000)),
        ("of 60 kB with dots", format!("{}.{}.{}", "a".repeat(20_000), "a".repeat(20_000), "a".repeat(20_000))),
    ];
    for bit in (0..512).step_by(37) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        attacks.push(("with a bit flipped", signed(&flipped)));
    }
    // The last character of 64 bytes carries two bits; the other four must be zero.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for character in alphabet.chars().filter(|character| *character != last) {
        attacks.push(("with another last character", format!("{}{character}", &good[..good.len() - 1])));
    }
    let attacks = attacks.into_iter().map(|(why, token)| (format!("signature {why}"), token));
    all_inactive(&server, &forger, attacks).await;
}
