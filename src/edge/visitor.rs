//! Who asks, as far as a connection and its headers tell: for lists of sessions and for counting, never for a decision
//! about a token.

use std::net::{IpAddr, Ipv4Addr};

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::edge::network::{self, Cidr};
use crate::pb::auth::Device;

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// The user's address and browser.
pub(super) struct Visitor {
    pub(super) address: IpAddr,
    pub(super) user_agent: String,
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Visitor {
    pub(super) fn of(parts: &Parts, trusted: &[Cidr]) -> Self {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        Self::seen_by(peer, &parts.headers, trusted)
    }

    fn seen_by(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Self {
        let forwarded = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        Self { address: network::user(peer, forwarded, trusted), user_agent: readable(agent) }
    }

    pub(super) fn device(&self) -> Device {
        Device { user_agent: self.user_agent.clone(), ip_address: self.address.to_string(), label: String::new() }
    }
}

/// The user's device, as a gateway on this machine tells of it.
pub(super) fn device(headers: &HeaderMap, trusted: &[Cidr]) -> Device {
    Visitor::seen_by(IpAddr::V4(Ipv4Addr::LOCALHOST), headers, trusted).device()
}

/// Without what the service refuses in a text: a tab may stand in a header, and must not keep anybody from signing in.
fn readable(header: &[u8]) -> String {
    String::from_utf8_lossy(header).replace(char::is_control, " ")
}
