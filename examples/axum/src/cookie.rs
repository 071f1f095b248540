//! The refresh cookie: a public contract of Symbolon's, a name, these attributes, no other.

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use url::Url;

/// Under which name the cookie goes and whether by https only, told from what browsers call the edge.
pub(crate) struct RefreshCookie {
    name: String,
    https: bool,
}

impl RefreshCookie {
    pub(crate) fn of(edge: &Url) -> Self {
        let https = edge.scheme() == "https";
        let port = edge.port().unwrap_or(80);
        let name = if https { "__Host-Http-symbolon".to_owned() } else { format!("symbolon-{port}") };
        Self { name, https }
    }

    /// The header that sets it for so many seconds; for one at least, since none deletes it. Nothing for a token that
    /// cannot stand in a header, which no refresh token is like.
    pub(crate) fn set(&self, token: &str, seconds: u64) -> Option<HeaderValue> {
        let Self { name, https } = self;
        let secure = if *https { " Secure;" } else { "" };
        let seconds = seconds.max(1);
        let header = format!("{name}={token}; Path=/; Max-Age={seconds}; HttpOnly;{secure} SameSite=Strict");
        HeaderValue::try_from(header).ok()
    }

    /// The refresh token a browser brought along. Nothing if there are two: which is the edge's cannot be told.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Option<String> {
        let jars = headers.get_all(COOKIE).iter().filter_map(|jar| jar.to_str().ok());
        let cookies = jars.flat_map(|jar| jar.split(';')).filter_map(|cookie| cookie.split_once('='));
        let mut tokens = cookies.filter(|(name, _)| name.trim() == self.name).map(|(_, value)| value.trim());
        let token = tokens.next()?;
        (tokens.next().is_none() && !token.is_empty()).then(|| token.to_owned())
    }
}
