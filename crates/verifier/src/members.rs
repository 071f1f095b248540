//! Refuses JSON that names a member twice in one object, at any depth. It knows nothing of tokens. JSON leaves the meaning
//! of a repeated name open (RFC 8259, section 4) and parsers disagree, so two readers of one signed payload could see two
//! subjects; RFC 7519, section 4, lets us refuse. `serde_json` keeps the last one without a word, hence this pass.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Succeeds when `json` is one JSON value (nothing behind it, no deeper than `serde_json`'s limit) in which no object
/// names a member twice. Names are compared unescaped: `s\u0075b` is `sub`.
pub(crate) fn are_unique(json: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice(json).map(|UniqueMembers| ())
}

/// A string, not copied unless it has escapes: every token is read through this.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(name.to_owned())))
    }
}

struct UniqueMembers;

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated member names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut names = Vec::new();
        while let Some(Text(name)) = object.next_key()? {
            object.next_value::<Self>()?;
            names.push(name);
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(A::Error::custom("repeated member name"));
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self, A::Error> {
        while array.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_come_again_in_another_object() {
        for json in [r#"{"a":{"a":[{"a":1},{"a":-2.5}]},"b":null,"A":true}"#, "[]", "7", r#""a""#] {
            assert!(are_unique(json.as_bytes()).is_ok(), "{json}");
        }
    }

    #[test]
    fn a_repeated_name_is_refused_at_every_level_and_in_every_spelling() {
        for json in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"sub":1,"s\u0075b":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"[[{"x":[{"a":1,"\u0061":2}]}]]"#,
            r#"{"":1,"":2}"#,
        ] {
            let refusal = are_unique(json.as_bytes()).unwrap_err().to_string();
            assert!(refusal.starts_with("repeated member name"), "{json}: {refusal}");
        }
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for json in ["", "{} {}", "{}x", "{", "{a:1}", r#"{"a":1,}"#, "NaN", "\u{feff}{}", r#""\ud800""#] {
            assert!(are_unique(json.as_bytes()).is_err(), "{json}");
        }
        assert!(are_unique(b"\"\xff\"").is_err(), "bytes that are no UTF-8");
        assert!(are_unique("[".repeat(100_000).as_bytes()).is_err(), "depth without end");
    }
}
