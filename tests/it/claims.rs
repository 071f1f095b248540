//! Extra claims: what a caller may put into a token, and that none of it can be taken for what the server says.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Value as Json, json};
use symbolon::pb::auth as pb;

use crate::support::{BEGINNING, Server, bad_fields, claimed, claims, part, sign_in};

/// DESIGN section 8.
const RESERVED: &str = "iss sub aud exp nbf iat jti sid client_id scope act may_act cnf status auth_time acr amr azp \
                        nonce at_hash c_hash s_hash events sub_id toe txn vot vtm";

fn with(claims: Struct) -> pb::IssueTokensRequest {
    pb::IssueTokensRequest { claims: Some(claims), ..sign_in("alice") }
}

async fn refused(server: &Server, claims: Struct) -> Vec<String> {
    bad_fields(&server.issue_tokens(with(claims)).await.unwrap_err())
}

/// The claims as JSON text, as the token has them.
async fn written(server: &Server, claims: Struct) -> String {
    let token = server.issue_tokens(with(claims)).await.unwrap().tokens.unwrap().access_token;
    part(&token, 1)
}

fn one(name: &str, kind: Option<Kind>) -> Struct {
    Struct { fields: [(name.to_owned(), Value { kind })].into() }
}

/// R-TOK-05
#[tokio::test]
async fn a_name_that_jwt_or_oauth_registers_is_refused_in_any_case_of_letters() {
    let server = Server::start().await;
    for name in RESERVED.split_whitespace() {
        let mixed: String = name
            .char_indices()
            .map(|(at, letter)| if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter })
            .collect();
        for spelling in [name.to_owned(), name.to_uppercase(), mixed] {
            for value in [json!("x"), json!(null), json!([]), json!({})] {
                let mut object = json!({});
                object[&spelling] = value;
                assert_eq!(refused(&server, claims(object)).await, [format!("claims.{spelling}")]);
            }
        }
    }
    // Letters that some reader folds to ASCII.
    for name in ["\u{17f}ub", "\u{212a}id", "ＳＵＢ", "sub\u{200b}", "sub\0", "e\u{301}xp", ""] {
        assert_eq!(refused(&server, one(name, Some(Kind::BoolValue(true)))).await, ["claims"], "{name:?}");
    }
    // All of them at once.
    let all = RESERVED.split_whitespace().take(20).map(|name| (name.to_owned(), json!(1)));
    assert_eq!(refused(&server, claims(Json::Object(all.collect()))).await.len(), 20);
}

/// R-TOK-05
#[tokio::test]
async fn other_names_pass_also_those_that_only_look_like_registered_ones() {
    let server = Server::start().await;
    let given = json!({
        "email": "a@example.org", "name": "Anna", "roles": ["a"], "groups": {"sub": 1, "exp": 2}, "subject": 1,
        " sub": 1, "sub ": 1, "https://example.org/sub": true, "\"": 1, "\\": 1, "__proto__": {}, "constructor": null
    });
    let token = server.issue_tokens(with(claims(given.clone()))).await.unwrap().tokens.unwrap().access_token;
    let claimed = claimed(&token);
    for (name, value) in given.as_object().unwrap() {
        assert_eq!(claimed[name], *value, "{name}");
    }
    assert_eq!(claimed["sub"], "alice");
}

/// R-TOK-05
#[tokio::test]
async fn objects_and_lists_lie_at_most_four_deep() {
    let server = Server::start().await;
    for good in [json!({"a": {"b": {"c": 1}}}), json!({"a": {"b": {"c": {"d": 1}}}}), json!({"a": [[[1]]]})] {
        written(&server, claims(good)).await;
    }
    assert_eq!(refused(&server, claims(json!({"a": {"b": {"c": {"d": {}}}}}))).await, ["claims.a.b.c.d"]);
    assert_eq!(refused(&server, claims(json!({"a": [0, [[[]]]]}))).await, ["claims.a[1][0][0]"]);
    assert_eq!(refused(&server, claims(json!({"a": [{"b": {"c": [1]}}]}))).await, ["claims.a[0].b.c"]);
}

/// R-TOK-05
#[tokio::test]
async fn an_object_has_at_most_thirty_two_members() {
    let server = Server::start().await;
    let members =
        |count: usize| (0..count).map(|at| (format!("m{at:02}"), json!(at))).collect::<serde_json::Map<_, _>>();
    written(&server, claims(Json::Object(members(32)))).await;
    assert_eq!(refused(&server, claims(Json::Object(members(33)))).await, ["claims"]);
    written(&server, claims(json!({"a": members(32)}))).await;
    assert_eq!(refused(&server, claims(json!({"a": members(33)}))).await, ["claims.a"]);
}

/// R-TOK-05
#[tokio::test]
async fn claims_have_at_most_two_kibibytes_as_json() {
    let server = Server::start().await;
    let of = |bytes: usize| claims(json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())}));
    written(&server, of(2048)).await;
    assert_eq!(refused(&server, of(2049)).await, ["claims"]);
    assert_eq!(refused(&server, of(50_000)).await, ["claims"]);
    // What JSON has to escape counts as it is written.
    assert_eq!(refused(&server, claims(json!({"a": "\u{1}".repeat(400)}))).await, ["claims"]);
    let long_name = json!({"n".repeat(129): 1});
    assert_eq!(refused(&server, claims(long_name)).await, ["claims"]);
    written(&server, claims(json!({"n".repeat(128): 1}))).await;
}

