//! Attacks in the header, each under the honest key's signature unless the row says otherwise.

use crate::Rejection::{self, Algorithm, Header, Type, UnknownKey};
use crate::forge::{HEADER, PAYLOAD, check, honest, refused, token};

fn with_header(header: &str) -> String {
    token(header, PAYLOAD)
}

/// The honest header with one member's value replaced, whatever it is replaced by.
fn with(member: &str, value: &str) -> String {
    let honest = match member {
        "alg" => r#""EdDSA""#,
        "typ" => r#""at+jwt""#,
        "kid" => r#""2026-01""#,
        other => panic!("no member {other}"),
    };
    with_header(&HEADER.replace(honest, value))
}

fn rows<'a>(
    member: &'a str,
    values: &'a [&'a str],
    reason: Rejection,
) -> impl Iterator<Item = (String, String, Rejection)> {
    values.iter().map(move |value| (format!("{member}: {value}"), with(member, value), reason))
}

#[test]
fn no_algorithm_but_ours_in_our_spelling_is_accepted() {
    let foreign = [
        r#""none""#,
        r#""None""#,
        r#""NONE""#,
        r#""nOnE""#,
        r#""n\u006fne""#,
        r#""""#,
        r#"" none""#,
        r#""none\u0000""#,
        r#""HS256""#,
        r#""HS384""#,
        r#""HS512""#,
        r#""RS256""#,
        r#""PS256""#,
        r#""ES256""#,
        r#""Ed25519""#,
        r#""eddsa""#,
        r#""EDDSA""#,
        r#""EdDSA ""#,
        r#""EdDSA\u0000""#,
        r#""\u0415dDSA""#,
        r#""2026-01""#,
    ];
    refused(rows("alg", &foreign, Algorithm));
    refused(rows("alg", &["null", "0", "true", r#"["EdDSA"]"#, r#"{"EdDSA":1}"#], Header));
}

#[test]
fn alg_none_is_refused_without_a_signature_too() {
    for none in [r#""none""#, r#""None""#, r#""NONE""#] {
        let unsigned = with("alg", none).rsplit_once('.').unwrap().0.to_owned();
        refused([
            (none, format!("{unsigned}."), Rejection::Structure),
            (none, unsigned.clone(), Rejection::Structure),
            (none, format!("{unsigned}.AA"), Algorithm),
        ]);
    }
}

#[test]
fn hmac_keyed_with_our_public_key_is_refused() {
    let input = concat!(
        "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjIwMjYtMDEifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJzdWIiOiJh",
        "bGljZSIsImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUiLCJleHAiOjE4MDAwMDA5MDAsImlhdCI6MTgwMDAwMDAwMCwianRpIjoiWmsxbTBwUTki",
        "LCJjbGllbnRfaWQiOiJ3ZWIiLCJzaWQiOiIwMTkwYjZkMiJ9"
    );
    // Computed elsewhere, over `input`, with the honest public key in the encoding named.
    let macs = [
        ("raw", "hFt9EW9R-vZF7sZGkR8pjLFXHZTAoNB1mSglgve1ffY"),
        ("base64url", "YoUI84ztZpZbBWgQMOvPDVlkmCjuwJlTfBW8ZhoFUO4"),
        ("hex", "JUIpt0TuYUOgqfRKeTCLcTG0tl2AZdcHH1qFgm4wu8E"),
        ("DER", "WetX38QjwLYW3HfmlityFIwgZfzkib_CsBVkH42udaI"),
        ("PEM", "1OI8bQt04aLr9j4wLcodOP1XlqGSiNvGhfw837ETvBo"),
    ];
    refused(macs.map(|(encoding, mac)| (encoding, format!("{input}.{mac}"), Algorithm)));
}

#[test]
fn no_type_but_an_access_tokens_is_accepted() {
    let foreign = [
        r#""JWT""#,
        r#""jwt""#,
        r#""AT+JWT""#,
        r#""at+JWT""#,
        r#""application/at+jwt""#,
        r#""at+jwt ""#,
        r#""""#,
        r#""dpop+jwt""#,
        r#""logout+jwt""#,
        r#""secevent+jwt""#,
        r#""id+jwt""#,
        r#""at jwt""#,
    ];
    refused(rows("typ", &foreign, Type));
    refused(rows("typ", &["null", "1", r#"["at+jwt"]"#], Header));
}

#[test]
fn a_kid_is_only_ever_a_name() {
    let names = [
        r#""""#,
        r#""2026-02""#,
        r#""2026-01 ""#,
        r#""2026-01\u0000""#,
        r#""\u0000""#,
        r#""../../../../dev/null""#,
        r#""/proc/self/environ""#,
        r#""' OR '1'='1""#,
        r#""2026-01'; DROP TABLE signing_keys; --""#,
        r#""| id""#,
        r#""https://canary.example/jwks.json""#,
        r#""%00""#,
        r#""\ud83d\udd11""#,
    ];
    refused(rows("kid", &names, UnknownKey));
    refused(rows("kid", &["null", "0", "[]", r#"["2026-01"]"#, r#"{"2026-01":1}"#, r#""\ud800""#], Header));
}

#[test]
fn a_kid_has_at_most_128_characters() {
    refused([
        ("128", with("kid", &format!(r#""{}""#, "\u{e9}".repeat(128))), UnknownKey),
        ("129", with("kid", &format!(r#""{}""#, "k".repeat(129))), Header),
        ("as much as fits", with("kid", &format!(r#""{}""#, "k".repeat(4000))), Header),
    ]);
}

#[test]
fn any_other_header_member_is_a_refusal() {
    let members = [
        r#""crit":[]"#,
        r#""crit":["exp"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["b64"],"b64":true"#,
        r#""crit":["alg"]"#,
        r#""crit":null"#,
        r#""crit":"exp""#,
        r#""crit":{}"#,
        r#""crit":["x","x"],"x":1"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""zip":"DEF""#,
        r#""cty":"JWT""#,
        r#""enc":"A256GCM""#,
        r#""jku":"https://canary.example/jwks.json""#,
        r#""x5u":"https://canary.example/key.pem""#,
        r#""jwk":{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#""x5c":["MCowBQYDK2VwAyEA"]"#,
        r#""x5t":"AA""#,
        r#""x5t#S256":"AA""#,
        r#""iss":"https://id.example""#,
        r#""nonce":"1""#,
        r#""Alg":"EdDSA""#,
        r#""KID":"2026-01""#,
        r#""":1"#,
        r#""kid\u0000":"2026-01""#,
    ];
    refused(members.map(|member| (member, with_header(&HEADER.replacen('{', &format!("{{{member},"), 1)), Header)));
    refused(members.map(|member| (member, with_header(&HEADER.replacen('}', &format!(",{member}}}"), 1)), Header)));
}

#[test]
fn a_header_names_each_of_its_members_once() {
    for repeated in [
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"2026-01","kid":"2026-01"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"2026-01","k\u0069d":"2026-01"}"#,
        r#"{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"2026-01"}"#,
        r#"{"alg":"EdDSA","\u0061lg":"none","typ":"at+jwt","kid":"2026-01"}"#,
        r#"{"typ":"JWT","alg":"EdDSA","typ":"at+jwt","kid":"2026-01"}"#,
    ] {
        refused([(repeated, with_header(repeated), Header)]);
    }
    for missing in [
        r#"{"typ":"at+jwt","kid":"2026-01"}"#,
        r#"{"alg":"EdDSA","kid":"2026-01"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt"}"#,
        "{}",
    ] {
        refused([(missing, with_header(missing), Header)]);
    }
}

#[test]
fn a_header_is_one_json_object() {
    let deep = format!(r#"{{"alg":{}"#, "[".repeat(4000));
    for other in [
        r#"["EdDSA","at+jwt","2026-01"]"#,
        r#""EdDSA""#,
        "null",
        "1",
        " ",
        "{",
        "EdDSA",
        &deep,
        &"[".repeat(4000),
        &format!("{HEADER}{HEADER}"),
        &format!("{HEADER}x"),
        &format!("\u{feff}{HEADER}"),
        &format!("[{HEADER}]"),
        &HEADER.replace("\"}", "\",}"),
        &HEADER.replace('"', "'"),
    ] {
        refused([(other, with_header(other), Header)]);
    }
    let mut not_text = HEADER.as_bytes().to_vec();
    not_text[30] = 0xff;
    refused([("bytes that are no UTF-8", token(not_text, PAYLOAD), Header)]);
    assert!(check(&honest()).is_ok());
}
