//! From what the use cases answer to messages.

mod feed;
mod keys;

use std::sync::Arc;

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

use crate::pb::auth as pb;
use crate::service::Granted;
use crate::service::explain::Explanation;
use crate::service::introspect::Active;
use crate::service::sessions::Page;
use crate::session::{Claims, Decision, DecisionKind, Device, RevokeReason, Session, State};
use crate::time::Timestamp;

pub(super) use feed::event;
pub(super) use keys::{jwks, signing_key};

pub(super) fn granted(granted: Granted) -> (pb::TokenPair, pb::Session) {
    let Granted { access, refresh_token, session: held, at, verdict: _ } = granted;
    let tokens = pb::TokenPair {
        access_token: access.compact,
        token_type: "Bearer".to_owned(),
        access_token_expire_time: Some(time(Timestamp::from_seconds(access.life.exp))),
        refresh_token,
        refresh_token_expire_time: Some(time(held.ends_at())),
        refresh_after: Some(time(access.life.refresh_after())),
    };
    (tokens, session(held, at))
}

pub(super) fn session(session: Session, now: Timestamp) -> pb::Session {
    let state = session.state(now);
    let refreshed = session.chain.generation > 1;
    pb::Session {
        session_id: session.id.to_string(),
        subject: session.subject,
        client_id: session.client_id,
        audience: session.audience,
        scope: session.scope,
        claims: given_claims(session.claims),
        authentication: Some(pb::Authentication {
            auth_time: Some(time(session.authentication.auth_time)),
            acr: session.authentication.acr.unwrap_or_default(),
            amr: session.authentication.amr,
        }),
        device: device(session.device),
        generation: session.chain.generation.into(),
        create_time: Some(time(session.created_at)),
        last_refresh_time: refreshed.then(|| time(session.chain.rotated_at)),
        idle_expire_time: Some(time(session.chain.idle_expires_at)),
        expire_time: Some(time(session.expires_at)),
        revoke_time: session.revocation.as_ref().map(|revocation| time(revocation.at)),
        revoke_reason: session.revocation.map_or(pb::RevokeReason::Unspecified, |it| reason(it.reason)).into(),
        state: match state {
            State::Active => pb::SessionState::Active,
            State::Expired => pb::SessionState::Expired,
            State::Revoked => pb::SessionState::Revoked,
        }
        .into(),
        browser_session: session.browser_session,
    }
}

pub(super) fn page(page: Page, now: Timestamp) -> pb::ListSessionsResponse {
    pb::ListSessionsResponse {
        sessions: page.sessions.into_iter().map(|one| session(one, now)).collect(),
        next_page_token: page.next_page_token,
    }
}

pub(super) fn explanation(explanation: Explanation, now: Timestamp) -> pb::ExplainSessionResponse {
    pb::ExplainSessionResponse {
        session: Some(session(explanation.session, now)),
        summary: explanation.summary,
        decisions: explanation.decisions.into_iter().map(decision).collect(),
    }
}

fn decision(decision: Decision) -> pb::SessionDecision {
    let kind = match decision.kind {
        DecisionKind::Issued => pb::DecisionKind::Issued,
        DecisionKind::Recovered => pb::DecisionKind::Recovered,
        DecisionKind::ReuseDetected => pb::DecisionKind::ReuseDetected,
        DecisionKind::RolledBack => pb::DecisionKind::RolledBack,
        DecisionKind::Revoked => pb::DecisionKind::Revoked,
        DecisionKind::Updated => pb::DecisionKind::Updated,
    };
    pb::SessionDecision {
        time: Some(time(decision.at)),
        kind: kind.into(),
        caller: decision.caller,
        presented_generation: decision.presented.into(),
        current_generation: decision.current.into(),
        device: device(decision.device),
    }
}

/// The names of RFC 7662 section 2.2; what is not active says nothing else.
pub(super) fn introspected(active: Option<Active>, issuer: &str) -> pb::IntrospectTokenResponse {
    match active {
        None => pb::IntrospectTokenResponse::default(),
        Some(Active::Access(found)) => {
            let found = Arc::unwrap_or_clone(found);
            pb::IntrospectTokenResponse {
                active: true,
                scope: found.scope.unwrap_or_default(),
                client_id: found.client_id,
                token_type: "Bearer".to_owned(),
                exp: found.exp,
                iat: found.iat,
                sub: found.sub,
                aud: found.aud,
                iss: found.iss,
                jti: found.jti,
                sid: found.sid,
                acr: found.acr.unwrap_or_default(),
                amr: found.amr,
                auth_time: found.auth_time.unwrap_or_default(),
                claims: given_claims(found.extra),
            }
        }
        Some(Active::Refresh(found)) => pb::IntrospectTokenResponse {
            active: true,
            scope: found.scope.join(" "),
            exp: found.ends_at().seconds(),
            iat: found.chain.rotated_at.seconds(),
            sid: found.id.to_string(),
            client_id: found.client_id,
            token_type: "refresh_token".to_owned(),
            sub: found.subject,
            aud: found.audience,
            iss: issuer.to_owned(),
            jti: String::new(),
            acr: found.authentication.acr.unwrap_or_default(),
            amr: found.authentication.amr,
            auth_time: found.authentication.auth_time.seconds(),
            claims: given_claims(found.claims),
        },
    }
}

fn time(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.millis() % 1000).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp { seconds: at.seconds(), nanos }
}

fn device(device: Device) -> Option<pb::Device> {
    (device != Device::default()).then(|| pb::Device {
        user_agent: device.user_agent.unwrap_or_default(),
        ip_address: device.ip_address.unwrap_or_default(),
        label: device.label.unwrap_or_default(),
    })
}

fn reason(reason: RevokeReason) -> pb::RevokeReason {
    match reason {
        RevokeReason::SignedOut => pb::RevokeReason::SignedOut,
        RevokeReason::SignedOutElsewhere => pb::RevokeReason::SignedOutElsewhere,
        RevokeReason::CredentialsChanged => pb::RevokeReason::CredentialsChanged,
        RevokeReason::AccountDisabled => pb::RevokeReason::AccountDisabled,
        RevokeReason::Administrator => pb::RevokeReason::Administrator,
        RevokeReason::Superseded => pb::RevokeReason::Superseded,
        RevokeReason::ReuseDetected => pb::RevokeReason::ReuseDetected,
        RevokeReason::SessionLimit => pb::RevokeReason::SessionLimit,
        RevokeReason::RolledBack => pb::RevokeReason::RolledBack,
    }
}

fn given_claims(given: Claims) -> Option<Struct> {
    (!given.is_empty()).then(|| claims(given))
}

fn claims(claims: Claims) -> Struct {
    Struct { fields: claims.into_iter().map(|(name, member)| (name, value(member))).collect() }
}

fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(value).collect() }),
        Json::Object(members) => Kind::StructValue(claims(members)),
    };
    Value { kind: Some(kind) }
}
