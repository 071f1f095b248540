//! How a token is brought: the value of `Authorization`. It does not look into the token.

/// What stands behind `Bearer ` in the value of an `Authorization` header (RFC 6750, section 2.1), the scheme in any case
/// of letters (RFC 9110, section 11.1). `None` for another scheme: whoever says `Bearer` brings a token, if only an empty
/// one or garbage, and is to be told that it is not valid.
#[must_use]
pub fn bearer(value: &[u8]) -> Option<&str> {
    const SCHEME: &[u8] = b"Bearer";
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let is_over = matches!(rest.first(), None | Some(b' '));
    let token = std::str::from_utf8(rest).unwrap_or("\u{fffd}");
    (is_over && scheme.eq_ignore_ascii_case(SCHEME)).then(|| token.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn only_what_follows_the_scheme_is_the_token() {
        for (value, token) in
            [("Bearer a.b.c", "a.b.c"), ("bEARER   x", "x"), ("Bearer ", ""), ("Bearer", ""), ("Bearer a b", "a b")]
        {
            assert_eq!(bearer(value.as_bytes()), Some(token), "{value}");
        }
        for value in ["", "Bear", "Bearerx y", "Basic YTpi", " Bearer x", "DPoP x"] {
            assert_eq!(bearer(value.as_bytes()), None, "{value}");
        }
        let garbage = bearer(b"Bearer \xff").unwrap();
        assert!(crate::forge::check(garbage).is_err());
    }
}
