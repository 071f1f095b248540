//! Signing keys as messages.

use super::time;
use crate::keys::Ring;
use crate::keys::ring::KeyState;
use crate::keys::signing_key::Jwk;
use crate::pb::auth as pb;
use crate::service::keys::KeyView;

pub(in crate::rpc) fn jwks(ring: &Ring, issuer: &str) -> pb::GetJwksResponse {
    let max_age = i64::try_from(ring.jwks_max_age().as_secs()).unwrap_or(i64::MAX);
    pb::GetJwksResponse {
        keys: ring.jwks().map(jwk).collect(),
        max_age: Some(prost_types::Duration { seconds: max_age, nanos: 0 }),
        issuer: issuer.to_owned(),
    }
}

pub(in crate::rpc) fn signing_key(view: KeyView) -> pb::SigningKey {
    let KeyView { key, schedule } = view;
    let state = match key.state {
        KeyState::Pending => pb::SigningKeyState::Pending,
        KeyState::Active => pb::SigningKeyState::Active,
        KeyState::Retiring => pb::SigningKeyState::Retiring,
        KeyState::Gone => pb::SigningKeyState::Gone,
        KeyState::Compromised => pb::SigningKeyState::Compromised,
    };
    pb::SigningKey {
        key_id: key.public.key_id().to_owned(),
        algorithm: pb::Algorithm::Eddsa.into(),
        state: state.into(),
        create_time: Some(time(key.created_at)),
        activate_time: schedule.activates_at.map(time),
        retire_time: schedule.retires_at.map(time),
        expire_time: schedule.leaves_at.map(time),
        jwk: Some(jwk(key.public.jwk())),
    }
}

fn jwk(key: Jwk) -> pb::Jwk {
    pb::Jwk {
        kty: key.kty.to_owned(),
        kid: key.kid,
        r#use: key.usage.to_owned(),
        alg: key.alg.to_owned(),
        crv: key.crv.to_owned(),
        x: key.x,
        y: String::new(),
    }
}
