//! What Symbolon promises, tried through the front door: a real server, a real database, and a clock that stands still
//! unless it is told to move. One file a behaviour.

#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod support;

mod architecture;
mod audit;
mod batches;
mod canary;
mod cancelled;
mod command_line;
mod conformance;
mod contention;
mod deadlines;
mod doubt;
mod dump;
mod errors;
mod faults;
mod forged_load;
mod frozen;
mod health;
mod interop;
mod keys;
mod killed;
mod killed_postgres;
mod limits;
mod migrating;
mod proto;
mod readme;
mod reflection;
mod refresh;
mod refused_databases;
mod replicas;
mod secrets;
mod startup;
