//! The refresh cookie: found in what a browser sent, byte by byte, and written as it must be. It does not know what a
//! refresh token is.

use std::time::Duration;

use axum::http::HeaderValue;

/// What the `Cookie` headers of a request hold under our name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// Nothing, or a cookie without a value.
    None,
    One(&'a [u8]),
    /// Somebody has put a second one beside ours, and which is ours cannot be told.
    Duplicate,
}

/// Looks for a cookie. Split at `;` only, trimmed of space and tab only: no quotes, no percent signs, no `$Version`.
/// Whoever reads more into a jar than browsers write can be talked into taking one cookie for another.
pub fn find<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Found<'a> {
    let mut found = Found::None;
    let mut seen = false;
    for cookie in headers.into_iter().flat_map(|header| header.split(|byte| *byte == b';')) {
        let Some(equals) = cookie.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (trim(&cookie[..equals]), trim(&cookie[equals + 1..]));
        if key != name.as_bytes() {
            continue;
        }
        if seen {
            return Found::Duplicate;
        }
        seen = true;
        found = if value.is_empty() { Found::None } else { Found::One(value) };
    }
    found
}

/// The jar without the cookies of this name, however many there are; in one line.
#[must_use]
pub fn without<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Vec<u8> {
    let cookies = headers.into_iter().flat_map(|header| header.split(|byte| *byte == b';')).map(trim);
    let named = |cookie: &&[u8]| {
        let key = cookie.split(|byte| *byte == b'=').next().unwrap_or_default();
        trim(key).eq_ignore_ascii_case(name.as_bytes())
    };
    let others: Vec<_> = cookies.filter(|cookie| !cookie.is_empty() && !named(cookie)).collect();
    others.join(&b"; "[..])
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// How our cookie is called and what it says beside its value: a public contract, since a backend on the edge's host may
/// set it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    name: String,
    path: String,
    secure: bool,
    /// Whether page loads that come from another site bring it: `SameSite=Lax` instead of `Strict`.
    lax: bool,
}

/// The name that has browsers keep the cookie to this host, https and HTTP.
const NAME: &str = "__Host-Http-symbolon";

impl Shape {
    /// The cookie of an edge that browsers reach by https, or else by http at this port.
    ///
    /// # Errors
    /// If browsers would drop a cookie of this name: a sentence.
    pub fn new(name: Option<&str>, path: &str, https: bool, port: u16) -> Result<Self, String> {
        let name = match name {
            Some(name) => name.to_owned(),
            None if https => NAME.to_owned(),
            // Cookies do not know ports: two edges on one machine would overwrite each other's.
            None => format!("symbolon-{port}"),
        };
        let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix));
        if begins("__Host-") && path != "/" {
            return Err(format!(
                "SYMBOLON_EDGE_COOKIE_PATH is {path}, and browsers drop a cookie named {name} unless its path is /: leave \
                 the path out, or set SYMBOLON_EDGE_COOKIE_NAME to a name without the prefix"
            ));
        }
        if !https && ["__Host-", "__Secure-", "__Http-"].into_iter().any(begins) {
            return Err(format!(
                "SYMBOLON_EDGE_COOKIE_NAME is {name}, and browsers drop a cookie of that name that came by http: give the \
                 edge an https URL in SYMBOLON_EDGE_PUBLIC_URL, or the cookie a name without the prefix"
            ));
        }
        Ok(Self { name, path: path.to_owned(), secure: https, lax: false })
    }

    /// The cookie of an edge behind which page loads are authenticated, those too that follow a link from elsewhere.
    #[must_use]
    pub fn for_page_loads(self) -> Self {
        Self { lax: true, ..self }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The header that keeps `value` for so long; without a time, until the browser is closed.
    ///
    /// # Errors
    /// If the value cannot stand in a cookie, which no refresh token is like.
    pub fn set(&self, value: &str, lives: Option<Duration>) -> Result<HeaderValue, Unfit> {
        let fits = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte);
        if value.is_empty() || !value.bytes().all(fits) {
            return Err(Unfit);
        }
        // A whole second at least: 0 would delete what is still good.
        let max_age = lives.map(|lives| format!("; Max-Age={}", lives.as_secs().max(1)));
        let mut header = self.header(value, max_age.as_deref().unwrap_or_default())?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// The header that deletes it: with the same attributes, or browsers take it for another cookie.
    ///
    /// # Errors
    /// Never, for a name that was checked.
    pub fn delete(&self) -> Result<HeaderValue, Unfit> {
        self.header("", "; Max-Age=0")
    }

    fn header(&self, value: &str, max_age: &str) -> Result<HeaderValue, Unfit> {
        let Self { name, path, secure, lax } = self;
        let (secure, site) = (if *secure { "; Secure" } else { "" }, if *lax { "Lax" } else { "Strict" });
        let text = format!("{name}={value}; Path={path}{max_age}; HttpOnly{secure}; SameSite={site}");
        HeaderValue::try_from(text).map_err(|_| Unfit)
    }
}

/// A value that cannot stand in a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: Option<Duration> = Some(Duration::from_secs(604_800));

    fn text(header: Result<HeaderValue, Unfit>) -> String {
        header.expect("a header").to_str().expect("text").to_owned()
    }

    #[test]
    fn the_cookie_is_as_designed_on_https_and_on_http() {
        let https = Shape::new(None, "/", true, 443).expect("good");
        assert_eq!(
            text(https.set("sr1_x", WEEK)),
            "__Host-Http-symbolon=sr1_x; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Strict"
        );
        assert_eq!(
            text(https.set("sr1_x", None)),
            "__Host-Http-symbolon=sr1_x; Path=/; HttpOnly; Secure; SameSite=Strict"
        );
        assert_eq!(text(https.delete()), "__Host-Http-symbolon=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict");
        let http = Shape::new(None, "/", false, 8080).expect("good");
        assert_eq!(
            text(http.set("sr1_x", WEEK)),
            "symbolon-8080=sr1_x; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"
        );
        assert_eq!(text(http.delete()), "symbolon-8080=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn a_token_with_less_than_a_second_left_is_not_deleted_by_its_own_cookie() {
        let https = Shape::new(None, "/", true, 443).expect("good");
        let nearly = Some(Duration::from_millis(999));
        assert!(text(https.set("sr1_x", nearly)).contains("; Max-Age=1;"));
    }

    #[test]
    fn names_that_browsers_would_drop_are_refused() {
        for (name, path, https) in [
            (Some("__Host-Http-symbolon"), "/auth", true),
            (Some("__host-mine"), "/auth", true),
            (None, "/auth", true),
            (Some("__Host-mine"), "/", false),
            (Some("__Secure-mine"), "/", false),
            (Some("__Http-mine"), "/", false),
        ] {
            assert!(Shape::new(name, path, https, 80).is_err(), "{name:?} {path} {https}");
        }
        for (name, path, https) in
            [(Some("mine"), "/auth", true), (Some("__Secure-mine"), "/auth", true), (None, "/auth", false)]
        {
            assert!(Shape::new(name, path, https, 80).is_ok(), "{name:?} {path} {https}");
        }
    }

    #[test]
    fn what_would_end_the_value_or_the_header_does_not_get_in() {
        let https = Shape::new(None, "/", true, 443).expect("good");
        for value in ["", "a;b", "a b", "a\r\nb", "a,b", "\"a\"", "ä", "a\\b"] {
            assert_eq!(https.set(value, None), Err(Unfit), "{value:?}");
        }
    }
}
