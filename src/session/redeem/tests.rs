//! Proofs of the refresh rule: its table row by row, a second and plainer writing of that table that must agree with it
//! in every state of a small world and in random ones of a large, and what all of it together promises.

mod edges;
mod exhaustive;
mod invariants;
mod model;
mod random;
mod table;
mod thief;

use super::*;
use crate::session::{Authentication, Device, Revocation, RevokeReason, SessionId};
use crate::token::lifetime::Lifetimes;

/// 2026-05-03, 10:00:00 UTC, a whole second: when everybody signs in.
const SIGN_IN: i64 = 1_777_802_400_000;

/// The defaults.
const POLICY: Policy = Policy {
    leeway: Duration::from_secs(30),
    recovery_limit: 2,
    burst: Duration::from_mins(2),
    rotation_when_due: false,
};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// A session of the first generation: access tokens for 15 minutes, idle for a day, 30 days at most.
fn session() -> Session {
    let day = Duration::from_hours(24);
    Session {
        id: SessionId::new(0, at(SIGN_IN), [1; 8]),
        subject: "alice".to_owned(),
        client_id: "web".to_owned(),
        caller: "backend".to_owned(),
        audience: words(&["orders", "billing"]),
        scope: words(&["read", "write"]),
        claims: serde_json::Map::new(),
        authentication: Authentication { auth_time: at(SIGN_IN), acr: None, amr: Vec::new() },
        lifetimes: Lifetimes { access_token_ttl: Duration::from_mins(15), idle_ttl: day },
        browser_session: false,
        chain: Chain::begin(at(SIGN_IN), at(SIGN_IN).after(day)),
        created_at: at(SIGN_IN),
        expires_at: at(SIGN_IN).after(30 * day),
        revocation: None,
        device: Device::default(),
        decisions: Vec::new(),
    }
}

fn revocation(reason: RevokeReason) -> Revocation {
    Revocation { at: at(SIGN_IN), reason, by: "backend".to_owned() }
}

/// A bare refresh: nothing narrowed, the current token rotates.
fn bare(generation: u32) -> Presented<'static> {
    Presented { generation, audience: &[], scope: &[], rotation: Rotation::Always }
}

/// What may be asked of the access token, and what of it exceeds the grant of [`session`].
struct Wish {
    audience: Vec<String>,
    scope: Vec<String>,
    exceeds: &'static [Grant],
}

impl Wish {
    fn new(audience: &[&str], scope: &[&str], exceeds: &'static [Grant]) -> Self {
        Self { audience: words(audience), scope: words(scope), exceeds }
    }

    fn presented(&self, generation: u32, rotation: Rotation) -> Presented<'_> {
        Presented { generation, audience: &self.audience, scope: &self.scope, rotation }
    }
}

/// Holds the verdict against the model's, with every column written, and gives the row of the table.
fn agree(
    wish: &Wish,
    (generation, rotation): (u32, Rotation),
    session: Option<&Session>,
    now: Timestamp,
    policy: Option<&Policy>,
) -> &'static str {
    let presented = wish.presented(generation, rotation);
    let verdict = redeem(&presented, session, now, policy);

    let numbers = policy.unwrap_or(&POLICY);
    let ask = model::Ask {
        generation: generation.into(),
        when_due: rotation == Rotation::WhenDue,
        widened: !wish.exceeds.is_empty(),
        caller_permitted: policy.is_some(),
    };
    let numbers = model::Numbers {
        leeway: millis(numbers.leeway),
        limit: numbers.recovery_limit.into(),
        burst: millis(numbers.burst),
        when_due_declared: numbers.rotation_when_due,
    };
    let (row, written) = model::answer(ask, session.map(model_row), now.millis().into(), numbers);

    let excess = |grant| wish.exceeds.contains(&grant) || (grant == Grant::Rotation && !numbers.when_due_declared);
    let rows: &[&str] = match verdict {
        Verdict::Refuse(Refusal::NotFound) => &["1"],
        Verdict::Refuse(Refusal::Client) => &["2"],
        Verdict::Refuse(Refusal::Revoked) => &["3"],
        Verdict::Refuse(Refusal::Expired) => &["4"],
        Verdict::Heal(_) => &["5"],
        Verdict::RolledBack => &["6"],
        Verdict::Refuse(Refusal::Grant(grant)) if excess(grant) => &["6½"],
        Verdict::Refuse(Refusal::Grant(_)) => &[],
        Verdict::Current => &["7"],
        Verdict::Rotate(_) => &["8"],
        Verdict::Repeat => &["9"],
        Verdict::Replay => &["10"],
        Verdict::Recover(_) => &["11"],
        Verdict::Stale => &["13"],
        Verdict::Reuse => &["12", "14"],
    };
    let agreed = rows.contains(&row) && verdict.chain().map(|chain| columns(&chain)) == written;
    assert!(
        agreed,
        "the table says row {row} and {written:?}; {verdict:?} of {presented:?} at {now:?} by {policy:?} in {session:?}"
    );
    row
}

fn model_row(session: &Session) -> model::Row {
    model::Row {
        columns: columns(&session.chain),
        absolute: session.expires_at.millis().into(),
        idle_ttl: millis(session.lifetimes.idle_ttl),
        access_ttl: millis(session.lifetimes.access_token_ttl),
        revoked: session.revocation.is_some(),
    }
}

fn columns(chain: &Chain) -> model::Columns {
    model::Columns {
        generation: chain.generation.into(),
        rotated_at: chain.rotated_at.millis().into(),
        recovered_generation: chain.recovered_generation.into(),
        recovered_at: chain.recovered_at.millis().into(),
        recovery_streak: chain.recovery_streak.into(),
        burst_generation: chain.burst_generation.into(),
        burst_at: chain.burst_at.millis().into(),
        idle: chain.idle_expires_at.millis().into(),
    }
}

fn millis(duration: Duration) -> i128 {
    duration.as_millis().try_into().unwrap()
}
