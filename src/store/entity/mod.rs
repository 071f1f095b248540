//! The tables as sea-orm sees them. Private to the store: outside of it there are sessions and keys, not rows.

pub(super) mod issue_request;
pub(super) mod issuer;
pub(super) mod master_key;
pub(super) mod session;
pub(super) mod signing_key;
