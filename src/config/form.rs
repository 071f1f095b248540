//! The written forms of addresses, URLs and names, as predicates on text. It knows no setting and reaches for nothing:
//! a host that does not exist has a good form.

use std::net::{IpAddr, Ipv6Addr};

/// `host:port`, port 0 allowed, IPv6 in brackets.
pub(super) fn host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(name, number)| host(name) && port(number).is_some())
}

/// `http://` or `https://`, a host, perhaps port and path; no user, query or fragment.
pub(super) fn http_url(text: &str) -> bool {
    split_http(text).is_some_and(|(_, _, path)| !path.contains(['?', '#']))
}

/// An origin exactly as a browser sends it: lower case, no path, no default port.
pub(super) fn origin(text: &str) -> bool {
    split_http(text).is_some_and(|(scheme, authority, path)| {
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        path.is_empty() && !authority.ends_with(default_port) && !text.contains(|c: char| c.is_ascii_uppercase())
    })
}

/// Where a browser is sent: a URL, or a path on the same host. `//host` would be another host's.
pub(super) fn redirect_target(text: &str) -> bool {
    let path = text.starts_with('/') && !text.starts_with("//") && graphic(text) && !text.contains('\\');
    path || split_http(text).is_some()
}

/// `10.0.0.0/8`, `fd00::/8`.
pub(super) fn cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    digits(length) && length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// What clients, audiences and scopes are called: 1–255 printable ASCII characters without spaces.
pub(super) fn name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && graphic(text)
}

/// A scope-token of RFC 6749 section 3.3.
pub(super) fn scope(text: &str) -> bool {
    name(text) && !text.contains(['"', '\\'])
}

/// 32 bytes in hexadecimal.
pub(super) fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes: Vec<u8> = digits?.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect();
    bytes.try_into().ok().filter(|_| text.len() == 64)
}

/// `/auth`: begins with a slash, does not end with one unless it is only one, holds nothing a cookie's `Path` or a
/// router would read as something else.
pub(super) fn url_path(text: &str) -> bool {
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    let tidy = text == "/" || !text.ends_with('/') && !text.contains("//");
    text.starts_with('/') && tidy && text.bytes().all(safe)
}

/// A token of RFC 9110 section 5.6.2, which a cookie's name must be.
pub(super) fn cookie_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// `sqlite:…`, `postgres://…` or `postgresql://…`, with something behind it.
pub(super) fn database_url(text: &str) -> bool {
    let behind = ["sqlite:", "postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    behind.is_some_and(|rest| !rest.is_empty()) && text.trim() == text && !text.contains(char::is_control)
}

/// Scheme, authority and all behind it, of an http URL with a well-formed host and no user.
fn split_http(text: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let good = host(authority) || host_port(authority);
    (good && graphic(text) && !text.contains('\\')).then_some((scheme, authority, path))
}

fn host(text: &str) -> bool {
    if let Some(address) = text.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

/// The port in `host:port`. A sign, which `parse` would take, is none.
pub(super) fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|_| digits(text))
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn graphic(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}
