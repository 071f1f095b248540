//! How an access token is signed: jsonwebtoken with our provider, against the RFC and against the verifier.

use proptest::prelude::*;

use super::*;

#[test]
fn rfc_8037_appendix_a_4_is_reproduced() {
    eddsa::install();
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let input = format!("{}.{}", encode(r#"{"alg":"EdDSA"}"#), encode("Example of Ed25519 signing"));
    assert_eq!(input, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), signer().encoding_key(), Algorithm::EdDSA).unwrap();
    assert_eq!(signature, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
}

#[test]
fn the_provider_signs_eddsa_and_verifies_nothing() {
    eddsa::install();
    let sign = |algorithm| jsonwebtoken::crypto::sign(b"input", signer().encoding_key(), algorithm);
    assert!(sign(Algorithm::EdDSA).is_ok());
    assert!(sign(Algorithm::ES256).is_err() && sign(Algorithm::HS256).is_err());
    let key = jsonwebtoken::DecodingKey::from_ed_der(signer().public().verifying_key().as_bytes());
    let signature = sign(Algorithm::EdDSA).unwrap();
    assert!(jsonwebtoken::crypto::verify(&signature, b"input", &key, Algorithm::EdDSA).is_err());
}

proptest! {
    /// Whatever the key: the key expanded once signs like the key itself, and the strict verifier agrees.
    #[test]
    fn any_key_signs_what_its_public_half_verifies(seed in any::<[u8; 32]>(), generation in 1..=u32::MAX) {
        let signer = SigningKey::from_seed(Zeroizing::new(seed));
        let session = changed(|session| session.chain.generation = generation);
        let token = tokens().mint(&signer, &session, &[], &[]).unwrap().compact;
        let again = tokens().mint(&signer, &session, &[], &[]).unwrap().compact;
        prop_assert_eq!(&token, &again);
        prop_assert!(verify(&token, &Ring::of_one(signer), &expected(Audience::Any)).is_ok());
    }
}
