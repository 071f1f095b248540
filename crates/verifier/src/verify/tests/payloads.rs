//! Attacks in the payload: an issuer gone wrong, another issuer's or audience's token, or a parser that can be confused.
//! All are signed by the honest key.

use crate::Rejection::{self, Audience, Claims, Expired, Issuer, NotYetValid};
use crate::forge::{HEADER, PAYLOAD, check, refused, token};

/// The honest payload with one member's value replaced by other JSON.
fn with(member: &str, value: &str) -> String {
    let mut claims: serde_json::Map<_, _> = serde_json::from_str(PAYLOAD).unwrap();
    claims.insert(member.to_owned(), "@".into());
    let payload = serde_json::to_string(&claims).unwrap();
    token(HEADER, payload.replacen(r#":"@""#, &format!(":{value}"), 1))
}

fn without(member: &str) -> String {
    let mut claims: serde_json::Map<_, _> = serde_json::from_str(PAYLOAD).unwrap();
    claims.remove(member).unwrap();
    token(HEADER, serde_json::to_string(&claims).unwrap())
}

fn rows<'a>(
    member: &'a str,
    values: &'a [&'a str],
    reason: Rejection,
) -> impl Iterator<Item = (String, String, Rejection)> {
    values.iter().map(move |value| (format!("{member}: {value}"), with(member, value), reason))
}

const NO_TIMES: [&str; 15] = [
    "null",
    "true",
    r#""1800000900""#,
    r#""""#,
    "[]",
    "[1800000900]",
    "{}",
    "1800000900.0",
    "1.8e9",
    "1e300",
    "-1",
    "-0",
    "9223372036854775807",
    "9223372036854775808",
    "1e999",
];

#[test]
fn what_is_no_time_is_refused_and_not_taken_for_absent() {
    for member in ["exp", "iat", "nbf", "auth_time"] {
        refused(rows(member, &NO_TIMES, Claims));
    }
}

#[test]
fn exp_and_iat_are_required() {
    refused(["exp", "iat"].map(|member| (member, without(member), Claims)));
}

#[test]
fn a_token_of_another_time_is_refused() {
    refused(rows("exp", &["0", "1", "1799999999", "1800000060"], Expired));
    refused(rows("iat", &["1800000066", "1800086400", "9007199254740991"], NotYetValid));
    refused(rows("nbf", &["1800000066", "9007199254740991"], NotYetValid));
    for honest in [with("exp", "1800000061"), with("iat", "1800000065"), with("nbf", "1800000065"), with("nbf", "0")] {
        assert!(check(&honest).is_ok());
    }
}

