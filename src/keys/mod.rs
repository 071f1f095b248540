//! Keys: the master keys from outside the database, what is sealed under them, and the ring of signing keys. It knows
//! no database, no network and no clock.

pub(crate) mod engine;
pub mod master;
pub mod plan;
pub mod ring;
pub mod seal;
pub mod signing_key;

pub use master::MasterKeys;
pub use ring::Ring;
pub use signing_key::SigningKey;
