//! Why a token was refused. It owns the closed list of reasons and their metric labels, and refuses to tell the bearer
//! which of them it was: a precise answer to a forger is a hint.

/// Why [`verify`](crate::verify()) refused a token, in the order the checks are made: the greater, the later. As an error it displays one public
/// sentence, the same for every reason; the reason itself is for metrics ([`label`](Self::label)) and logs (`Debug`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("the access token is not valid")]
pub enum Rejection {
    /// More than [`MAX_TOKEN_BYTES`](crate::MAX_TOKEN_BYTES) bytes.
    TooLarge,
    /// A character outside `A-Z a-z 0-9 - _ .`: padding, whitespace, the JSON serialization (RFC 7515, section 7.2).
    Charset,
    /// Not three non-empty parts of canonical base64url (RFC 7515, section 7.1).
    Structure,
    /// A header that is not a JSON object with exactly the members `alg`, `typ`, `kid`, each once and a string.
    Header,
    /// An `alg` other than [`ALGORITHM`](crate::ALGORITHM).
    Algorithm,
    /// A `typ` other than [`TOKEN_TYPE`](crate::TOKEN_TYPE).
    Type,
    /// A `kid` the key source has no key for.
    UnknownKey,
    /// A signature that does not hold, under the strict rules: 64 bytes, canonical, no point of small order.
    Signature,
    /// A payload that is not the claims of an access token: a member repeated, missing or of another type.
    Claims,
    /// An `iss` that is not byte-equal to the expected one.
    Issuer,
    /// An `aud` that names none of the expected audiences.
    Audience,
    /// An `iat` or `nbf` later than now plus the leeway.
    NotYetValid,
    /// An `exp` at or before now minus the leeway.
    Expired,
}

impl Rejection {
    /// The reason in a word, from a closed list: fit for a metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Charset => "charset",
            Self::Structure => "structure",
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rejection::{
        Algorithm, Audience, Charset, Claims, Expired, Header, Issuer, NotYetValid, Signature, Structure, TooLarge,
        Type, UnknownKey,
    };
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_has_its_own_label_and_all_have_one_sentence() {
        let all = [
            TooLarge,
            Charset,
            Structure,
            Header,
            Algorithm,
            Type,
            UnknownKey,
            Signature,
            Claims,
            Issuer,
            Audience,
            NotYetValid,
            Expired,
        ];
        let labels: BTreeSet<_> = all.iter().map(|rejection| rejection.label()).collect();
        assert_eq!(labels.len(), all.len());
        for rejection in all {
            assert_eq!(rejection.to_string(), "the access token is not valid");
        }
    }
}
