//! The gRPC transport: decode, call, encode. What a field may be stands in [`decode`], what an error becomes in
//! [`status`]; an `if` about business would be in the wrong room.

mod auth;
mod call;
mod caller;
mod connection;
mod decode;
mod direct;
mod encode;
mod gate;
mod gathered;
mod handshake;
mod in_process;
mod keys;
pub mod methods;
mod observed;
mod peer;
mod server;
pub mod status;
mod violations;
mod watch;

pub use gate::Gate;
pub use in_process::{Judged, in_process};
pub use peer::Peer;
pub use server::{Limits, Server, serve};
