//! `Claims` as an argument of an axum handler: what a layer of the verifier put into the request.

use crate::{Claims, Refusal};
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use std::convert::Infallible;

/// Refuses like a layer where there are none: where the token was optional, or the layer was forgotten.
impl<S: Send + Sync> FromRequestParts<S> for Claims {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::Missing)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Claims {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
