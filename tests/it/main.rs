//! What Symbolon promises, tried through the front door: a real server, a real database, and a clock that stands still
//! unless it is told to move. One file a behaviour.

#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod support;

mod canary;
mod cancelled;
mod command_line;
mod conformance;
mod contention;
mod dump;
mod faults;
mod forged_load;
mod interop;
mod keys;
mod killed;
mod refresh;
mod startup;
