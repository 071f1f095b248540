//! The store's deeds, tried directly on every database there is: what each does, when it does nothing, and that it says
//! so.

mod erasing;
mod keys;
mod lists;
mod requests;
mod restoring;
mod rows;
mod schema;
mod sessions;
mod swaps;
mod sweeping;
mod transfer;

use std::time::Duration;

use symbolon::session::{
    Authentication, Chain, Decision, DecisionKind, Device, Revocation, RevokeReason, Session, SessionId,
};
use symbolon::time::Timestamp;
use symbolon::token::lifetime::Lifetimes;

use crate::support::{BEGINNING, Dice};

const MONTH: Duration = Duration::from_hours(30 * 24);

/// When every test begins, and `seconds` later.
fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(BEGINNING).after(Duration::from_secs(seconds))
}

/// A live session with nothing that may be left out.
fn bare(dice: &Dice, subject: &str, created_at: Timestamp) -> Session {
    let expires_at = created_at.after(MONTH);
    Session {
        id: SessionId::new(0, created_at, dice.next().to_le_bytes()),
        subject: subject.to_owned(),
        client_id: "web".to_owned(),
        caller: "local".to_owned(),
        audience: vec!["api".to_owned()],
        scope: Vec::new(),
        claims: serde_json::Map::new(),
        authentication: Authentication { auth_time: created_at, acr: None, amr: Vec::new() },
        lifetimes: Lifetimes { access_token_ttl: Duration::from_mins(15), idle_ttl: MONTH },
        browser_session: false,
        chain: Chain::begin(created_at, expires_at),
        created_at,
        expires_at,
        revocation: None,
        device: Device::default(),
        decisions: Vec::new(),
    }
}

/// A session with everything it can have, and no two fields alike.
fn whole(dice: &Dice) -> Session {
    let millis = |after| Timestamp::from_millis(BEGINNING * 1000 + after);
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let claims =
        serde_json::json!({ "é": [1, 2.5, null, { "b": true, "a": "\u{1F511}" }], "n": 9_007_199_254_740_991_i64 });
    let device = |name: &str| Device {
        user_agent: Some(format!("{name} \u{1F9ED} «Mozilla/5.0» \"quoted\" '; --")),
        ip_address: Some("2001:db8::7".to_owned()),
        label: Some(format!("{name}: Zoë's 笔记本")),
    };
    let kinds = [
        DecisionKind::Issued,
        DecisionKind::Recovered,
        DecisionKind::ReuseDetected,
        DecisionKind::RolledBack,
        DecisionKind::Revoked,
        DecisionKind::Updated,
    ];
    let decision = |(kind, number): (DecisionKind, u32)| Decision {
        at: millis(100 + i64::from(number)),
        kind,
        caller: format!("caller {number}"),
        presented: number,
        current: u32::MAX - number,
        device: if number % 2 == 0 { device("then") } else { Device::default() },
    };
    Session {
        client_id: "ios".to_owned(),
        caller: "backend".to_owned(),
        audience: words(&["api", "https://files.example"]),
        scope: words(&["read", "write:all"]),
        claims: claims.as_object().unwrap().clone(),
        authentication: Authentication {
            auth_time: millis(1),
            acr: Some("aal2".to_owned()),
            amr: words(&["pwd", "otp"]),
        },
        lifetimes: Lifetimes { access_token_ttl: Duration::from_secs(61), idle_ttl: Duration::from_secs(3601) },
        browser_session: true,
        chain: Chain {
            generation: u32::MAX,
            rotated_at: millis(2),
            recovered_generation: u32::MAX - 1,
            recovered_at: millis(3),
            recovery_streak: 2,
            burst_generation: u32::MAX - 2,
            burst_at: millis(4),
            idle_expires_at: millis(5),
        },
        created_at: millis(6),
        expires_at: millis(7),
        revocation: Some(Revocation { at: millis(8), reason: RevokeReason::Superseded, by: "bff".to_owned() }),
        device: device("now"),
        decisions: kinds.into_iter().zip(0..).map(decision).collect(),
        ..bare(dice, "~!subject with spaces!~", millis(0))
    }
}

fn revocation(at: Timestamp) -> Revocation {
    Revocation { at, reason: RevokeReason::Administrator, by: "local".to_owned() }
}

fn decision(at: Timestamp, kind: DecisionKind) -> Decision {
    Decision { at, kind, caller: "local".to_owned(), presented: 3, current: 4, device: Device::default() }
}
