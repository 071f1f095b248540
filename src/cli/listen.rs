//! Binding a listener to `host:port`, on every address the host has, so that `localhost` is both `127.0.0.1` and `::1`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;
use tokio::net::{TcpListener, lookup_host};

/// Why a listener cannot be had.
#[derive(Debug, Error)]
pub enum ListenError {
    #[error("port {port} of {address} is in use: stop whoever uses it, or set {setting} to another")]
    Busy { address: String, port: u16, setting: &'static str },
    #[error("{setting} is {address}: {cause}")]
    Unusable { address: String, setting: &'static str, cause: io::Error },
    #[error("{setting} is {address}, which is not a loopback address: {condition}")]
    NotLoopback { address: String, setting: &'static str, condition: String },
}

/// Which addresses may be listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Only those that nobody else can reach; the words say what it takes to be reached by others.
    Loopback {
        condition: String,
    },
    Anywhere,
}

/// The listeners of `host:port`; at least one. With port 0 all of them get the port the first one was given.
pub async fn listen(address: &str, setting: &'static str, reach: Reach) -> Result<Vec<TcpListener>, ListenError> {
    let unusable = |cause| ListenError::Unusable { address: address.to_owned(), setting, cause };
    let mut addresses: Vec<SocketAddr> = lookup_host(address).await.map_err(unusable)?.collect();
    if let Some(port) = address.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        // Browsers know both by heart (RFC 6761 section 6.3), whatever this machine's list of hosts says.
        let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let missing = both.into_iter().filter(|ip| addresses.iter().all(|address| address.ip() != *ip));
        let missing: Vec<_> = missing.map(|ip| SocketAddr::new(ip, port)).collect();
        addresses.extend(missing);
    }
    match reach {
        Reach::Loopback { condition } if !addresses.iter().all(is_loopback) => {
            return Err(ListenError::NotLoopback { address: address.to_owned(), setting, condition });
        }
        Reach::Loopback { .. } | Reach::Anywhere => {}
    }
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut refused = None;
    for mut one in addresses {
        if let Some(first) = listeners.first() {
            one.set_port(first.local_addr().map_err(unusable)?.port());
        }
        match TcpListener::bind(one).await {
            Ok(listener) => listeners.push(listener),
            Err(cause) if cause.kind() == io::ErrorKind::AddrInUse => {
                return Err(ListenError::Busy { address: address.to_owned(), port: one.port(), setting });
            }
            // A machine without IPv6, say: the other address will do.
            Err(cause) => refused = Some(cause),
        }
    }
    if listeners.is_empty() {
        let nothing = || io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
        return Err(unusable(refused.unwrap_or_else(nothing)));
    }
    Ok(listeners)
}

/// The port the listeners were given.
pub fn port(listeners: &[TcpListener]) -> io::Result<u16> {
    listeners.first().map_or(Ok(0), |listener| listener.local_addr().map(|address| address.port()))
}

/// Whether others can reach one of them.
pub fn is_reached(listeners: &[TcpListener]) -> bool {
    listeners.iter().any(|listener| !listener.local_addr().is_ok_and(|address| is_loopback(&address)))
}

/// Whether a URL's host is this machine, as far as its name tells.
pub(super) fn names_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
