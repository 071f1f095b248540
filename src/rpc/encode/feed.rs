//! The revocation feed as messages.

use super::time;
use crate::pb::auth as pb;
use crate::pb::auth::watch_revocations_response::Event as Kind;
use crate::service::feed::watcher::Event;
use crate::service::feed::{Cursor, Entry, RevokedKey};
use crate::session::Ended;

pub(in crate::rpc) fn event(event: Event) -> pb::WatchRevocationsResponse {
    let (kind, cursor) = match event {
        Event::Entries(entries, cursor) => (Kind::Revocations(revocations(entries)), cursor),
        Event::SnapshotEnd(sessions, cursor) => {
            let session_count = i32::try_from(sessions).unwrap_or(i32::MAX);
            (Kind::SnapshotEnd(pb::SnapshotEnd { session_count }), Some(cursor))
        }
        Event::Heartbeat(at, cursor) => (Kind::Heartbeat(pb::Heartbeat { server_time: Some(time(at)) }), Some(cursor)),
    };
    let cursor = cursor.as_ref().map(Cursor::write).unwrap_or_default();
    pb::WatchRevocationsResponse { event: Some(kind), cursor }
}

fn revocations(entries: Vec<Entry>) -> pb::Revocations {
    let mut revocations = pb::Revocations::default();
    for entry in entries {
        match entry {
            Entry::Session(ended) => revocations.sessions.push(session(&ended)),
            Entry::Key(RevokedKey { key_id, forgotten_at }) => {
                revocations.keys.push(pb::RevokedKey { key_id, expire_time: Some(time(forgotten_at)) });
            }
        }
    }
    revocations
}

fn session(ended: &Ended) -> pb::RevokedSession {
    pb::RevokedSession {
        session_id: ended.id.to_string(),
        revoke_time: Some(time(ended.revocation.at)),
        expire_time: Some(time(ended.forgotten_at())),
    }
}
