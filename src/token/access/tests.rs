mod signature;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use symbolon_verifier::{Audience, Expected, Rejection, verify};
use zeroize::Zeroizing;

use super::*;
use crate::keys::Ring;
use crate::session::{Authentication, Chain, Device, SessionId};
use crate::time::Timestamp;
use crate::token::lifetime::Lifetimes;

const ISSUER: &str = "https://auth.example.com";
const ONE: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TWO: &str = "2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
/// A whole second.
const ROTATED: i64 = 1_790_000_000_000;

/// The key of RFC 8037 appendix A.1.
fn signer() -> SigningKey {
    let d = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    SigningKey::from_seed(Zeroizing::new(d.try_into().unwrap()))
}

fn other_signer() -> SigningKey {
    SigningKey::from_seed(Zeroizing::new([7; 32]))
}

fn tokens() -> AccessTokens {
    AccessTokens::new(&MasterKeys::parse(ONE).unwrap(), ISSUER)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn session() -> Session {
    let Value::Object(claims) = json!({ "role": "buyer", "plan": { "seats": 3, "name": "pro" } }) else { panic!() };
    let lifetimes = Lifetimes { access_token_ttl: Duration::from_mins(15), idle_ttl: Duration::from_hours(24) };
    let mut chain = Chain::begin(at(ROTATED), at(ROTATED).after(lifetimes.idle_ttl));
    chain.generation = 4;
    Session {
        id: SessionId::new(0, at(ROTATED), [9; 8]),
        subject: "alice".to_owned(),
        client_id: "web".to_owned(),
        caller: "backend".to_owned(),
        audience: words(&["orders", "billing"]),
        scope: words(&["read", "write"]),
        claims,
        authentication: Authentication {
            auth_time: at(ROTATED - 60_000),
            acr: Some("aal2".to_owned()),
            amr: words(&["pwd", "otp"]),
        },
        lifetimes,
        browser_session: false,
        chain,
        created_at: at(ROTATED),
        expires_at: at(ROTATED).after(Duration::from_hours(30 * 24)),
        revocation: None,
        device: Device::default(),
        decisions: Vec::new(),
    }
}

fn changed(change: impl FnOnce(&mut Session)) -> Session {
    let mut session = session();
    change(&mut session);
    session
}

fn minted(session: &Session) -> String {
    tokens().mint(&signer(), session, &[], &[]).unwrap().compact
}

fn part(compact: &str, index: usize) -> Value {
    let part = compact.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn payload(compact: &str) -> Value {
    part(compact, 1)
}

fn jti(compact: &str) -> String {
    payload(compact)["jti"].as_str().unwrap().to_owned()
}

fn expected(audience: Audience<'_>) -> Expected<'_> {
    Expected { issuer: ISSUER, audience, now: ROTATED / 1000, exp_leeway: 0, iat_leeway: 0 }
}

#[test]
fn the_header_is_exactly_alg_kid_and_typ() {
    let header = json!({ "alg": "EdDSA", "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "typ": "at+jwt" });
    assert_eq!(part(&minted(&session()), 0), header);
}

#[test]
fn the_payload_is_the_session_and_nothing_else() {
    let payload = payload(&minted(&session()));
    let claims = json!({
        "iss": ISSUER,
        "sub": "alice",
        "aud": ["orders", "billing"],
        "exp": ROTATED / 1000 + 900,
        "iat": ROTATED / 1000,
        "jti": payload["jti"],
        "client_id": "web",
        "sid": session().id.to_string(),
        "scope": "read write",
        "auth_time": ROTATED / 1000 - 60,
        "acr": "aal2",
        "amr": ["pwd", "otp"],
        "role": "buyer",
        "plan": { "seats": 3, "name": "pro" },
    });
    // No nbf among them, and no null.
    assert_eq!(payload, claims);
    assert_eq!(URL_SAFE_NO_PAD.decode(jti(&minted(&session()))).unwrap().len(), 16);
}

#[test]
fn what_the_session_does_not_have_is_left_out() {
    let bare = changed(|session| {
        session.scope.clear();
        session.claims.clear();
        session.authentication = Authentication { acr: None, amr: Vec::new(), ..session.authentication.clone() };
    });
    let payload = payload(&minted(&bare));
    let members: BTreeSet<&str> = payload.as_object().unwrap().keys().map(String::as_str).collect();
    let left = ["aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "sid", "sub"];
    assert_eq!(members, BTreeSet::from(left));
}

#[test]
fn an_audience_is_a_string_when_one_and_an_array_when_several_and_none_is_no_token() {
    let aud =
        |audience: &[&str]| payload(&minted(&changed(|session| session.audience = words(audience))))["aud"].clone();
    assert_eq!(aud(&["orders"]), json!("orders"));
    assert_eq!(aud(&["orders", "billing"]), json!(["orders", "billing"]));
    let nobody = changed(|session| session.audience.clear());
    assert!(matches!(tokens().mint(&signer(), &nobody, &[], &[]), Err(Unmintable::Signing(_))));
}

#[test]
fn a_narrowed_token_leaves_the_session_what_it_has() {
    let session = session();
    let narrowed = tokens().mint(&signer(), &session, &words(&["billing"]), &words(&["read"])).unwrap().compact;
    assert_eq!(payload(&narrowed)["aud"], json!("billing"));
    assert_eq!(payload(&narrowed)["scope"], json!("read"));
    assert_ne!(jti(&narrowed), jti(&minted(&session)));
    // The next one is as wide as before: it was that token alone.
    assert_eq!(payload(&minted(&session))["aud"], json!(["orders", "billing"]));
    assert_eq!(payload(&minted(&session))["scope"], json!("read write"));
    // Narrowing to all there is, is not narrowing.
    let own = tokens().mint(&signer(), &session, &session.audience, &session.scope).unwrap().compact;
    assert_eq!(own, minted(&session));
}

#[test]
fn the_same_facts_give_the_same_bytes_on_every_replica_however_they_are_ordered() {
    let Value::Object(reordered) = serde_json::from_str(r#"{"plan":{"name":"pro","seats":3},"role":"buyer"}"#).unwrap()
    else {
        panic!()
    };
    assert_eq!(minted(&session()), minted(&changed(|session| session.claims = reordered)));
    // A second master key, to be promoted later, changes nothing.
    let two = AccessTokens::new(&MasterKeys::parse(&format!("{ONE},{TWO}")).unwrap(), ISSUER);
    assert_eq!(two.mint(&signer(), &session(), &[], &[]).unwrap().compact, minted(&session()));
    // What is no fact of the token neither.
    let elsewhere = changed(|session| {
        session.device.label = Some("phone".to_owned());
        session.caller = "other".to_owned();
        session.chain.burst_generation = 3;
        session.chain.burst_at = at(ROTATED - 1);
        session.chain.recovered_generation = 3;
        session.chain.recovered_at = at(ROTATED - 5000);
        session.chain.recovery_streak = 1;
    });
    assert_eq!(minted(&elsewhere), minted(&session()));
}

#[test]
fn every_other_fact_gives_another_jti() {
    let changes: [fn(&mut Session); 19] = [
        |_| {},
        |session| session.chain.generation = 5,
        |session| session.chain.generation = u32::MAX,
        |session| session.chain.rotated_at = at(ROTATED + 1000),
        |session| {
            session.chain.recovered_generation = 4;
            session.chain.recovered_at = at(ROTATED + 31_000);
        },
        |session| session.lifetimes.access_token_ttl = Duration::from_secs(899),
        |session| session.expires_at = at(ROTATED + 60_000),
        |session| session.id = SessionId::new(1, at(ROTATED), [9; 8]),
        |session| session.subject = "bob".to_owned(),
        |session| session.client_id = "app".to_owned(),
        |session| session.audience = words(&["orders"]),
        |session| session.audience = words(&["billing", "orders"]),
        |session| session.scope = words(&["read"]),
        |session| session.authentication.auth_time = at(ROTATED),
        |session| session.authentication.acr = None,
        |session| session.authentication.amr = words(&["pwd"]),
        |session| session.claims["role"] = json!("seller"),
        |session| session.claims["plan"]["seats"] = json!(4),
        |session| session.claims.clear(),
    ];
    let mut ids: Vec<String> = changes.iter().map(|change| jti(&minted(&changed(change)))).collect();

    let mint =
        |tokens: &AccessTokens, signer: &SigningKey| jti(&tokens.mint(signer, &session(), &[], &[]).unwrap().compact);
    ids.push(mint(&tokens(), &other_signer()));
    let one = MasterKeys::parse(ONE).unwrap();
    ids.push(mint(&AccessTokens::new(&one, "https://auth.example.org"), &signer()));
    ids.push(mint(&AccessTokens::new(&MasterKeys::parse(TWO).unwrap(), ISSUER), &signer()));

    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn the_id_depends_on_the_issuer_by_its_key_as_well_as_by_its_claim() {
    let key = |issuer| AccessTokens::new(&MasterKeys::parse(ONE).unwrap(), issuer);
    let claims = tokens().claims(&session(), session().access_token_life(), &[], &[]);
    let id = |tokens: &AccessTokens| tokens.jti("kid", 4, &serde_json::to_string(&claims).unwrap());
    assert_eq!(id(&key(ISSUER)), id(&tokens()));
    assert_ne!(id(&key("https://auth.example.org")), id(&tokens()));
}

#[test]
fn it_is_minted_at_the_rotation_or_at_the_first_recovery_of_this_generation() {
    let minted = |rotated_at, recovered_generation, recovered_at| {
        let session = changed(|session| {
            session.chain.rotated_at = at(rotated_at);
            session.chain.recovered_generation = recovered_generation;
            session.chain.recovered_at = at(recovered_at);
        });
        let token = tokens().mint(&signer(), &session, &[], &[]).unwrap();
        let payload = payload(&token.compact);
        assert_eq!((payload["iat"].as_i64(), payload["exp"].as_i64()), (Some(token.life.iat), Some(token.life.exp)));
        (token.life.iat * 1000 - ROTATED, token.life.exp - token.life.iat)
    };
    assert_eq!(minted(ROTATED, 0, 0), (0, 900));
    assert_eq!(minted(ROTATED + 999, 0, 0), (0, 900));
    assert_eq!(minted(ROTATED + 1000, 0, 0), (1000, 900));
    assert_eq!(minted(ROTATED, 4, ROTATED + 300_000), (300_000, 900));
    assert_eq!(minted(ROTATED, 3, ROTATED - 300_000), (0, 900));
}

#[test]
fn it_lives_as_long_as_was_granted_and_never_longer_than_its_session() {
    let lives = |granted, absolute_left: i64, idle_left: i64| {
        let session = changed(|session| {
            session.lifetimes.access_token_ttl = Duration::from_secs(granted);
            session.expires_at = at(ROTATED + absolute_left);
            session.chain.idle_expires_at = at(ROTATED + idle_left);
        });
        let payload = payload(&minted(&session));
        payload["exp"].as_i64().unwrap() - payload["iat"].as_i64().unwrap()
    };
    let far = 86_400_000;
    assert_eq!(lives(900, far, far), 900);
    assert_eq!(lives(300, far, far), 300);
    assert_eq!(lives(3600, far, far), 3600);
    for (left, seconds) in [(901_000, 900), (900_000, 900), (899_999, 899), (899_000, 899), (1_001, 1), (1_000, 1)] {
        assert_eq!(lives(900, left, far), seconds);
        assert_eq!(lives(900, far, left), seconds);
    }
}

#[test]
fn a_token_of_more_than_4096_bytes_is_too_large() {
    let sized = |length| {
        let session =
            changed(|session| session.claims = [("x".to_owned(), "x".repeat(length).into())].into_iter().collect());
        tokens().mint(&signer(), &session, &[], &[])
    };
    let largest = (2_000..4_096).take_while(|length| sized(*length).is_ok()).last().unwrap();
    let token = sized(largest).unwrap().compact;
    assert_eq!(token.len(), 4_096);
    let ring = Ring::of_one(signer());
    assert!(verify(&token, &ring, &expected(Audience::Any)).is_ok());
    assert!(matches!(sized(largest + 1), Err(Unmintable::TooLarge(4_097))));
}

#[test]
fn what_is_minted_is_accepted_by_the_verifier_and_only_while_it_is_good() {
    let ring = Ring::of_one(signer());
    let token = minted(&session());
    let audience = words(&["billing"]);
    let expected = expected(Audience::OneOf(&audience));

    let claims = verify(&token, &ring, &expected).unwrap();
    assert_eq!(serde_json::to_value(&claims).unwrap(), payload(&token));

    let last = Expected { now: claims.exp - 1, ..expected };
    assert!(verify(&token, &ring, &last).is_ok());
    assert_eq!(verify(&token, &ring, &Expected { now: claims.exp, ..expected }), Err(Rejection::Expired));
    let elsewhere = words(&["payroll"]);
    let elsewhere = Expected { audience: Audience::OneOf(&elsewhere), ..expected };
    assert_eq!(verify(&token, &ring, &elsewhere), Err(Rejection::Audience));
    assert_eq!(verify(&token, &Ring::of_one(other_signer()), &expected), Err(Rejection::UnknownKey));
}

/// The id's place is found in the claims, whatever else stands there.
#[test]
fn texts_that_look_like_the_place_of_the_id_stay_as_they_are() {
    let looks = r#"","jti":"-","x":""#;
    let session = changed(|session| {
        looks.clone_into(&mut session.subject);
        session.audience = words(&["jti", r#""jti":"-""#]);
        session.claims = [("nested".to_owned(), json!({ "jti": "-" }))].into_iter().collect();
    });
    let compact = tokens().mint(&signer(), &session, &[], &[]).unwrap().compact;
    let claims = verify(&compact, &Ring::of_one(signer()), &expected(Audience::Any)).unwrap();
    assert_eq!((claims.sub.as_str(), &claims.extra), (looks, &session.claims));
    assert_eq!((claims.jti.len(), claims.aud), (22, session.audience));
}
