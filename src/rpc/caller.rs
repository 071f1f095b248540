//! Who calls: from the credential a request brings, or from the certificate its connection showed.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tonic::codegen::http::{Extensions, HeaderMap, header};

use crate::rpc::peer::Peer;
use crate::service::Caller;
use crate::service::caller::{Callers, SECRET_PREFIX};

/// Put into a request's extensions by whoever calls from within this process: the name of the caller it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct InProcess(pub(super) &'static str);

/// The caller of a request; `None` if nobody declared what it shows. What stands in `Authorization` and is no caller's
/// secret (a user's token that was passed on, say) does not matter.
pub(super) fn authenticate(callers: &Callers, headers: &HeaderMap, extensions: &Extensions) -> Option<Arc<Caller>> {
    if let Some(InProcess(name)) = extensions.get() {
        return callers.by_name(name);
    }
    for secret in headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes())) {
        // Hashed before it is looked up, so that the time this takes tells nothing of the secrets that are known.
        if let Some(caller) = callers.by_secret(&Sha256::digest(secret).into()) {
            return Some(caller);
        }
        if secret.starts_with(SECRET_PREFIX.as_bytes()) {
            return None;
        }
    }
    by_connection(callers, extensions.get()?)
}

/// What follows `Bearer`, in any case of letters (RFC 9110 section 11.1).
fn bearer(credential: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = credential.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}

fn by_connection(callers: &Callers, peer: &Peer) -> Option<Arc<Caller>> {
    callers.by_certificate(&peer.names).or_else(|| callers.local().filter(|_| peer.is_local()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::caller::SecretHash;

    const SECRET: &str = "sc1_secret";

    fn callers() -> Callers {
        let mut callers = Callers::default();
        let hash: SecretHash = Sha256::digest(SECRET).into();
        callers.declare(Caller::unlimited("backend"), &[hash], &[]);
        callers
    }

    fn from(peer: Option<&str>) -> Extensions {
        let address = peer.map(|peer| peer.parse().expect("an address"));
        let mut extensions = Extensions::new();
        extensions.insert(Peer { address, names: Arc::default() });
        extensions
    }

    fn name(callers: &Callers, headers: &[&str], peer: Option<&str>) -> Option<String> {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(header::AUTHORIZATION, value.parse().expect("a header"));
        }
        authenticate(callers, &map, &from(peer)).map(|caller| caller.name.clone())
    }

    #[test]
    fn a_peer_on_this_machine_is_local_in_every_spelling_of_the_address_if_local_is_let_in() {
        let mut callers = callers();
        for peer in ["127.0.0.1:9", "127.8.8.8:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(name(&callers, &[], Some(peer)), None, "{peer}");
        }
        callers.let_in_local();
        for peer in ["127.0.0.1:9", "127.8.8.8:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            assert_eq!(name(&callers, &[], Some(peer)).as_deref(), Some("local"), "{peer}");
        }
        for peer in ["10.0.0.1:9", "[::ffff:10.0.0.1]:9", "[fe80::1]:9", "[2001:db8::1]:9", "0.0.0.0:9", "[::]:9"] {
            assert_eq!(name(&callers, &[], Some(peer)), None, "{peer}");
        }
        assert_eq!(name(&callers, &[], None), None);
        assert!(authenticate(&callers, &HeaderMap::new(), &Extensions::new()).is_none());
    }

    #[test]
    fn a_secret_is_taken_in_its_one_form_and_a_wrong_one_does_not_make_a_local_caller() {
        let mut callers = callers();
        callers.let_in_local();
        let local = Some("127.0.0.1:9");
        for good in ["Bearer sc1_secret", "bearer sc1_secret", "BEARER  sc1_secret "] {
            assert_eq!(name(&callers, &[good], local).as_deref(), Some("backend"), "{good}");
        }
        for bad in ["Bearer sc1_", "Bearer sc1_secreT", "bearer  sc1_secret,"] {
            assert_eq!(name(&callers, &[bad], local), None, "{bad}");
        }
        assert_eq!(name(&callers, &["Bearer undefined", "Bearer sc1_secret"], local).as_deref(), Some("backend"));
    }

    #[test]
    fn what_is_no_callers_secret_does_not_matter() {
        let mut callers = callers();
        for other in ["", "Bearer", "Bearer ", "Basic sc1_secret", "sc1_secret", "Bearer undefined", "Bearer eyJ.x.y"] {
            assert_eq!(name(&callers, &[other], Some("127.0.0.1:9")), None, "{other}");
        }
        callers.let_in_local();
        for other in ["", "Bearer", "Bearer ", "Basic sc1_secret", "sc1_secret", "Bearer undefined", "Bearer eyJ.x.y"] {
            assert_eq!(name(&callers, &[other], Some("127.0.0.1:9")).as_deref(), Some("local"), "{other}");
            assert_eq!(name(&callers, &[other], Some("10.0.0.1:9")), None, "{other}");
        }
    }

    #[test]
    fn a_certificate_is_its_owners_and_nobodys_if_it_names_two_or_none() {
        let mut callers = Callers::default();
        for (name, names) in [("one", ["spiffe://x/one", "one.internal"]), ("two", ["spiffe://x/two", "two.internal"])]
        {
            callers.declare(Caller::unlimited(name), &[], &names.map(str::to_owned));
        }
        let with = |names: &[&str]| {
            let mut extensions = from(Some("127.0.0.1:9"));
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            extensions.insert(Peer { address: Some(([127, 0, 0, 1], 9).into()), names });
            authenticate(&callers, &HeaderMap::new(), &extensions).map(|caller| caller.name.clone())
        };
        assert_eq!(with(&["other.internal", "spiffe://x/one"]).as_deref(), Some("one"));
        assert_eq!(with(&["one.internal", "spiffe://x/one"]).as_deref(), Some("one"));
        assert_eq!(with(&["one.internal", "two.internal"]), None);
        assert_eq!(with(&["spiffe://x/three"]), None);
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn who_calls_from_within_is_whom_the_process_says_it_is() {
        let callers = callers();
        let mut within = Extensions::new();
        within.insert(InProcess("backend"));
        assert!(authenticate(&callers, &HeaderMap::new(), &within).is_some());
        within.insert(InProcess("edge"));
        assert!(authenticate(&callers, &HeaderMap::new(), &within).is_none());
    }
}
