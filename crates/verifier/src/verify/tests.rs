mod headers;
mod payloads;
mod spellings;

use crate::forge::{HEADER, ISSUER, Keys, NOW, PAYLOAD, check, honest, token};
use crate::{Audience, Expected, Rejection, verify};
use proptest::prelude::*;

fn at(now: i64) -> Expected<'static> {
    Expected { issuer: ISSUER, audience: Audience::Any, now, exp_leeway: 0, iat_leeway: 0 }
}

#[test]
fn an_honest_token_passes_and_says_what_was_signed() {
    let claims = check(&honest()).unwrap();
    assert_eq!(claims.sub, "alice");
    assert_eq!(serde_json::to_string(&claims).unwrap(), PAYLOAD);
}

#[test]
fn the_order_and_escapes_of_header_members_are_the_signers_choice() {
    assert!(check(&token(r#"{"kid":"2026-01","typ":"at\u002bjwt","\u0061lg":"EdDSA"}"#, PAYLOAD)).is_ok());
}

#[test]
fn a_key_source_may_be_a_trait_object() {
    let keys: Box<dyn crate::KeySource> = Box::new(Keys);
    assert!(verify(&honest(), &*keys, &at(NOW)).is_ok());
}

#[test]
fn a_token_lives_until_the_second_of_its_exp_and_the_leeway_after_it() {
    let exp = 1_800_000_900;
    let with_leeway = |now| Expected { exp_leeway: 30, ..at(now) };
    assert!(verify(&honest(), &Keys, &at(exp - 1)).is_ok());
    assert_eq!(verify(&honest(), &Keys, &at(exp)), Err(Rejection::Expired));
    assert!(verify(&honest(), &Keys, &with_leeway(exp + 29)).is_ok());
    assert_eq!(verify(&honest(), &Keys, &with_leeway(exp + 30)), Err(Rejection::Expired));
}

#[test]
fn a_token_may_be_minted_ahead_of_us_by_the_leeway_and_no_more() {
    let iat = 1_800_000_000;
    let with_leeway = |now| Expected { iat_leeway: 5, ..at(now) };
    assert!(verify(&honest(), &Keys, &at(iat)).is_ok());
    assert_eq!(verify(&honest(), &Keys, &at(iat - 1)), Err(Rejection::NotYetValid));
    assert!(verify(&honest(), &Keys, &with_leeway(iat - 5)).is_ok());
    assert_eq!(verify(&honest(), &Keys, &with_leeway(iat - 6)), Err(Rejection::NotYetValid));
}

#[test]
fn a_clock_at_either_end_of_time_refuses_and_does_not_overflow() {
    let leeway = |now| Expected { exp_leeway: 30, iat_leeway: 30, ..at(now) };
    assert_eq!(verify(&honest(), &Keys, &leeway(i64::MAX)), Err(Rejection::Expired));
    assert_eq!(verify(&honest(), &Keys, &leeway(i64::MIN)), Err(Rejection::NotYetValid));
    let impatient = Expected { exp_leeway: -30, ..at(i64::MAX) };
    assert_eq!(verify(&honest(), &Keys, &impatient), Err(Rejection::Expired));
}

#[test]
fn one_shared_audience_is_enough_and_none_accepts_nothing() {
    let two =
        token(HEADER, PAYLOAD.replace(r#""https://api.example""#, r#"["https://a.example","https://b.example"]"#));
    let verify_as = |audiences: &[String]| {
        verify(&two, &Keys, &Expected { audience: Audience::OneOf(audiences), ..at(NOW) })
            .map(|claims| claims.aud.len())
    };
    assert_eq!(verify_as(&["https://b.example".to_owned()]), Ok(2));
    assert_eq!(verify_as(&["https://c.example".to_owned(), "https://a.example".to_owned()]), Ok(2));
    assert_eq!(verify_as(&["https://c.example".to_owned()]), Err(Rejection::Audience));
    assert_eq!(verify_as(&[]), Err(Rejection::Audience));
    assert!(verify(&two, &Keys, &at(NOW)).is_ok(), "any audience");
}

#[test]
fn a_token_with_several_faults_is_refused_for_the_first_in_order() {
    let stale = PAYLOAD.replace("1800000900", "1800000001").replace("id.example", "id.evil");
    let unsigned = |token: String| format!("{}.AAAA", token.rsplit_once('.').unwrap().0);
    assert_eq!(check(&token(HEADER, &stale)), Err(Rejection::Issuer));
    assert_eq!(check(&unsigned(token(HEADER, &stale))), Err(Rejection::Signature));
    let unknown = HEADER.replace("2026-01", "2026-02");
    assert_eq!(check(&unsigned(token(&unknown, &stale))), Err(Rejection::UnknownKey));
    let untyped = unknown.replace("at+jwt", "JWT");
    assert_eq!(check(&unsigned(token(&untyped, &stale))), Err(Rejection::Type));
    let none = untyped.replace("EdDSA", "none");
    assert_eq!(check(&unsigned(token(&none, &stale))), Err(Rejection::Algorithm));
}

proptest! {
    #[test]
    fn no_other_character_in_any_place_leaves_a_token_valid(place in 0..honest().len(), other in "[A-Za-z0-9_.= \u{e9}-]") {
        let mut token = honest();
        prop_assume!(token[place..=place] != other);
        token.replace_range(place..=place, &other);
        prop_assert!(check(&token).is_err());
    }

    #[test]
    fn no_string_makes_it_panic(anything in any::<String>(), header in any::<Vec<u8>>(), payload in any::<Vec<u8>>()) {
        prop_assert!(check(&anything).is_err());
        prop_assert!(check(&token(header, PAYLOAD)).is_err());
        prop_assert!(check(&token(HEADER, payload)).is_err());
    }
}
