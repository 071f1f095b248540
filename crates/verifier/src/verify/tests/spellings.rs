//! Attacks on the spelling of the token: what is refused before anything in it is read, and signatures that do not hold.

use crate::Rejection::{Charset, Claims, Signature, Structure, TooLarge};
use crate::forge::{HEADER, PAYLOAD, base64url, check, honest, refused, sign, token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

#[test]
fn what_is_no_token_at_all_is_refused() {
    refused([
        ("empty", String::new(), Structure),
        ("undefined", "undefined".to_owned(), Structure),
        ("null", "null".to_owned(), Structure),
        ("[object Object]", "[object Object]".to_owned(), Charset),
        ("two dots", "..".to_owned(), Structure),
        ("a refresh token", "sr1_AQGQttIBkLbSAZC20gGQttIBAZC20gGQttIBkLbSAZC20gE".to_owned(), Structure),
        ("the scheme with it", format!("Bearer {}", honest()), Charset),
        ("a space before", format!(" {}", honest()), Charset),
        ("a newline behind", format!("{}\n", honest()), Charset),
        ("a NUL behind", format!("{}\0", honest()), Charset),
        ("a tab inside", honest().replacen('.', "\t.", 1), Charset),
        ("letters that only look right", honest().replacen('e', "\u{435}", 1), Charset),
        ("the base64 of elsewhere", honest().replace('-', "+").replace('_', "/"), Charset),
        ("percent-encoded dots", honest().replace('.', "%2E"), Charset),
    ]);
}

#[test]
fn only_three_non_empty_parts_are_a_token() {
    let (input, signature) = split(&honest());
    let (header, payload) = input.split_once('.').unwrap();
    refused([
        ("one part", header.to_owned(), Structure),
        ("two parts, signature stripped", input.clone(), Structure),
        ("signature stripped, dot kept", format!("{input}."), Structure),
        ("no header", sign(&format!(".{payload}")), Structure),
        ("no payload", sign(&format!("{header}.")), Structure),
        ("detached payload", format!("{header}..{signature}"), Structure),
        ("a dot more at the end", format!("{input}.{signature}."), Structure),
        ("a dot more at the start", format!(".{input}.{signature}"), Structure),
        ("four parts, signed as such", sign(&format!("{input}.{payload}")), Structure),
        ("five parts, as a JWE has", format!("{header}.{payload}.{payload}.{payload}.{signature}"), Structure),
    ]);
}

#[test]
fn the_json_serializations_are_refused() {
    let (input, signature) = split(&honest());
    let (header, payload) = input.split_once('.').unwrap();
    let flattened = format!(r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#);
    let general =
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{header}","signature":"{signature}"}}]}}"#);
    refused([("flattened", flattened, Charset), ("general", general, Charset)]);
}

#[test]
fn one_token_has_one_spelling() {
    let (input, signature) = split(&honest());
    let (header, payload) = input.split_once('.').unwrap();
    // Whitespace behind the payload is JSON's to allow, and leaves its last character with spare bits.
    let longer = base64url(format!("{PAYLOAD} "));
    assert!(check(&sign(&format!("{header}.{longer}"))).is_ok());
    refused([
        ("padded signature", format!("{input}.{signature}=="), Charset),
        ("padded header", sign(&format!("{header}==.{payload}")), Charset),
        ("padded payload", sign(&format!("{header}.{longer}==")), Charset),
        ("spare bits in the signature", format!("{input}.{}", respelled(&signature)), Structure),
        ("spare bits in the header", sign(&format!("{}.{payload}", respelled(header))), Structure),
        ("spare bits in the payload", sign(&format!("{header}.{}", respelled(&longer))), Structure),
        ("a length base64 does not have", sign(&format!("{header}.{payload}A")), Structure),
    ]);
}

#[test]
fn an_oversize_token_is_refused_before_it_is_decoded() {
    let of_length = |length: usize| {
        let with_sid = |sid: usize| token(HEADER, PAYLOAD.replace("0190b6d2", &"x".repeat(sid)));
        (length / 2..length).map(with_sid).find(|token| token.len() >= length).unwrap()
    };
    let largest = of_length(8192);
    assert_eq!(largest.len(), 8192);
    assert!(check(&largest).is_ok());
    refused([
        ("a byte more, and not even base64", format!("{largest}="), TooLarge),
        ("two megabytes", "A".repeat(2 << 20), TooLarge),
        ("two megabytes of dots", ".".repeat(2 << 20), TooLarge),
        ("a megabyte of kid", token(HEADER.replace("2026-01", &"k".repeat(1 << 20)), PAYLOAD), TooLarge),
        ("a megabyte of payload", token(HEADER, " ".repeat(1 << 20)), TooLarge),
    ]);
}

#[test]
fn a_signature_that_does_not_hold_is_refused() {
    let (input, signature) = split(&honest());
    let bytes = URL_SAFE_NO_PAD.decode(&signature).unwrap();
    let with = |bytes: &[u8]| format!("{input}.{}", base64url(bytes));
    let (_, other) = split(&token(HEADER, PAYLOAD.replace("alice", "mallory")));
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    let mut identity_r = [0; 64];
    identity_r[0] = 1;
    let weak = base64url(HEADER.replace("2026-01", "weak"));
    let (_, payload) = input.split_once('.').unwrap();
    refused([
        ("one bit", with(&flipped), Signature),
        ("of another payload", format!("{input}.{other}"), Signature),
        ("63 bytes", with(&bytes[..63]), Signature),
        ("65 bytes", with(&[&bytes[..], &[0]].concat()), Signature),
        ("twice", with(&[&bytes[..], &bytes[..]].concat()), Signature),
        ("one byte", with(&[0]), Signature),
        ("zeros", with(&[0; 64]), Signature),
        ("malleable: S + L", with(&plus_order(&bytes)), Signature),
        ("R and S swapped", with(&[&bytes[32..], &bytes[..32]].concat()), Signature),
        ("R of small order", with(&identity_r), Signature),
        ("a key of small order", format!("{weak}.{payload}.{}", base64url(identity_r)), Signature),
        ("a key of small order, honest R", format!("{weak}.{payload}.{signature}"), Signature),
    ]);
}

#[test]
fn a_token_inside_a_token_is_no_claims() {
    refused([
        ("nested, as with cty", token(HEADER, honest()), Claims),
        ("nested, as a JSON string", token(HEADER, format!("\"{}\"", honest())), Claims),
    ]);
}

/// Signing input and signature.
fn split(token: &str) -> (String, String) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    (input.to_owned(), signature.to_owned())
}

/// The same bytes to a lax decoder: a spare bit of the last character is set.
fn respelled(part: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = ALPHABET.iter().position(|letter| Some(letter) == part.as_bytes().last()).unwrap();
    assert!(part.len() % 4 > 1 && last % 2 == 0, "{part} has no spare bit");
    format!("{}{}", &part[..part.len() - 1], char::from(ALPHABET[last + 1]))
}

/// The signature with the group order added to its scalar: to a lax verifier, as good as the first.
fn plus_order(signature: &[u8]) -> Vec<u8> {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut sum = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in sum[32..].iter_mut().zip(ORDER) {
        let total = u16::from(*byte) + u16::from(order) + carry;
        *byte = total.to_le_bytes()[0];
        carry = total >> 8;
    }
    sum
}