/// R-TOK-05
#[tokio::test]
async fn whole_numbers_have_no_fraction_and_lie_within_what_a_double_tells_apart() {
    let server = Server::start().await;
    let number = |number: f64| one("n", Some(Kind::NumberValue(number)));
    for (given, expected) in [
        (1.0, "1"),
        (-0.0, "0"),
        (1e15, "1000000000000000"),
        (9_007_199_254_740_991.0, "9007199254740991"),
        (-9_007_199_254_740_991.0, "-9007199254740991"),
        (0.5, "0.5"),
        (-1e-7, "-1e-7"),
    ] {
        let text = written(&server, number(given)).await;
        assert!(text.ends_with(&format!(r#","n":{expected}}}"#)), "{given}: {text}");
    }
    for bad in
        [9_007_199_254_740_992.0, -9_007_199_254_740_992.0, 1e300, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]
    {
        assert_eq!(refused(&server, number(bad)).await, ["claims.n"], "{bad}");
    }
}

/// R-RPC-01: a message can hold what JSON cannot.
#[tokio::test]
async fn a_value_that_is_none_is_refused_where_it_stands() {
    let server = Server::start().await;
    assert_eq!(refused(&server, one("a", None)).await, ["claims.a"]);
    let list = ListValue { values: vec![Value { kind: Some(Kind::BoolValue(true)) }, Value { kind: None }] };
    assert_eq!(refused(&server, one("a", Some(Kind::ListValue(list)))).await, ["claims.a[1]"]);
    let text = written(&server, one("a", Some(Kind::NullValue(5)))).await;
    assert!(text.ends_with(r#","a":null}"#), "{text}");
}

fn any_name() -> impl Strategy<Value = String> {
    let reserved = prop::sample::select(RESERVED.split_whitespace().collect::<Vec<_>>());
    let recased = (reserved, any::<u64>()).prop_map(|(name, cases)| {
        let recase = |(at, letter): (usize, char)| {
            if cases >> at & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        name.char_indices().map(recase).collect::<String>()
    });
    prop_oneof![
        1 => recased.clone(),
        1 => (recased, "[ a\"\\\\u0000]{1,2}").prop_map(|(name, more)| name + &more),
        8 => "[a-c]{1,2}",
        3 => "[ -~]{1,6}",
        1 => "\\PC{0,3}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Kind::NullValue(0)),
        any::<bool>().prop_map(Kind::BoolValue),
        any::<f64>().prop_map(Kind::NumberValue),
        (-1000_i32..1000).prop_map(|number| Kind::NumberValue(number.into())),
        "\\PC{0,8}".prop_map(Kind::StringValue),
        "[\"\\\\{}:,\u{1}]{0,8}".prop_map(Kind::StringValue),
    ];
    let leaf = leaf.prop_map(|kind| Value { kind: Some(kind) });
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        let object = prop::collection::btree_map(any_name(), inner, 0..4);
        prop_oneof![
            list.prop_map(|values| Value { kind: Some(Kind::ListValue(ListValue { values })) }),
            object.prop_map(|fields| Value { kind: Some(Kind::StructValue(Struct { fields })) }),
        ]
    })
}

/// R-TOK-05
#[test]
fn no_accepted_request_gives_a_token_with_a_repeated_or_overridden_claim() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let requests = (prop::collection::btree_map(any_name(), any_value(), 0..6), "[ -~]{1,20}", "[!#-~&&[^\\\\]]{1,9}");
    let accepted = std::cell::Cell::new(0);
    let outcome = runner.run(&requests, |(fields, subject, name)| {
        let request = pb::IssueTokensRequest {
            subject: subject.clone(),
            audience: vec![name.clone()],
            scope: vec![name.clone()],
            claims: Some(Struct { fields }),
            ..Default::default()
        };
        let Ok(answer) = runtime.block_on(server.issue_tokens(request)) else { return Ok(()) };
        accepted.set(accepted.get() + 1);
        let (tokens, session) = (answer.tokens.unwrap(), answer.session.unwrap());
        let text = part(&tokens.access_token, 1);
        let claimed = claimed(&tokens.access_token);
        // Read and written again it is as long as before, so nothing in it was repeated, at any depth.
        prop_assert_eq!(serde_json::to_string(&claimed).unwrap().len(), text.len());
        let own = json!({
            "iss": "http://localhost:8080", "sub": subject, "aud": name, "scope": name, "client_id": "web",
            "sid": session.session_id, "iat": BEGINNING, "exp": BEGINNING + 900, "auth_time": BEGINNING,
            "jti": claimed["jti"],
        });
        let mut folded: Vec<_> = claimed.as_object().unwrap().keys().map(|name| name.to_ascii_lowercase()).collect();
        for (name, value) in own.as_object().unwrap() {
            prop_assert_eq!(&claimed[name], value);
            prop_assert_eq!(folded.iter().filter(|folded| *folded == name).count(), 1);
        }
        folded.retain(|name| RESERVED.split_whitespace().any(|reserved| reserved == name));
        prop_assert_eq!(folded.len(), own.as_object().unwrap().len());
        prop_assert!(runtime.block_on(server.introspect(&tokens.access_token)).active);
        Ok(())
    });
    outcome.unwrap();
    assert!(accepted.get() > 10, "only {} requests were accepted", accepted.get());
}
