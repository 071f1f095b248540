//! Who calls, from what the connection knows.

use tonic::Request;

use crate::rpc::peer::Peer;
use crate::rpc::status::Failure;
use crate::service::Caller;

/// The caller of this request. A peer on the loopback interface is `local`; nobody else is known yet, and `serve` does
/// not listen elsewhere.
pub(super) fn authenticate<T>(request: &Request<T>) -> Result<Caller, Failure> {
    let local = request.extensions().get::<Peer>().is_some_and(Peer::is_local);
    if local { Ok(Caller::local()) } else { Err(Failure::CallerUnauthenticated) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: Option<&str>) -> Request<()> {
        let address = peer.map(|peer| peer.parse().expect("an address"));
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer::new(address, None));
        request
    }

    #[test]
    fn a_peer_on_this_machine_is_local_in_every_spelling_of_the_address() {
        for peer in ["127.0.0.1:9", "127.8.8.8:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(authenticate(&from(Some(peer))).ok(), Some(Caller::local()), "{peer}");
        }
    }

    #[test]
    fn a_peer_elsewhere_or_of_an_unknown_address_is_nobody() {
        for peer in ["10.0.0.1:9", "[::ffff:10.0.0.1]:9", "[fe80::1]:9", "[2001:db8::1]:9", "0.0.0.0:9", "[::]:9"] {
            assert!(matches!(authenticate(&from(Some(peer))), Err(Failure::CallerUnauthenticated)), "{peer}");
        }
        assert!(matches!(authenticate(&from(None)), Err(Failure::CallerUnauthenticated)));
        assert!(matches!(authenticate(&Request::new(())), Err(Failure::CallerUnauthenticated)));
    }
}
