//! What an access token says. It owns the members of the payload, their types and their order, for the issuer that writes
//! them and the verifier that reads them alike; it does not know whether any of it is true.

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// The claims of an access token, after the RFC 9068 profile. Times are whole seconds since 1970 (`NumericDate`, RFC 7519,
/// section 2), from 0 to 2^53 − 1.
///
/// Serialized, equal claims are equal bytes: the members below in this order, then the extra ones by name; what is absent
/// or empty is left out. Both serializing and deserializing fail on claims that no valid token carries: an empty `iss`,
/// `sub`, `jti`, `client_id`, `sid` or `aud`, a time out of range, an `act` or `cnf` that is no object, an extra member that
/// is one of the above in any case of letters. `null` is not a way to leave a member out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
// `Self` makes the derived code inherent functions: the traits are implemented below, around `fault`.
#[serde(remote = "Self")]
pub struct Claims {
    /// Who issued the token: the issuer's identifier, a URL (RFC 7519, section 4.1.1).
    pub iss: String,
    /// Whom it is about, unique at the issuer (RFC 7519, section 4.1.2).
    pub sub: String,
    /// Whom it is for, at least one: a string in JSON when one, an array when several (RFC 7519, section 4.1.3).
    #[serde(serialize_with = "one_or_many", deserialize_with = "from_one_or_many")]
    pub aud: Vec<String>,
    /// When it runs out: not valid at this second any more (RFC 7519, section 4.1.4).
    pub exp: i64,
    /// When it was minted (RFC 7519, section 4.1.6).
    pub iat: i64,
    /// Names this token; tokens with other claims have another (RFC 7519, section 4.1.7).
    pub jti: String,
    /// The client it was issued to (RFC 8693, section 4.3).
    pub client_id: String,
    /// The session it belongs to (`OpenID` Connect Front-Channel Logout 1.0, section 3): what revocations name.
    pub sid: String,
    /// What it permits, space-separated (RFC 8693, section 4.2).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// When the subject last authenticated (RFC 9068, section 2.2.1).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    /// How well it authenticated: the context class (RFC 9068, section 2.2.1).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// By which methods it authenticated (RFC 9068, section 2.2.1; values from RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Who acts in the subject's place, an object (RFC 8693, section 4.1).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub act: Option<Value>,
    /// The key the bearer must hold, an object (RFC 7800, section 3.1).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Value>,
    /// Every other member, at the top level of the payload. Objects inside are written in the order the maps have.
    #[serde(flatten, serialize_with = "by_name")]
    pub extra: Map<String, Value>,
}

/// The members that are fields of [`Claims`].
const FIELDS: [&str; 14] =
    ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "scope", "auth_time", "acr", "amr", "act", "cnf"];

/// The last second every JSON reader agrees on: beyond 2^53 − 1 many round (RFC 8259, section 6).
const LAST_SECOND: i64 = (1 << 53) - 1;

impl Claims {
    /// `nbf`, which the issuer does not set and a verifier must nevertheless heed (RFC 7519, section 4.1.5).
    pub(crate) fn not_before(&self) -> Option<i64> {
        self.extra.get("nbf").and_then(Value::as_i64)
    }

    /// What keeps these claims from being a valid token's, if anything does.
    fn fault(&self) -> Option<&'static str> {
        let is_time = |seconds: i64| (0..=LAST_SECOND).contains(&seconds);
        let is_field = |name: &String| FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));

        if [&self.iss, &self.sub, &self.jti, &self.client_id, &self.sid].into_iter().any(String::is_empty) {
            return Some("iss, sub, jti, client_id or sid is empty");
        }
        if self.aud.is_empty() || self.aud.iter().any(String::is_empty) {
            return Some("aud is empty");
        }
        if ![self.exp, self.iat].into_iter().chain(self.auth_time).all(is_time) {
            return Some("exp, iat or auth_time is out of range");
        }
        if !self.extra.get("nbf").is_none_or(|nbf| nbf.as_i64().is_some_and(is_time)) {
            return Some("nbf is not a time");
        }
        if !self.act.iter().chain(&self.cnf).all(Value::is_object) {
            return Some("act or cnf is not an object");
        }
        if self.extra.keys().any(is_field) {
            return Some("an extra claim has the name of a registered one");
        }
        None
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.fault() {
            None => Self::serialize(self, serializer),
            Some(fault) => Err(S::Error::custom(fault)),
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let claims = Self::deserialize(deserializer)?;
        match claims.fault() {
            None => Ok(claims),
            Some(fault) => Err(D::Error::custom(fault)),
        }
    }
}

fn one_or_many<S: Serializer>(aud: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match aud {
        [one] => serializer.serialize_str(one),
        many => many.serialize(serializer),
    }
}

fn from_one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;

    // By hand: an untagged enum would copy what it looks at first.
    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or an array of strings")
        }

        fn visit_str<E>(self, one: &str) -> Result<Vec<String>, E> {
            Ok(vec![one.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, many: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(many))
        }
    }

    deserializer.deserialize_any(OneOrMany)
}

/// An optional member that is there: unlike `Option`'s own reading, `null` is a value of the wrong type.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Sorted here, because the map is not when anything in the build turns on `serde_json/preserve_order`.
fn by_name<S: Serializer>(extra: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut members: Vec<_> = extra.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    serializer.collect_map(members)
}

#[cfg(test)]
mod tests;
