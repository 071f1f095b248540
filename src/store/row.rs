//! A session as a row and back. A row that says what a session cannot be is an error that names the column.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};
use serde::{Deserialize, Serialize};

use super::Error;
use super::entity::session::{ActiveModel, Model};
use crate::session::{
    Authentication, Chain, Decision, DecisionKind, Device, Revocation, RevokeReason, Session, SessionId,
};
use crate::time::Timestamp;
use crate::token::lifetime::Lifetimes;

/// The row of a new session.
pub(super) fn insert(session: &Session) -> ActiveModel {
    let Session { authentication, lifetimes, device, revocation, .. } = session;
    let mut row = ActiveModel {
        id: Set(session.id.uuid()),
        subject: Set(session.subject.clone()),
        client_id: Set(session.client_id.clone()),
        caller: Set(session.caller.clone()),
        audience: Set(session.audience.join(" ")),
        scope: Set(session.scope.join(" ")),
        claims: Set(claims_text(&session.claims)),
        acr: Set(authentication.acr.clone()),
        amr: Set(authentication.amr.join(" ")),
        auth_time: Set(authentication.auth_time.millis()),
        access_token_ttl: Set(seconds(lifetimes.access_token_ttl)),
        idle_ttl: Set(seconds(lifetimes.idle_ttl)),
        browser_session: Set(session.browser_session),
        created_at: Set(session.created_at.millis()),
        expires_at: Set(session.expires_at.millis()),
        revoked_at: Set(revocation.as_ref().map(|revocation| revocation.at.millis())),
        revoke_reason: Set(revocation.as_ref().map(|revocation| revocation.reason.name().to_owned())),
        revoked_by: Set(revocation.as_ref().map(|revocation| revocation.by.clone())),
        decisions: Set(decisions_text(&session.decisions)),
        ..Default::default()
    };
    set_chain(&mut row, &session.chain);
    set_device(&mut row, device);
    row
}

pub(super) fn set_chain(row: &mut ActiveModel, chain: &Chain) {
    row.generation = Set(chain.generation.into());
    row.rotated_at = Set(chain.rotated_at.millis());
    row.recovered_generation = Set(chain.recovered_generation.into());
    row.recovered_at = Set(chain.recovered_at.millis());
    row.recovery_streak = Set(chain.recovery_streak.into());
    row.burst_generation = Set(chain.burst_generation.into());
    row.burst_at = Set(chain.burst_at.millis());
    row.idle_expires_at = Set(chain.idle_expires_at.millis());
}

pub(super) fn set_device(row: &mut ActiveModel, device: &Device) {
    row.user_agent = Set(device.user_agent.clone());
    row.ip_address = Set(device.ip_address.clone());
    row.label = Set(device.label.clone());
}

/// What `device` says otherwise than the one that was seen, and nothing else: a label given meanwhile stays.
pub(super) fn set_changes(row: &mut ActiveModel, seen: &Device, device: &Device) {
    if device.user_agent != seen.user_agent {
        row.user_agent = Set(device.user_agent.clone());
    }
    if device.ip_address != seen.ip_address {
        row.ip_address = Set(device.ip_address.clone());
    }
    if device.label != seen.label {
        row.label = Set(device.label.clone());
    }
}

pub(super) fn set_revocation(row: &mut ActiveModel, revocation: &Revocation) {
    row.revoked_at = Set(Some(revocation.at.millis()));
    row.revoke_reason = Set(Some(revocation.reason.name().to_owned()));
    row.revoked_by = Set(Some(revocation.by.clone()));
}

pub(super) fn claims_text(claims: &crate::session::Claims) -> String {
    serde_json::to_string(claims).expect("cannot fail: a map with text keys is JSON")
}

/// A row whose columns are those of the entity, in their order.
pub(super) fn in_order(row: &PgRow) -> Result<Model, sqlx::Error> {
    Ok(Model {
        id: row.try_get(0)?,
        subject: row.try_get(1)?,
        client_id: row.try_get(2)?,
        caller: row.try_get(3)?,
        audience: row.try_get(4)?,
        scope: row.try_get(5)?,
        claims: row.try_get(6)?,
        acr: row.try_get(7)?,
        amr: row.try_get(8)?,
        auth_time: row.try_get(9)?,
        access_token_ttl: row.try_get(10)?,
        idle_ttl: row.try_get(11)?,
        browser_session: row.try_get(12)?,
        generation: row.try_get(13)?,
        rotated_at: row.try_get(14)?,
        recovered_generation: row.try_get(15)?,
        recovered_at: row.try_get(16)?,
        recovery_streak: row.try_get(17)?,
        burst_generation: row.try_get(18)?,
        burst_at: row.try_get(19)?,
        created_at: row.try_get(20)?,
        idle_expires_at: row.try_get(21)?,
        expires_at: row.try_get(22)?,
        revoked_at: row.try_get(23)?,
        revoke_reason: row.try_get(24)?,
        revoked_by: row.try_get(25)?,
        user_agent: row.try_get(26)?,
        ip_address: row.try_get(27)?,
        label: row.try_get(28)?,
        decisions: row.try_get(29)?,
    })
}

