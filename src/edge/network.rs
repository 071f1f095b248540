//! Where a request came from: the peer, or whom a trusted proxy names. It reads addresses and decides nothing else.

use std::net::IpAddr;

/// A range of addresses, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    base: u128,
    length: u32,
}

impl Cidr {
    /// `None` if it is not written as one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let length: u32 = length.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        // IPv4 lies at the end of the IPv6 space, so that one comparison serves both.
        (length <= most).then(|| Self { base: bits(address), length: length + 128 - most })
    }

    fn holds(self, address: IpAddr) -> bool {
        self.length == 0 || (self.base ^ bits(address)).leading_zeros() >= self.length
    }
}

/// Whether it is one of these.
#[must_use]
pub fn is_trusted(address: IpAddr, trusted: &[Cidr]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|cidr| cidr.holds(address))
}

/// In IPv4-mapped form.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The user's address. `forwarded` holds the `X-Forwarded-For` headers in order; each proxy adds its own peer at the end,
/// so they are read from there, for as long as whoever wrote an entry is trusted.
pub fn user<'a>(peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a [u8]>, trusted: &[Cidr]) -> IpAddr {
    let mut user = peer.to_canonical();
    for entry in forwarded.flat_map(|header| header.split(|byte| *byte == b',')).rev() {
        if !is_trusted(user, trusted) {
            break;
        }
        let Some(named) = address(entry) else { break };
        user = named;
    }
    user
}

/// An entry: an address, perhaps with a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = match (text.strip_prefix('['), text.split_once(':')) {
        (Some(rest), _) => rest.split_once(']')?.0,
        // `198.51.100.1:4711`; an IPv6 address does not begin with a dotted part.
        (None, Some((v4, _))) if v4.contains('.') => v4,
        (None, _) => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// What stands for everybody at one place: an IPv4 address, or the /64 that a site or a phone has of IPv6.
#[must_use]
pub fn network(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => (v6.to_bits() & !u128::from(u64::MAX)).to_be_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<_> = trusted.iter().map(|cidr| Cidr::parse(cidr).expect("a CIDR")).collect();
        user(ip(peer), forwarded.iter().map(|header| header.as_bytes()), &trusted).to_string()
    }

    #[test]
    fn a_header_from_an_unlisted_peer_is_ignored() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_what_a_client_wrote_before_it_is_not() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6, 198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["6.6.6.6", "198.51.100.1, fd00::2"], &trusted), "198.51.100.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["2001:db8::7"], &trusted), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &[], &trusted), "10.0.0.1");
    }

    #[test]
    fn entries_may_have_ports_and_nonsense_ends_the_reading() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.1", &["198.51.100.1:4711"], &trusted), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["[2001:db8::7]:4711"], &trusted), "2001:db8::7");
        assert_eq!(seen("10.0.0.1", &["::ffff:198.51.100.1"], &trusted), "198.51.100.1");
        for nonsense in ["unknown", "_hidden", "", "1.2.3", "1.2.3.4.5", "[::1", "\u{2000}1.2.3.4x"] {
            assert_eq!(seen("10.0.0.1", &["6.6.6.6", nonsense], &trusted), "10.0.0.1", "{nonsense:?}");
        }
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_a_64() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), network(ip("2001:db8:1:2::")));
        assert_ne!(network(ip("2001:db8:1:2::")), network(ip("2001:db8:1:3::")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), network(ip("192.0.2.1")));
        assert_ne!(network(ip("192.0.2.1")), network(ip("192.0.2.2")));
    }

    #[test]
    fn cidrs_hold_what_they_say() {
        let holds = |cidr: &str, address: &str| Cidr::parse(cidr).expect("a CIDR").holds(ip(address));
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.7/32", "192.0.2.7") && !holds("192.0.2.7/32", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1") && holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe80::1"));
        for bad in ["", "10.0.0.0", "10.0.0.0/33", "::/129", "x/8"] {
            assert_eq!(Cidr::parse(bad), None, "{bad}");
        }
    }
}
