//! What Symbolon promises, tried through the front door: a real server, a real database, and a clock that stands still
//! unless it is told to move. One file a behaviour.

#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

mod support;

mod architecture;
mod audit;
mod batches;
mod canary;
mod cancelled;
mod claims;
mod command_line;
mod conformance;
mod contention;
mod deadlines;
mod doubt;
mod dump;
mod edge_alone;
mod edge_check;
mod edge_cookies;
mod edge_csrf;
mod edge_faults;
mod edge_http;
mod edge_login;
mod edge_openapi;
mod edge_sessions;
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
mod two_replicas;
mod updates;