pub(super) fn session(row: Model) -> Result<Session, Error> {
    let id = row.id;
    let impossible = |column| move || Error::Impossible { table: "sessions", column, id: id.to_string() };
    let count = |column, value: i64| u32::try_from(value).map_err(|_| impossible(column)());
    let span = |column, seconds| duration(seconds).ok_or_else(impossible(column));
    let revocation = revocation(row.revoked_at, row.revoke_reason, row.revoked_by);
    Ok(Session {
        id: SessionId::from(row.id),
        subject: row.subject,
        client_id: row.client_id,
        caller: row.caller,
        audience: Some(words(&row.audience))
            .filter(|audience| !audience.is_empty())
            .ok_or_else(impossible("audience"))?,
        scope: words(&row.scope),
        claims: serde_json::from_str(&row.claims).map_err(|_| impossible("claims")())?,
        authentication: Authentication {
            auth_time: Timestamp::from_millis(row.auth_time),
            acr: row.acr,
            amr: words(&row.amr),
        },
        lifetimes: Lifetimes {
            access_token_ttl: span("access_token_ttl", row.access_token_ttl)?,
            idle_ttl: span("idle_ttl", row.idle_ttl)?,
        },
        browser_session: row.browser_session,
        chain: Chain {
            generation: count("generation", row.generation)
                .and_then(|generation| if generation > 0 { Ok(generation) } else { Err(impossible("generation")()) })?,
            rotated_at: Timestamp::from_millis(row.rotated_at),
            recovered_generation: count("recovered_generation", row.recovered_generation)?,
            recovered_at: Timestamp::from_millis(row.recovered_at),
            recovery_streak: count("recovery_streak", row.recovery_streak)?,
            burst_generation: count("burst_generation", row.burst_generation)?,
            burst_at: Timestamp::from_millis(row.burst_at),
            idle_expires_at: Timestamp::from_millis(row.idle_expires_at),
        },
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        revocation: revocation.map_err(|column| impossible(column)())?,
        device: Device { user_agent: row.user_agent, ip_address: row.ip_address, label: row.label },
        decisions: decisions(&row.decisions).ok_or_else(impossible("decisions"))?,
    })
}

/// The end of a session from its columns, or the column that cannot be.
pub(super) fn revocation(
    at: Option<i64>,
    reason: Option<String>,
    by: Option<String>,
) -> Result<Option<Revocation>, &'static str> {
    match (at, reason, by) {
        (None, None, None) => Ok(None),
        (Some(at), Some(reason), Some(by)) => Ok(Some(Revocation {
            at: Timestamp::from_millis(at),
            reason: RevokeReason::from_name(&reason).ok_or("revoke_reason")?,
            by,
        })),
        _ => Err("revoked_at"),
    }
}

pub(super) fn duration(seconds: i64) -> Option<Duration> {
    u32::try_from(seconds).ok().map(|seconds| Duration::from_secs(seconds.into()))
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

pub(super) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// A decision as the column keeps it.
#[derive(Serialize, Deserialize)]
struct Remembered {
    at: i64,
    kind: String,
    caller: String,
    presented: u32,
    current: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

const KINDS: [(DecisionKind, &str); 6] = [
    (DecisionKind::Issued, "issued"),
    (DecisionKind::Recovered, "recovered"),
    (DecisionKind::ReuseDetected, "reuse_detected"),
    (DecisionKind::RolledBack, "rolled_back"),
    (DecisionKind::Revoked, "revoked"),
    (DecisionKind::Updated, "updated"),
];

pub(super) fn decisions_text(decisions: &[Decision]) -> String {
    let remembered = decisions.iter().map(|decision| Remembered {
        at: decision.at.millis(),
        kind: KINDS.iter().find(|(kind, _)| *kind == decision.kind).map_or("", |(_, name)| name).to_owned(),
        caller: decision.caller.clone(),
        presented: decision.presented,
        current: decision.current,
        user_agent: decision.device.user_agent.clone(),
        ip_address: decision.device.ip_address.clone(),
        label: decision.device.label.clone(),
    });
    serde_json::to_string(&remembered.collect::<Vec<_>>()).expect("cannot fail: plain members are JSON")
}

/// A kind that this version does not know was written by a newer one: history that is left out, not a reason to know
/// nothing of the session.
fn decisions(text: &str) -> Option<Vec<Decision>> {
    let remembered: Vec<Remembered> = serde_json::from_str(text).ok()?;
    let decision = |one: Remembered| {
        Some(Decision {
            at: Timestamp::from_millis(one.at),
            kind: KINDS.iter().find(|(_, name)| *name == one.kind).map(|(kind, _)| *kind)?,
            caller: one.caller,
            presented: one.presented,
            current: one.current,
            device: Device { user_agent: one.user_agent, ip_address: one.ip_address, label: one.label },
        })
    };
    Some(remembered.into_iter().filter_map(decision).collect())
}
