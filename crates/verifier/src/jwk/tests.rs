use super::{KeySet, KeySetError, MAX_JWKS_KEYS};
use crate::forge::{base64url, check_with, honest, signing_key, weak_key};
use crate::{KeySource, MAX_JWKS_BYTES};
use proptest::prelude::*;
use serde_json::{Value, json};

fn honest_jwk() -> Value {
    let x = base64url(signing_key().verifying_key().as_bytes());
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": "2026-01", "use": "sig", "alg": "EdDSA" })
}

fn with(changes: &Value) -> Value {
    let mut jwk = honest_jwk();
    for (name, value) in changes.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn read(keys: &[Value]) -> Result<KeySet, KeySetError> {
    KeySet::from_json(json!({ "keys": keys }).to_string().as_bytes())
}

#[test]
fn a_published_key_verifies_a_token() {
    let set = read(&[honest_jwk()]).unwrap();
    assert_eq!(check_with(&set, &honest()).unwrap().sub, "alice");
    assert!(set.verifying_key("2026-02").is_none());
}

#[test]
fn what_other_issuers_publish_passes() {
    let mut bare = honest_jwk();
    for member in ["use", "alg"] {
        bare.as_object_mut().unwrap().remove(member);
    }
    for jwk in [bare, with(&json!({ "alg": "Ed25519", "x5t": 1, "key_ops": ["verify"] }))] {
        assert!(read(std::slice::from_ref(&jwk)).is_ok(), "{jwk}");
    }
}

#[test]
fn foreign_keys_are_skipped_and_alone_are_no_set() {
    let foreign = [
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "2026-01" }),
        json!({ "kty": "oct", "k": "AAAA", "kid": "2026-01" }),
        json!({}),
        with(&json!({ "crv": "X25519" })),
        with(&json!({ "crv": "Ed448" })),
        with(&json!({ "kty": "EC", "crv": "P-256", "alg": "ES256" })),
        with(&json!({ "alg": "HS256" })),
        with(&json!({ "alg": "none" })),
        with(&json!({ "use": "enc" })),
        with(&json!({ "kid": null })),
        with(&json!({ "kid": "k".repeat(129) })),
    ];
    for jwk in &foreign {
        assert_eq!(read(std::slice::from_ref(jwk)).unwrap_err(), KeySetError::Empty, "{jwk}");
    }
    let set = read(&[&foreign[..], &[honest_jwk()]].concat()).unwrap();
    assert!(check_with(&set, &honest()).is_ok(), "beside them the good key is good");
}

#[test]
fn one_key_that_cannot_be_makes_the_whole_set_not_believed() {
    let weak = base64url(weak_key().as_bytes());
    let no_point = base64url([2; 32]);
    for x in [json!(weak), json!(no_point), json!("AAAA"), json!(""), json!(null), json!("=".repeat(43))] {
        let bad = with(&json!({ "x": x, "kid": "other" }));
        assert_eq!(read(&[honest_jwk(), bad]).unwrap_err(), KeySetError::BadKey, "{x}");
    }
    assert_eq!(read(&[honest_jwk(), honest_jwk()]).unwrap_err(), KeySetError::Duplicate);
}

#[test]
fn what_is_huge_or_malformed_is_not_believed() {
    let many: Vec<_> = (0..=MAX_JWKS_KEYS).map(|n| with(&json!({ "kid": n.to_string() }))).collect();
    assert_eq!(read(&many).unwrap_err(), KeySetError::TooMany);
    assert!(read(&many[1..]).is_ok());
    let huge = format!("{}{}", json!({ "keys": [honest_jwk()] }), " ".repeat(MAX_JWKS_BYTES));
    assert_eq!(KeySet::from_json(huge.as_bytes()).unwrap_err(), KeySetError::TooLarge);
    let jwk = honest_jwk();
    let malformed = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({ "keys": {} }).to_string(),
        json!({ "keys": ["x"] }).to_string(),
        json!({ "keys": [with(&json!({ "kid": 7 }))] }).to_string(),
        format!(r#"{{"keys":[],"keys":[{jwk}]}}"#),
        format!(r#"{{"keys":[{}]}}"#, jwk.to_string().replace('{', r#"{"kid":"2026-01","#)),
        "[".repeat(100_000),
        "<html>".to_owned(),
    ];
    for json in malformed {
        assert_eq!(KeySet::from_json(json.as_bytes()).unwrap_err(), KeySetError::Malformed, "{json:.80}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>(), x in any::<[u8; 32]>()) {
        prop_assert!(KeySet::from_json(&bytes).is_err());
        let _ = read(&[with(&json!({ "x": base64url(x) }))]);
    }
}
