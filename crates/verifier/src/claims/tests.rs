use super::*;
use crate::{RESERVED_CLAIMS, is_reserved, members};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

fn claims() -> Claims {
    Claims {
        iss: "https://id.example".to_owned(),
        sub: "alice".to_owned(),
        aud: vec!["https://api.example".to_owned()],
        exp: 1_800_000_900,
        iat: 1_800_000_000,
        jti: "Zk1m0pQ9".to_owned(),
        client_id: "web".to_owned(),
        sid: "0190b6d2".to_owned(),
        scope: None,
        auth_time: None,
        acr: None,
        amr: vec![],
        act: None,
        cnf: None,
        extra: Map::new(),
    }
}

type Spoil = fn(&mut Claims);

fn written(claims: &Claims) -> String {
    serde_json::to_string(claims).unwrap()
}

#[test]
fn the_members_come_in_one_order_and_extra_ones_behind_them_by_name() {
    let mut full = claims();
    full.aud.push("https://b.example".to_owned());
    full.scope = Some("read write".to_owned());
    full.auth_time = Some(1_799_999_000);
    full.acr = Some("2".to_owned());
    full.amr = vec!["pwd".to_owned(), "otp".to_owned()];
    full.act = Some(json!({"sub": "support"}));
    full.cnf = Some(json!({"jkt": "x"}));
    for name in ["tenant", "Zone", "email", "a"] {
        full.extra.insert(name.to_owned(), json!(7));
    }
    let expected = concat!(
        r#"{"iss":"https://id.example","sub":"alice","aud":["https://api.example","https://b.example"],"#,
        r#""exp":1800000900,"iat":1800000000,"jti":"Zk1m0pQ9","client_id":"web","sid":"0190b6d2","#,
        r#""scope":"read write","auth_time":1799999000,"acr":"2","amr":["pwd","otp"],"act":{"sub":"support"},"#,
        r#""cnf":{"jkt":"x"},"Zone":7,"a":7,"email":7,"tenant":7}"#
    );
    assert_eq!(written(&full), expected);
    assert_eq!(serde_json::from_str::<Claims>(expected).unwrap(), full);
}

#[test]
fn what_is_absent_is_left_out_and_one_audience_is_a_string() {
    assert_eq!(written(&claims()), crate::forge::PAYLOAD);
}

#[test]
fn an_audience_may_be_read_from_an_array_of_one() {
    let array = written(&claims()).replace(r#""https://api.example""#, r#"["https://api.example"]"#);
    assert_eq!(serde_json::from_str::<Claims>(&array).unwrap(), claims());
}

#[test]
fn claims_no_valid_token_carries_are_not_written() {
    let faults: [(&str, Spoil); 15] = [
        ("iss", |claims| claims.iss.clear()),
        ("sub", |claims| claims.sub.clear()),
        ("jti", |claims| claims.jti.clear()),
        ("client_id", |claims| claims.client_id.clear()),
        ("sid", |claims| claims.sid.clear()),
        ("no aud", |claims| claims.aud.clear()),
        ("empty aud", |claims| claims.aud.push(String::new())),
        ("negative exp", |claims| claims.exp = -1),
        ("far exp", |claims| claims.exp = 1 << 53),
        ("negative iat", |claims| claims.iat = i64::MIN),
        ("negative auth_time", |claims| claims.auth_time = Some(-1)),
        ("act", |claims| claims.act = Some(Value::Null)),
        ("cnf", |claims| claims.cnf = Some(json!("jkt"))),
        ("nbf", |claims| drop(claims.extra.insert("nbf".to_owned(), json!("soon")))),
        ("nbf", |claims| drop(claims.extra.insert("nbf".to_owned(), json!(-1)))),
    ];
    for (name, spoil) in faults {
        let mut spoiled = claims();
        spoil(&mut spoiled);
        assert!(serde_json::to_string(&spoiled).is_err(), "{name}");
    }
}

#[test]
fn an_extra_claim_never_overrides_a_registered_one() {
    for name in FIELDS.into_iter().flat_map(|name| [name.to_owned(), name.to_uppercase()]) {
        let mut overriding = claims();
        overriding.extra.insert(name.clone(), json!("mallory"));
        assert!(serde_json::to_string(&overriding).is_err(), "{name}");
    }
}

#[test]
fn every_field_is_reserved() {
    let fields: Vec<_> = RESERVED_CLAIMS.into_iter().filter(|name| FIELDS.contains(name)).collect();
    assert_eq!(fields.len(), FIELDS.len());
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{1,12}"
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    vec((prop_oneof![any::<String>(), text()], json_value()), 0..5).prop_map(|members| members.into_iter().collect())
}

prop_compose! {
    fn any_claims()(
        [iss, sub, jti, client_id, sid] in [text(), text(), text(), text(), text()],
        aud in vec(text(), 1..4),
        [exp, iat] in [0..=LAST_SECOND, 0..=LAST_SECOND],
        scope in option::of(any::<String>()),
        auth_time in option::of(0..=LAST_SECOND),
        acr in option::of(any::<String>()),
        amr in vec(any::<String>(), 0..3),
        act in option::of(object().prop_map(Value::Object)),
        cnf in option::of(object().prop_map(Value::Object)),
        mut extra in object(),
    ) -> Claims {
        extra.retain(|name, _| !is_reserved(name));
        Claims { iss, sub, aud, exp, iat, jti, client_id, sid, scope, auth_time, acr, amr, act, cnf, extra }
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal_and_names_nothing_twice(claims in any_claims()) {
        let json = serde_json::to_vec(&claims).unwrap();
        members::are_unique(&json).unwrap();
        let read: Claims = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(&read, &claims);
        prop_assert_eq!(serde_json::to_vec(&read).unwrap(), json);
    }
}
