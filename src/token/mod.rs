//! The two halves of a sign-in: the access token (a signed JWT, minutes) and the refresh token (opaque, days), and how
//! long each lives. Both are derived from a session and keys, so nothing secret has to be stored. It knows no database,
//! no network and no clock.

pub mod access;
mod eddsa;
pub mod lifetime;
pub mod refresh;
