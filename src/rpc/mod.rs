//! The gRPC transport: decode, call, encode. What a field may be stands in [`decode`], what an error becomes in
//! [`status`]; an `if` about business would be in the wrong room.

mod auth;
mod caller;
mod connection;
mod decode;
mod encode;
mod in_process;
mod server;
pub mod status;
mod violations;

pub use in_process::in_process;
pub use server::{Limits, Server, serve};
