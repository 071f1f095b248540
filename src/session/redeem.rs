//! The refresh rule: what presenting a refresh token means. A pure function from what was presented, what is stored,
//! the time and the client's policy to a verdict; nothing else in the program decides this. The README tells the rule
//! to its users; the numbers in the comments are the rows of that table.
//!
//! A refresh has two enemies who look alike, the lost answer and the thief. Only a *chain* of recovered generations is
//! evidence of two holders, so a lost answer is given again, as often as it is asked for, and a chain longer than the
//! policy's limit ends the session, whoever asked.

use std::time::Duration;

use crate::session::{Chain, Session, State};
use crate::time::Timestamp;

/// What was presented: a refresh token whose tag was right, and what the caller asks for.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The generation in the token; at least 1.
    pub generation: u32,
    /// Audiences the access token is to be narrowed to; empty for the session's own.
    pub audience: &'a [String],
    /// Scopes the access token is to be narrowed to; empty for the session's own.
    pub scope: &'a [String],
    pub rotation: Rotation,
}

/// Whether redeeming the current token rotates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    Always,
    WhenDue,
}

/// A client's own numbers in the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long the direct predecessor is answered as a parallel request: 0 to 60 s.
    pub leeway: Duration,
    /// How many generations in a row may be recovered: 0 to 3.
    pub recovery_limit: u32,
    /// How far apart two rotations of one burst may be.
    pub burst: Duration,
    /// Whether the client may ask for [`Rotation::WhenDue`].
    pub rotation_when_due: bool,
}

/// A burst lasts at most this many times [`Policy::burst`], so that a thief cannot keep one open by rotating.
pub const LONGEST_BURST: u32 = 5;

/// A token this many generations ahead of the row can come from commits the database lost; a greater distance cannot be
/// healed without reviving the tokens of the lost time line.
const HEALED: u32 = 2;

/// What is to be done, and what is to be written. Whatever is in `Chain` is the row's next state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is given and nothing is written.
    Refuse(Refusal),
    /// Row 7: the tokens of the current generation, the same bytes; nothing is written.
    Current,
    /// Row 8: the next generation.
    Rotate(Chain),
    /// Row 9: what was recovered once, again, the same bytes; nothing is written.
    Repeat,
    /// Row 10: a parallel request or a quick retry: the same bytes; nothing is written.
    Replay,
    /// Row 11: a lost answer: the same refresh token with an access token minted now.
    Recover(Chain),
    /// Row 5: the database lost its last commits; the chain goes on after the token that proves it.
    Heal(Chain),
    /// Row 13: an older token of a running burst: refused without effect.
    Stale,
    /// Rows 12 and 14: theft; the session ends.
    Reuse,
    /// Row 6: the database went back too far; the session ends.
    RolledBack,
}

/// Why nothing is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Row 1.
    NotFound,
    /// Row 2: the caller may not refresh this client.
    Client,
    /// Row 3.
    Revoked,
    /// Row 4.
    Expired,
    /// Row 6½: more was asked for than was granted.
    Grant(Grant),
}

/// What exceeded the grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    Audience,
    Scope,
    Rotation,
}

/// Judges `presented`. `policy` is the session's client's, or `None` if the caller may not refresh that client.
#[must_use]
pub fn redeem(
    presented: &Presented<'_>,
    session: Option<&Session>,
    now: Timestamp,
    policy: Option<&Policy>,
) -> Verdict {
    let Some(session) = session else { return Verdict::Refuse(Refusal::NotFound) };
    let Some(policy) = policy else { return Verdict::Refuse(Refusal::Client) };
    match session.state(now) {
        State::Revoked => return Verdict::Refuse(Refusal::Revoked),
        State::Expired => return Verdict::Refuse(Refusal::Expired),
        State::Active => {}
    }
    let verdict = judge(presented, session, now, policy);
    match (verdict.yields_tokens(), exceeded(presented, session, policy)) {
        (true, Some(grant)) => Verdict::Refuse(Refusal::Grant(grant)),
        _ => verdict,
    }
}

/// Rows 5 to 14 without 6½: which generation of a live session this is, and what that means.
fn judge(presented: &Presented<'_>, session: &Session, now: Timestamp, policy: &Policy) -> Verdict {
    let Chain { generation, rotated_at, recovered_generation, burst_generation, burst_at, .. } = session.chain;
    let age = now.since(rotated_at);
    let in_burst = age < policy.burst && now.since(burst_at) < policy.burst * LONGEST_BURST;

    let p = presented.generation;
    if p > generation {
        return if p - generation <= HEALED { heal(p, session, now) } else { Verdict::RolledBack };
    }
    match generation - p {
        0 if presented.rotation == Rotation::WhenDue && !due(session, now) => Verdict::Current,
        0 => rotate(session, in_burst, now, policy),
        1 if recovered_generation == generation => Verdict::Repeat,
        1 if age < policy.leeway => Verdict::Replay,
        1 => recover(&session.chain, now, policy),
        _ if p >= burst_generation && in_burst => Verdict::Stale,
        _ => Verdict::Reuse,
    }
}

