//! The claim names that are Symbolon's to set. It owns the list, and knows nothing of what the names mean or who asks.

/// The names no extra claim may take: the registered claims Symbolon sets itself, and those of neighbouring
/// specifications that a reader would believe were set by the issuer. Compare with [`is_reserved`], not byte for byte.
pub const RESERVED_CLAIMS: [&str; 28] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "client_id",
    "scope",
    "act",
    "may_act",
    "cnf",
    "status",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    "events",
    "sub_id",
    "toe",
    "txn",
    "vot",
    "vtm",
];

/// Whether `name` is one of [`RESERVED_CLAIMS`] in any case of ASCII letters. Some JSON readers match member names without
/// regard to case, so `Sub` would override `sub` for them.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED_CLAIMS.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_name_is_reserved_in_any_case_of_letters() {
        for name in RESERVED_CLAIMS {
            assert!(is_reserved(name), "{name}");
            assert!(is_reserved(&name.to_uppercase()), "{name} in capitals");
        }
        assert!(is_reserved("May_Act"));
    }

    #[test]
    fn ordinary_names_pass() {
        for name in ["", "email", "name", "roles", "groups", "subject", "su", " sub", "sub ", "tenant"] {
            assert!(!is_reserved(name), "{name:?}");
        }
    }
}
