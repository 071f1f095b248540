//! The protected header of an access token. It owns which header members exist and what they must say, and knows nothing
//! of keys: `kid` is only a name here.

use crate::Rejection;
use crate::members::Text;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// The only `alg` accepted (RFC 8037, section 3.1), byte for byte. Part of the key, never a choice of the token's.
pub const ALGORITHM: &str = "EdDSA";

/// The only `typ` accepted (RFC 9068, section 2.1), byte for byte: what separates an access token from every other JWT.
pub const TOKEN_TYPE: &str = "at+jwt";

/// The most characters a `kid` may have. A thumbprint (RFC 7638) has 43; the rest is room, so that a key source may use
/// what it is asked for in a log line without a second thought about its length.
pub const MAX_KID_CHARS: usize = 128;

/// A header that says what an access token's header must say.
pub(crate) struct Header {
    pub(crate) kid: String,
}

impl Header {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Rejection> {
        let Members { alg, typ, kid } = serde_json::from_slice(json).map_err(|_| Rejection::Header)?;
        if alg.0 != ALGORITHM {
            return Err(Rejection::Algorithm);
        }
        if typ.0 != TOKEN_TYPE {
            return Err(Rejection::Type);
        }
        if kid.0.chars().count() > MAX_KID_CHARS {
            return Err(Rejection::Header);
        }
        Ok(Self { kid: kid.0.into_owned() })
    }
}

/// Exactly these members, each once. Anything else (`crit`, `b64`, `zip`, `jku`, `jwk`, `x5c`, ...) would change what the
/// token means or whom to ask for the key, so its presence alone is a refusal.
struct Members<'a> {
    alg: Text<'a>,
    typ: Text<'a>,
    kid: Text<'a>,
}

// By hand, because a derived struct would also be read from an array.
impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of alg, typ and kid")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members<'de>, A::Error> {
        let (mut alg, mut typ, mut kid) = (None, None, None);
        while let Some(Text(name)) = object.next_key()? {
            let member = match name.as_ref() {
                "alg" => &mut alg,
                "typ" => &mut typ,
                "kid" => &mut kid,
                _ => return Err(A::Error::custom("unexpected member")),
            };
            if member.replace(object.next_value()?).is_some() {
                return Err(A::Error::custom("repeated member name"));
            }
        }
        Ok(Members {
            alg: alg.ok_or_else(|| A::Error::missing_field("alg"))?,
            typ: typ.ok_or_else(|| A::Error::missing_field("typ"))?,
            kid: kid.ok_or_else(|| A::Error::missing_field("kid"))?,
        })
    }
}
