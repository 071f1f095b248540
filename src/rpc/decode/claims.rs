//! The extra claims of a caller: from a protobuf Struct to JSON that every verifier reads the same way.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Number};
use symbolon_verifier::is_reserved;

use crate::rpc::violations::Fields;
use crate::session::Claims;

/// The most members of an object.
const MEMBERS: usize = 32;
/// How deep objects and lists may lie in each other, the claims themselves counted.
const DEPTH: usize = 4;
/// The most bytes as JSON.
const BYTES: usize = 2048;
/// 2^53 − 1: beyond it a double no longer tells whole numbers apart.
const LARGEST_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Reads claims: reserved names refused, whole numbers without a fraction, members sorted.
pub(in crate::rpc) fn read(fields: &mut Fields, field: &str, claims: Struct) -> Claims {
    for name in claims.fields.keys().filter(|name| is_reserved(name)) {
        fields.refuse(format!("{field}.{name}"), "is a name that JWT or OAuth registers");
    }
    let claims = object(fields, field, 1, claims);
    let bytes = serde_json::to_vec(&claims).map_or(0, |json| json.len());
    if bytes > BYTES {
        fields.refuse(field, format!("must have at most {BYTES} bytes as JSON"));
    }
    claims
}

fn object(fields: &mut Fields, path: &str, depth: usize, object: Struct) -> Claims {
    if object.fields.len() > MEMBERS {
        fields.refuse(path, format!("must have at most {MEMBERS} members"));
        return Map::new();
    }
    if too_deep(fields, path, depth) {
        return Map::new();
    }
    let mut members = Map::new();
    // The generated map is sorted, so the members are.
    for (name, member) in object.fields {
        // A reader that folds more than ASCII letters must not take a claim for a registered one.
        if name.is_empty() || name.len() > 128 || !name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            fields.refuse(path, "must have member names of 1 to 128 printable ASCII characters");
            continue;
        }
        let path = format!("{path}.{name}");
        let member = value(fields, &path, depth, member);
        members.insert(name, member);
    }
    members
}

fn value(fields: &mut Fields, path: &str, depth: usize, value: Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value.kind {
        Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(truth),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::NumberValue(number)) => number_of(fields, path, number),
        Some(Kind::StructValue(inner)) => Json::Object(object(fields, path, depth + 1, inner)),
        Some(Kind::ListValue(inner)) => list(fields, path, depth + 1, inner),
        None => {
            fields.refuse(path, "must have a value");
            Json::Null
        }
    }
}

fn list(fields: &mut Fields, path: &str, depth: usize, list: ListValue) -> serde_json::Value {
    if too_deep(fields, path, depth) {
        return serde_json::Value::Null;
    }
    let items = list.values.into_iter().enumerate();
    items.map(|(at, item)| value(fields, &format!("{path}[{at}]"), depth, item)).collect()
}

fn too_deep(fields: &mut Fields, path: &str, depth: usize) -> bool {
    let too_deep = depth > DEPTH;
    if too_deep {
        fields.refuse(path, format!("must lie at most {DEPTH} deep"));
    }
    too_deep
}

fn number_of(fields: &mut Fields, path: &str, number: f64) -> serde_json::Value {
    if number.fract() == 0.0 && number.abs() <= LARGEST_INTEGER {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number within the range of i64")]
        return Number::from(number as i64).into();
    }
    if let Some(fraction) = Number::from_f64(number).filter(|_| number.fract() != 0.0) {
        return fraction.into();
    }
    fields.refuse(path, "must be a number within 2^53 − 1 of zero");
    serde_json::Value::Null
}
