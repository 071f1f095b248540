//! What Symbolon promises, tried through the front door: a real server, a real database, and a clock that stands still
//! unless it is told to move. One file a behaviour.

#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod support;

mod architecture;
mod audit;
mod batches;
mod caller_new;
mod callers;
mod canary;
mod cancelled;
mod claims;
mod command_line;
mod command_line_tls;
mod conformance;
mod contention;
mod deadlines;
mod doubt;
mod dump;
mod errors;
mod explained;
mod faults;
mod fields;
mod forged;
mod forged_load;
mod frozen;
mod health;
mod interop;
mod introspect;
mod issue;
mod keys;
mod killed;
mod killed_postgres;
mod lifetimes;
mod limits;
mod mangled;
mod migrating;
mod narrowing;
mod proto;
mod rate_limits;
mod readme;
mod reflection;
mod refresh;
mod refused_databases;
mod replicas;
mod request_ids;
mod revoke;
mod rolled_back;
mod secrets;
mod seed;
mod sessions;
mod startup;
mod subjects;
mod tls;
mod tls_files;
mod two_replicas;
mod updates;
