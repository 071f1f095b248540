use std::collections::HashMap;

use tonic_types::ErrorDetails;

use super::*;

fn told(code: Code, domain: &str, reason: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, domain, HashMap::new());
    Status::with_error_details(code, "x", details)
}

#[test]
fn only_the_closed_list_with_its_own_status_kills_a_token() {
    let dead = [
        ("REFRESH_TOKEN_INVALID", Dead::Invalid),
        ("REFRESH_TOKEN_REUSED", Dead::Reused),
        ("SESSION_EXPIRED", Dead::Expired),
        ("SESSION_REVOKED", Dead::Revoked),
    ];
    for (reason, dead) in dead {
        assert_eq!(judge(&told(Code::Unauthenticated, DOMAIN, reason)), Refusal::Dead(dead));
        for code in [Code::Unavailable, Code::PermissionDenied, Code::Internal, Code::NotFound] {
            assert_eq!(judge(&told(code, DOMAIN, reason)), Refusal::Unavailable(None), "{reason} {code:?}");
        }
        assert_eq!(judge(&told(Code::Unauthenticated, "example.com", reason)), Refusal::Unavailable(None));
        assert_eq!(judge(&told(Code::Unauthenticated, DOMAIN, &reason.to_lowercase())), Refusal::Unavailable(None));
    }
}

#[test]
fn what_says_nothing_about_a_token_is_a_service_that_is_not_there() {
    for reason in ["CALLER_UNAUTHENTICATED", "A_REASON_OF_TOMORROW", "", "UNSPECIFIED"] {
        assert_eq!(judge(&told(Code::Unauthenticated, DOMAIN, reason)), Refusal::Unavailable(None), "{reason}");
    }
    for code in 1..=16 {
        assert_eq!(judge(&Status::new(Code::from(code), "a proxy's")), Refusal::Unavailable(None), "{code}");
    }
}

#[test]
fn an_address_that_failed_is_passed_over_for_a_while() {
    let channel =
        || super::channel(tower::service_fn(|_| async { Err::<http::Response<Body>, StdError>("nothing".into()) }));
    let issuer = Issuer::new(vec![channel(), channel(), channel()], None);
    let at = |issuer: &Issuer| {
        let next = issuer.next_address();
        issuer.addresses.iter().position(|address| std::ptr::eq(address, next)).expect("one of them")
    };
    assert_eq!([at(&issuer), at(&issuer), at(&issuer), at(&issuer)], [0, 1, 2, 0]);
    issuer.addresses[1].passed_over.store(2, Ordering::Relaxed);
    assert_eq!([at(&issuer), at(&issuer)], [2, 2]);
    assert_eq!([at(&issuer), at(&issuer), at(&issuer), at(&issuer)], [0, 2, 2, 0]);
    assert_eq!(at(&issuer), 1, "its turn again");
    for address in &issuer.addresses {
        address.passed_over.store(100, Ordering::Relaxed);
    }
    assert!(at(&issuer) < 3, "one of them all the same");
}
