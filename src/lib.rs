//! Symbolon issues the two halves of a sign-in: a short-lived access token and a rotating refresh token.
//!
//! The house, in reading order. Requests go down (`rpc` → `service` → `store`), answers come up, and an error is
//! translated once a floor. ARCHITECTURE.md has the map.

// The pure rooms: what tokens, keys and sessions are. No I/O, no clock.
pub mod keys;
pub mod session;
pub mod time;
pub mod token;

// The ambient world.
pub mod clock;
pub mod entropy;

// The contract, and the transports: gRPC, and HTTP with cookies in front of it.
pub mod edge;
pub mod pb;
pub mod rpc;
pub mod tls;

// What is done, where it is kept, what is told of it.
pub mod audit;
pub mod service;
pub mod store;
pub mod trace;
pub mod verified;

// The operator's side, and the composition root that nothing looks at.
pub mod cli;
pub mod config;
pub mod figures;
pub mod ops;
pub mod process;
pub mod telemetry;
