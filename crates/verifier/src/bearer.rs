//! How a token is brought: the value of `Authorization`. It does not look into the token.

/// What stands behind `Bearer ` in the value of an `Authorization` header (RFC 6750, section 2.1), the scheme in any case
/// of letters (RFC 9110, section 11.1). `None` for another scheme, or for bytes that are no text.
#[must_use]
pub fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn only_what_follows_the_scheme_is_the_token() {
        for (value, token) in [("Bearer a.b.c", "a.b.c"), ("bEARER   x", "x"), ("Bearer ", ""), ("Bearer a b", "a b")] {
            assert_eq!(bearer(value.as_bytes()), Some(token), "{value}");
        }
        for value in ["", "Bearer", "Bearerx y", "Basic YTpi", " Bearer x", "DPoP x"] {
            assert_eq!(bearer(value.as_bytes()), None, "{value}");
        }
        assert_eq!(bearer(b"Bearer \xff"), None);
    }
}