fn heal(p: u32, session: &Session, now: Timestamp) -> Verdict {
    let chain = &session.chain;
    let rotated_at = chain.rotated_at.max(now);
    let healed = |generation| Chain {
        generation,
        rotated_at,
        idle_expires_at: session.idle_expiry(rotated_at),
        recovered_generation: 0,
        recovery_streak: 0,
        burst_generation: chain.generation,
        burst_at: now,
        ..*chain
    };
    next(p, healed).map_or(OUT_OF_GENERATIONS, Verdict::Heal)
}

fn rotate(session: &Session, in_burst: bool, now: Timestamp, policy: &Policy) -> Verdict {
    let chain = &session.chain;
    let rotated_at = chain.rotated_at.max(now);
    let (burst_generation, burst_at) = if in_burst {
        (chain.burst_generation, chain.burst_at)
    } else {
        // Whoever lost the race to this rotation, or was given a lost answer again, may still present the predecessor.
        let predecessor_is_about =
            now.since(chain.rotated_at) < policy.burst || chain.recovered_generation == chain.generation;
        (chain.generation - u32::from(predecessor_is_about), now)
    };
    let rotated = |generation| Chain {
        generation,
        rotated_at,
        burst_generation,
        burst_at,
        idle_expires_at: session.idle_expiry(rotated_at),
        ..*chain
    };
    next(chain.generation, rotated).map_or(OUT_OF_GENERATIONS, Verdict::Rotate)
}

fn recover(chain: &Chain, now: Timestamp, policy: &Policy) -> Verdict {
    // A generation that was used without having been recovered breaks the chain: its holder got his answer.
    let unbroken = chain.recovered_generation == chain.generation - 1;
    let streak = if unbroken { chain.recovery_streak.saturating_add(1) } else { 1 };
    if streak > policy.recovery_limit {
        return Verdict::Reuse;
    }
    Verdict::Recover(Chain {
        recovered_generation: chain.generation,
        recovered_at: chain.rotated_at.max(now),
        recovery_streak: streak,
        ..*chain
    })
}

/// A session that has handed out every generation there is has come to its end: four thousand million refreshes.
const OUT_OF_GENERATIONS: Verdict = Verdict::Refuse(Refusal::Expired);

fn next(generation: u32, chain: impl Fn(u32) -> Chain) -> Option<Chain> {
    generation.checked_add(1).map(chain)
}

/// Whether the moment to refresh has come: the same for every holder of the token.
fn due(session: &Session, now: Timestamp) -> bool {
    session.access_token_life().refresh_after() <= now
}

fn exceeded(presented: &Presented<'_>, session: &Session, policy: &Policy) -> Option<Grant> {
    let within = |asked: &[String], granted: &[String]| asked.iter().all(|one| granted.contains(one));
    if !within(presented.audience, &session.audience) {
        Some(Grant::Audience)
    } else if !within(presented.scope, &session.scope) {
        Some(Grant::Scope)
    } else if presented.rotation == Rotation::WhenDue && !policy.rotation_when_due {
        Some(Grant::Rotation)
    } else {
        None
    }
}

impl Verdict {
    /// Whether the caller is given tokens.
    #[must_use]
    pub fn yields_tokens(&self) -> bool {
        match self {
            Self::Current | Self::Rotate(_) | Self::Repeat | Self::Replay | Self::Recover(_) | Self::Heal(_) => true,
            Self::Refuse(_) | Self::Stale | Self::Reuse | Self::RolledBack => false,
        }
    }

    /// The row's next state, if the verdict writes one.
    #[must_use]
    pub fn chain(&self) -> Option<Chain> {
        match self {
            Self::Rotate(chain) | Self::Recover(chain) | Self::Heal(chain) => Some(*chain),
            Self::Refuse(_)
            | Self::Current
            | Self::Repeat
            | Self::Replay
            | Self::Stale
            | Self::Reuse
            | Self::RolledBack => None,
        }
    }

    /// The name in logs, metrics and benchmarks.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuse(_) => "refused",
            Self::Current => "current",
            Self::Rotate(_) => "rotated",
            Self::Repeat => "repeated",
            Self::Replay => "replayed",
            Self::Recover(_) => "recovered",
            Self::Heal(_) => "healed",
            Self::Stale => "stale",
            Self::Reuse => "reuse",
            Self::RolledBack => "rolled_back",
        }
    }
}

#[cfg(test)]
mod tests;
