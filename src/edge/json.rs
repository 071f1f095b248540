//! JSON objects as protobuf's Struct and back. Knows nothing of what they say.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Number, Value as Json};

/// How deep objects and lists may lie in each other: deeper than any form, and shallower than what protobuf readers take.
const DEPTH: usize = 16;

/// 2^53: up to it a double tells whole numbers apart.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// `None` if it lies too deep.
pub(super) fn to_struct(object: Map<String, Json>) -> Option<Struct> {
    read(object, DEPTH)
}

fn read(object: Map<String, Json>, depth: usize) -> Option<Struct> {
    let depth = depth.checked_sub(1)?;
    let fields = object.into_iter().map(|(name, member)| Some((name, value(member, depth)?)));
    Some(Struct { fields: fields.collect::<Option<_>>()? })
}

fn value(json: Json, depth: usize) -> Option<Value> {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64()?),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => {
            let depth = depth.checked_sub(1)?;
            let values = items.into_iter().map(|item| value(item, depth)).collect::<Option<_>>()?;
            Kind::ListValue(ListValue { values })
        }
        Json::Object(members) => Kind::StructValue(read(members, depth)?),
    };
    Some(Value { kind: Some(kind) })
}

/// What a Struct says; prost bounds its depth when it decodes one.
pub(super) fn from_struct(object: Struct) -> Map<String, Json> {
    object.fields.into_iter().map(|(name, member)| (name, from_value(member))).collect()
}

fn from_value(value: Value) -> Json {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(truth),
        Some(Kind::NumberValue(number)) => from_number(number),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(from_value).collect(),
        Some(Kind::StructValue(members)) => Json::Object(from_struct(members)),
    }
}

/// Whole numbers without a fraction, as whoever wrote them did.
fn from_number(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(json: Json) -> Map<String, Json> {
        let Json::Object(object) = json else { panic!("no object") };
        object
    }

    #[test]
    fn what_goes_in_comes_out() {
        let said = object(json!({"a": 1, "b": [true, null, "x", 1.5, {"c": -3}], "": {}}));
        assert_eq!(from_struct(to_struct(said.clone()).expect("shallow")), said);
    }

    #[test]
    fn what_lies_too_deep_is_refused() {
        let nest = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
        assert!(to_struct(object(json!({"a": nest(DEPTH - 1)}))).is_some());
        assert!(to_struct(object(json!({"a": nest(DEPTH)}))).is_none());
    }
}
