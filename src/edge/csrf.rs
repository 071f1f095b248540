//! Whether a request that changes something was made by a page of ours: a pure decision about what the browser says of
//! it. It knows no route.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::edge::origin::Origins;

/// What the decision is about. More than one header of a name is none a browser sends.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a Method,
    /// `Sec-Fetch-Site`: what the browser knows of who asks (W3C Fetch Metadata).
    pub site: Header<'a>,
    pub origin: Header<'a>,
    /// `X-Symbolon-CSRF`, which no form and no link can send.
    pub marker: Header<'a>,
    pub content_type: Header<'a>,
    pub has_body: bool,
}

/// A header that may be there at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    Absent,
    Once(&'a [u8]),
    Repeated,
}

/// What is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Admitted,
    /// Not a method that changes something.
    Method,
    /// Another site asks, or a person by hand, or the browser says what nobody knows.
    CrossSite,
    /// The origin is not one of the list, or nothing says where the request came from.
    Origin,
    /// The header that pages of ours send is missing.
    Marker,
    /// A body that is not JSON.
    ContentType,
}

pub const MARKER: HeaderName = HeaderName::from_static("x-symbolon-csrf");
pub const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Decides.
#[must_use]
pub fn decide(asked: &Asked<'_>, origins: &Origins) -> Verdict {
    if asked.method != Method::POST && asked.method != Method::DELETE {
        return Verdict::Method;
    }
    if !is_ours(asked.site, asked.origin, origins) {
        return match asked.site {
            Header::Once(b"same-site") | Header::Absent => Verdict::Origin,
            Header::Once(_) | Header::Repeated => Verdict::CrossSite,
        };
    }
    if asked.marker != Header::Once(b"1") {
        return Verdict::Marker;
    }
    if asked.has_body && !matches!(asked.content_type, Header::Once(kind) if is_json(kind)) {
        return Verdict::ContentType;
    }
    Verdict::Admitted
}

/// Whether a page of ours asks: Fetch Metadata first, since no page can forge it; the origin only where the browser sends
/// none, or where it says that another host of the same site asks.
#[must_use]
pub fn is_ours(site: Header<'_>, origin: Header<'_>, origins: &Origins) -> bool {
    match site {
        Header::Once(b"same-origin") => true,
        Header::Once(b"same-site") | Header::Absent => {
            matches!(origin, Header::Once(origin) if origins.allow(origin))
        }
        Header::Once(_) | Header::Repeated => false,
    }
}

/// `application/json`, with any parameters.
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

impl<'a> Header<'a> {
    pub fn of(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Once(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

impl<'a> Asked<'a> {
    #[must_use]
    pub fn of(method: &'a Method, headers: &'a HeaderMap, has_body: bool) -> Self {
        Self {
            method,
            site: Header::of(headers, &SITE),
            origin: Header::of(headers, &header::ORIGIN),
            marker: Header::of(headers, &MARKER),
            content_type: Header::of(headers, &header::CONTENT_TYPE),
            has_body,
        }
    }
}
