use proptest::prelude::*;

use super::*;
use crate::time::Timestamp;

fn master_keys(text: &str) -> MasterKeys {
    MasterKeys::parse(text).unwrap()
}

const ONE: &str = "1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TWO: &str = "2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const ISSUER: &str = "https://auth.example.com";

fn tokens(keys: &str) -> RefreshTokens {
    RefreshTokens::new(&master_keys(keys), ISSUER, &[])
}

fn token(generation: u32) -> RefreshToken {
    RefreshToken { session_id: SessionId::new(0, Timestamp::from_seconds(1_790_000_000), [9; 8]), generation }
}

#[test]
fn the_spelling_is_a_contract() {
    // Computed elsewhere, from the description alone. A change of this text would sign every user out.
    assert_eq!(tokens(ONE).write(token(1)), "sr1_AQAAGgxFBowAiQkJCQkJCQkBCZHxnSZOrTWR6OIt5tg8kw");
}

#[test]
fn one_flipped_bit_anywhere_is_refused() {
    let tokens = tokens(ONE);
    let text = tokens.write(token(300));
    let bytes = URL_SAFE_NO_PAD.decode(&text[PREFIX.len()..]).unwrap();
    for at in 0..bytes.len() * 8 {
        let mut mangled = bytes.clone();
        mangled[at / 8] ^= 1 << (at % 8);
        let refused = tokens.read(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(mangled))).unwrap_err();
        // Only the first byte, the master key's id, may make it look like a key we have not got yet.
        assert!(refused == Refused::Invalid || at < 8, "bit {at}: {refused:?}");
    }
}

#[test]
fn a_token_has_one_spelling() {
    let tokens = tokens(ONE);
    let text = tokens.write(token(1));
    let mut others = vec![
        String::new(),
        PREFIX.to_owned(),
        text.to_uppercase(),
        text.replace("sr1_", "SR1_"),
        text.replace("sr1_", "sr2_"),
        format!("{text}="),
        format!("{text}A"),
        format!(" {text}"),
        format!("{text}\n"),
        text[..text.len() - 1].to_owned(),
        text.replace("sr1_", ""),
        format!("{PREFIX}{}", "A".repeat(400)),
        "eyJhbGciOiJFZERTQSJ9.e30.AAAA".to_owned(),
    ];
    // Non-zero trailing bits: the last character may stand for the same bytes in four spellings.
    let last = text.pop_last();
    others.extend((b'A'..=b'Z').map(|byte| format!("{}{}", last.0, byte as char)).filter(|other| *other != text));
    for other in others {
        assert_eq!(tokens.read(&other), Err(Refused::Invalid), "{other}");
    }
}

trait PopLast {
    fn pop_last(&self) -> (String, char);
}

impl PopLast for String {
    fn pop_last(&self) -> (String, char) {
        let mut rest = self.clone();
        let last = rest.pop().unwrap();
        (rest, last)
    }
}

#[test]
fn a_generation_has_one_varint() {
    for (bytes, value) in [
        (&[0x01][..], Some(1)),
        (&[0x7F], Some(127)),
        (&[0x80, 0x01], Some(128)),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], Some(u32::MAX)),
        (&[0x81, 0x00], None),
        (&[0x80], None),
        (&[0x01, 0x01], None),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0x1F], None),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], None),
        (&[], None),
    ] {
        assert_eq!(read_varint(bytes), value, "{bytes:?}");
    }
}

#[test]
fn generation_zero_is_refused_even_with_a_right_tag() {
    let tokens = tokens(ONE);
    assert_eq!(tokens.read(&tokens.write(token(0))), Err(Refused::Invalid));
}

#[test]
fn another_issuer_with_the_same_master_key_is_another_world() {
    let clone = RefreshTokens::new(&master_keys(ONE), "https://staging.example.com", &[]);
    assert_eq!(tokens(ONE).read(&clone.write(token(1))), Err(Refused::Invalid));
}

#[test]
fn a_promoted_master_key_leaves_the_old_tokens_good() {
    let (before, after) = (tokens(&format!("{ONE},{TWO}")), tokens(&format!("{TWO},{ONE}")));
    assert_ne!(before.write(token(1)), after.write(token(1)));
    assert_eq!(after.read(&before.write(token(1))), Ok(token(1)));
    assert_eq!(before.read(&after.write(token(1))), Ok(token(1)));
}

#[test]
fn a_master_key_we_have_not_got_is_unknown_until_it_is_retired() {
    let text = tokens(TWO).write(token(1));
    assert_eq!(tokens(ONE).read(&text), Err(Refused::MasterKeyUnknown(2)));
    let retired = RefreshTokens::new(&master_keys(ONE), ISSUER, &[2]);
    assert_eq!(retired.read(&text), Err(Refused::Invalid));
}

#[test]
fn retiring_a_held_key_ends_its_tokens() {
    let retired = RefreshTokens::new(&master_keys(&format!("{TWO},{ONE}")), ISSUER, &[1]);
    assert_eq!(retired.read(&tokens(ONE).write(token(1))), Err(Refused::Invalid));
    assert_eq!(retired.read(&retired.write(token(1))), Ok(token(1)));
}

proptest! {
    #[test]
    fn what_is_written_is_read(generation in 1..=u32::MAX, random: [u8; 8], seconds in 0_i64..10_000_000_000) {
        let token = RefreshToken { session_id: SessionId::new(0, Timestamp::from_seconds(seconds), random), generation };
        let text = tokens(ONE).write(token);
        prop_assert!(text.len() <= 60);
        prop_assert_eq!(tokens(ONE).read(&text), Ok(token));
    }

    #[test]
    fn rubbish_is_refused(text in "(sr1_)?[A-Za-z0-9_-]{0,80}") {
        prop_assert!(tokens(ONE).read(&text).is_err());
    }
}
