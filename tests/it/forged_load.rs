//! Tokens nobody minted, by the hundred thousand: refused before the database is asked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use symbolon::service::Error;

use crate::support::{Dice, Indoors, MASTER_KEY, subject};

const FORGED: usize = 100_000;

/// A byte below `bound`.
fn below(dice: &Dice, bound: u64) -> u8 {
    u8::try_from(dice.below(bound)).unwrap()
}

/// One way or another to make a token out of a good one that is not it.
fn mangled(good: &str, dice: &Dice) -> String {
    let pick = |bound: usize| usize::try_from(dice.below(bound as u64)).unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(&good[4..]).unwrap();
    let encoded = |bytes: &[u8]| format!("sr1_{}", URL_SAFE_NO_PAD.encode(bytes));
    let length = bytes.len();
    match dice.below(10) {
        // One bit of anything: master key id, session id, generation, tag.
        0 | 1 => {
            bytes[pick(length)] ^= 1 << dice.below(8);
            encoded(&bytes)
        }
        // Another session, generation or tag altogether.
        2 => {
            bytes[1..].iter_mut().for_each(|byte| *byte = below(dice, 256));
            encoded(&bytes)
        }
        // The next generations of a session one has a token of.
        3 => {
            bytes[17] = 2 + below(dice, 100);
            encoded(&bytes)
        }
        // A tag that is right but for its length.
        4 => encoded(&bytes[..pick(length)]),
        5 => good[..pick(good.len())].to_owned(),
        6 => format!("{good}{}", &good[pick(good.len() - 1)..]),
        // Another spelling.
        7 => match dice.below(6) {
            0 => good.to_uppercase(),
            1 => format!("{good}="),
            2 => format!(" {good}"),
            3 => good.replacen("sr1_", "sr2_", 1),
            4 => good[4..].to_owned(),
            _ => format!("{good}\n"),
        },
        8 => {
            let mut characters: Vec<char> = good.chars().collect();
            let (at, with) = (pick(characters.len()), b"-_.= AZaz09\xFF"[pick(12)] as char);
            if characters[at] == with {
                characters.swap_remove(at);
            } else {
                characters[at] = with;
            }
            characters.into_iter().collect()
        }
        _ => (0..dice.below(300)).map(|_| char::from(32 + below(dice, 95))).collect(),
    }
}

/// R-RT-06
#[tokio::test]
async fn a_hundred_thousand_forged_tokens_ask_the_database_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let good = indoors.issue(subject("alice")).await.unwrap().refresh_token;
    // From now on each question to the database is an error of its own.
    indoors.service.store.clone().close().await;
    assert!(matches!(indoors.refresh(&good).await, Err(Error::StoreUnavailable(_))), "the database is still asked");

    let dice = Dice::seeded(7);
    let (mut invalid, mut unknown) = (0, 0);
    for number in 0..FORGED {
        let forged = mangled(&good, &dice);
        if forged == good {
            continue;
        }
        match indoors.refresh(&forged).await {
            Err(Error::RefreshTokenInvalid) => invalid += 1,
            Err(Error::MasterKeyUnknown(id)) => {
                assert_ne!(id, 1, "{number}: {forged}");
                unknown += 1;
            }
            other => panic!("{number}: {forged} gave {:?}", other.err()),
        }
    }
    assert!(invalid > FORGED * 9 / 10, "{invalid} invalid, {unknown} of another master key");
    assert!(unknown > 100, "no forged token had another master key id");
}