#[test]
fn issuers_that_look_like_ours_are_refused() {
    let others = [
        r#""https://id.example/""#,
        r#""https://ID.example""#,
        r#""HTTPS://id.example""#,
        r#""http://id.example""#,
        r#""https://id.example:443""#,
        r#""https://id.example.evil.example""#,
        r#""https://id.example@evil.example""#,
        r#""https://evil.example/https://id.example""#,
        r#""https://id.exampl\u0435""#,
        r#""https://id.example ""#,
        r#""https://id.example\u0000""#,
        r#""id.example""#,
        r#""https://id.example#""#,
        r#""https://id.example/../""#,
    ];
    refused(rows("iss", &others, Issuer));
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    let others = [
        r#""https://other.example""#,
        r#"["https://other.example","https://else.example"]"#,
        r#""https://api.example/""#,
        r#""https://API.example""#,
        r#""https://api.example https://other.example""#,
        r#""*""#,
        r#"["https://api","example"]"#,
    ];
    refused(rows("aud", &others, Audience));
    refused(rows(
        "aud",
        &[r#""""#, "[]", r#"[""]"#, r#"["https://api.example",""]"#, r#"["https://api.example",1]"#],
        Claims,
    ));
    refused(rows("aud", &["null", "1", "{}", r#"{"https://api.example":1}"#, r#"[["https://api.example"]]"#], Claims));
}

#[test]
fn the_identifying_claims_are_required_strings() {
    for member in ["iss", "sub", "jti", "client_id", "sid"] {
        refused([(member, without(member), Claims)]);
        refused(rows(member, &["null", r#""""#, "7", "true", r#"["alice"]"#, r#"{"id":"alice"}"#], Claims));
    }
    refused([("aud", without("aud"), Claims)]);
}

#[test]
fn an_optional_claim_of_another_type_is_refused_and_not_taken_for_absent() {
    for member in ["scope", "acr"] {
        refused(rows(member, &["null", "1", r#"["read"]"#, "{}"], Claims));
    }
    refused(rows("amr", &["null", r#""pwd""#, "[1]", r#"["pwd",null]"#, "{}"], Claims));
    for member in ["act", "cnf"] {
        refused(rows(member, &["null", "1", r#""jkt""#, "[]"], Claims));
    }
    for honest in [with("scope", r#""read""#), with("amr", "[]"), with("cnf", r#"{"jkt":"x"}"#), with("auth_time", "0")]
    {
        assert!(check(&honest).is_ok());
    }
}

#[test]
fn a_repeated_member_is_refused_at_any_level_and_in_any_spelling() {
    let behind = |member: &str| token(HEADER, PAYLOAD.replace("\"}", &format!("\",{member}}}")));
    let before = |member: &str| token(HEADER, PAYLOAD.replacen('{', &format!("{{{member},"), 1));
    for member in [
        r#""sub":"mallory""#,
        r#""sub":"alice""#,
        r#""s\u0075b":"mallory""#,
        r#""\u0073\u0075\u0062":"mallory""#,
        r#""exp":9999999999"#,
        r#""\u0065xp":9999999999"#,
        r#""aud":["https://other.example"]"#,
        r#""role":"user","role":"admin""#,
        r#""role":"user","r\u006fle":"admin""#,
        r#""tenant":{"id":1,"id":2}"#,
        r#""tenant":{"id":1,"\u0069d":2}"#,
        r#""list":[[{"x":{"id":1,"id":1}}]]"#,
        r#""act":{"sub":"a","sub":"b"}"#,
        r#""cnf":{"jkt":"a","j\u006bt":"b"}"#,
        r#""Sub":"mallory""#,
        r#""EXP":9999999999"#,
        r#""Client_Id":"admin""#,
    ] {
        refused([(member, behind(member), Claims), (member, before(member), Claims)]);
    }
    assert!(check(&behind(r#""role":"user","tenant":{"id":1,"sub":"t"}"#)).is_ok());
}

#[test]
fn a_payload_is_one_json_object() {
    for other in [
        " ",
        "null",
        "1",
        "[]",
        "{}",
        r#""{}""#,
        "{",
        "alice",
        &format!("[{PAYLOAD}]"),
        &format!("{PAYLOAD}{PAYLOAD}"),
        &format!("{PAYLOAD}x"),
        &format!("{PAYLOAD}\0"),
        &format!("\u{feff}{PAYLOAD}"),
        &PAYLOAD.replace("\"}", "\",}"),
        &PAYLOAD.replace('"', "'"),
        &PAYLOAD.replace("alice", r"\ud800"),
        &PAYLOAD.replace("1800000900", "NaN"),
        r#"["https://id.example","alice","https://api.example",1800000900,1800000000,"j","web","s"]"#,
    ] {
        refused([(other, token(HEADER, other), Claims)]);
    }
    let mut not_text = PAYLOAD.as_bytes().to_vec();
    not_text[10] = 0xff;
    refused([("bytes that are no UTF-8", token(HEADER, not_text), Claims)]);
}

#[test]
fn a_deep_payload_is_refused_and_does_not_crash() {
    let nested =
        |depth: usize, open: &str, close: &str| with("x", &format!("{}1{}", open.repeat(depth), close.repeat(depth)));
    refused([
        ("arrays", nested(2500, "[", "]"), Claims),
        ("objects", nested(900, r#"{"a":"#, "}"), Claims),
        ("arrays left open", token(HEADER, "[".repeat(5000)), Claims),
        ("objects left open", token(HEADER, r#"{"a":"#.repeat(1000)), Claims),
        ("in act", with("act", &format!("{}1{}", r#"{"act":"#.repeat(500), "}".repeat(500))), Claims),
    ]);
    assert!(check(&nested(4, r#"{"a":"#, "}")).is_ok());
}
