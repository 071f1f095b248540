//! Times as gRPC says them and as JSON shows them.

use std::time::{Duration, UNIX_EPOCH};

use crate::time::Timestamp;

/// A time of a message; what is unset is 1970.
pub(super) fn at(time: Option<prost_types::Timestamp>) -> Timestamp {
    let time = time.unwrap_or_default();
    Timestamp::from_millis(time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000)))
}

/// As RFC 3339 has it: `2026-06-01T12:00:00Z`.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let since = Duration::from_secs(u64::try_from(time.seconds()).unwrap_or_default());
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// The hour it lies in.
pub(super) fn hour(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.seconds() / 3600 * 3600)
}
