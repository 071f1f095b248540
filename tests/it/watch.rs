//! `WatchRevocations` at one server: what is over is told, then what ends, as it happens; and whoever comes back with
//! a cursor is told what it missed.

use std::time::Duration;

use symbolon::clock::Clock;
use symbolon::pb::auth as pb;
use symbolon::pb::auth::watch_revocations_response::Event;
use symbolon::service::feed::Cursor;
use symbolon::time::Timestamp;
use tokio::time::Instant;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::{BEGINNING, Dice, Server, Watching, after, bad_fields, ids, reason, seconds, sign_in};

/// How long an end is told of: as long as an access token lives, and a minute.
const TOLD: u64 = 900 + 60;

async fn sign_in_as(server: &Server, subject: &str) -> String {
    server.issue(subject).await.session.unwrap().session_id
}

/// Signs somebody in and ends that session.
async fn revoked(server: &Server, subject: &str) -> String {
    let id = sign_in_as(server, subject).await;
    assert!(server.revoke(&id).await);
    id
}

/// Waits until the database was asked at this moment of the clock: that happens four times a second.
async fn followed() {
    tokio::time::sleep(Duration::from_millis(600)).await;
}

/// How far a cursor says that its reader has read.
fn complete_to(cursor: &str) -> Timestamp {
    Cursor::read(cursor).unwrap().complete_to
}

#[expect(clippy::unnecessary_wraps, reason = "that is what such a field takes")]
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// R-REV-02
#[tokio::test]
async fn a_snapshot_has_what_is_over_and_says_when_it_is_complete() {
    let server = Server::start().await;
    let first = revoked(&server, "alice").await;
    server.pass(10);
    let short = pb::IssueTokensRequest { access_token_ttl: seconds(60), ..sign_in("bob") };
    let second = server.issue_tokens(short).await.unwrap().session.unwrap().session_id;
    assert!(server.revoke(&second).await);
    sign_in_as(&server, "alice").await;

    let mut watching = server.watching("").await;
    let (event, cursor) = watching.event().await.unwrap();
    let Event::Revocations(mut told) = event else { panic!("{event:?}") };
    assert_eq!((cursor.as_str(), told.keys.len()), ("", 0), "a snapshot cannot be resumed half-way");
    told.sessions.sort_by_key(|session| session.revoke_time.map(|at| at.seconds));
    let entry = |session_id: &str, revoked_at: i64, token: i64| pb::RevokedSession {
        session_id: session_id.to_owned(),
        revoke_time: at(revoked_at),
        expire_time: at(revoked_at + token + 60),
    };
    assert_eq!(told.sessions, [entry(&first, BEGINNING, 900), entry(&second, BEGINNING + 10, 60)]);
    let (event, cursor) = watching.event().await.unwrap();
    assert_eq!(event, Event::SnapshotEnd(pb::SnapshotEnd { session_count: 2 }));
    assert!(Cursor::read(&cursor).is_some(), "{cursor}");
}

/// R-REV-02
#[tokio::test]
async fn an_empty_snapshot_ends_at_once() {
    let server = Server::start().await;
    let (event, cursor) = server.watching("").await.event().await.unwrap();
    assert_eq!(event, Event::SnapshotEnd(pb::SnapshotEnd { session_count: 0 }));
    assert!(Cursor::read(&cursor).is_some(), "{cursor}");
}

/// R-REV-02: a snapshot of many events is one snapshot.
#[tokio::test]
async fn a_snapshot_of_thousands_is_told_in_portions_and_counted_as_one() {
    let server = Server::start().await;
    sign_in_as(&server, "alice").await;
    server.watch().await.copy_session(2499).await;
    let mut early = server.watching("").await;
    assert!(early.caught_up().await.is_empty());
    let everybody = pb::RevokeSubjectSessionsRequest { subject: "alice".to_owned(), ..Default::default() };
    assert_eq!(server.revoke_subject(everybody).await.unwrap(), 2500);

    let mut watching = server.watching("").await;
    let (mut portions, mut told) = (0, Vec::new());
    let count = loop {
        match watching.event().await.unwrap() {
            (Event::Revocations(some), cursor) => {
                assert!(cursor.is_empty() && some.sessions.len() <= 1000, "{}", some.sessions.len());
                portions += 1;
                told.extend(some.sessions);
            }
            (Event::SnapshotEnd(end), _) => break end.session_count,
            (event @ Event::Heartbeat(_), _) => panic!("{event:?}"),
        }
    };
    assert_eq!((portions, count, told.len(), ids(&told).len()), (3, 2500, 2500, 2500));
    // Whoever was there before is told the same, each once.
    let told_before = early.soon(&ids(&told).into_iter().collect::<Vec<_>>()).await;
    assert_eq!((told_before.len(), ids(&told_before)), (2500, ids(&told)));
}

/// R-REV-02: revoked, of a subject, ended by reuse; not what merely expired.
#[tokio::test]
async fn what_ends_is_told_within_a_second_and_what_expires_is_not() {
    let server = Server::start().await;
    let mut watching = server.watching("").await;
    assert!(watching.caught_up().await.is_empty());
    let expired = pb::IssueTokensRequest { session_ttl: seconds(60), ..sign_in("carol") };
    server.issue_tokens(expired).await.unwrap();
    let one = sign_in_as(&server, "alice").await;
    let of_bob = [sign_in_as(&server, "bob").await, sign_in_as(&server, "bob").await];
    let reused = server.issue("dave").await;
    let first = reused.tokens.unwrap().refresh_token;
    let second = server.rotate(&first).await;
    server.rotate(&second).await;
    server.pass(120);

    let mut told = Vec::new();
    let mut last = watching.cursor.clone();
    let mut soon = async |expected: &[&str]| {
        let begun = Instant::now();
        let (event, cursor) = watching.event().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        let Event::Revocations(some) = event else { panic!("{event:?}") };
        assert_eq!(ids(&some.sessions), expected.iter().copied().collect());
        assert!(complete_to(&cursor) >= complete_to(&last), "a cursor goes on");
        last = cursor;
        told.extend(some.sessions);
    };
    assert!(server.revoke(&one).await);
    soon(&[&one]).await;
    let all_of_bob = pb::RevokeSubjectSessionsRequest { subject: "bob".to_owned(), ..Default::default() };
    assert_eq!(server.revoke_subject(all_of_bob).await.unwrap(), 2);
    soon(&[&of_bob[0], &of_bob[1]]).await;
    assert_eq!(reason(&server.refresh(&first).await.unwrap_err()), "REFRESH_TOKEN_REUSED");
    soon(&[&reused.session.unwrap().session_id]).await;
    // What is over already ends no second time.
    assert!(!server.revoke(&one).await);
    let next = revoked(&server, "erin").await;
    soon(&[&next]).await;
    for session in told {
        assert_eq!((session.revoke_time, session.expire_time), (at(BEGINNING + 120), at(BEGINNING + 120 + 960)));
    }
}

/// R-REV-02
#[tokio::test]
async fn an_end_is_told_until_its_last_token_is_dead() {
    let server = Server::start().await;
    let id = revoked(&server, "alice").await;
    server.pass(TOLD - 1);
    followed().await;
    assert_eq!(ids(&server.watching("").await.caught_up().await), [id.as_str()].into());
    server.pass(1);
    let forgotten = async {
        while !server.watching("").await.caught_up().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), forgotten).await.expect("it is told for ever");
}

/// R-REV-02
#[tokio::test]
async fn whoever_comes_back_is_told_what_it_missed_and_at_once_that_this_is_all() {
    let server = Server::start().await;
    let before = revoked(&server, "alice").await;
    let mut watching = server.watching("").await;
    watching.caught_up().await;
    let cursor = watching.cursor.clone();
    drop(watching);
    server.pass(300);
    followed().await;
    let meanwhile = [revoked(&server, "alice").await, revoked(&server, "bob").await];

    let begun = Instant::now();
    let mut watching = server.watching(&cursor).await;
    let (event, first) = watching.event().await.unwrap();
    let Event::Revocations(told) = event else { panic!("{event:?}") };
    assert!(ids(&told.sessions).is_superset(&meanwhile.iter().map(String::as_str).collect()));
    assert_eq!(first, cursor, "until it has caught up, it has not");
    let (event, cursor) = watching.event().await.unwrap();
    assert_eq!(event, Event::Heartbeat(pb::Heartbeat { server_time: at(BEGINNING + 300) }));
    assert_eq!(complete_to(&cursor), Timestamp::from_seconds(BEGINNING + 300 - 20));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    // What follows is told once.
    let next = revoked(&server, "alice").await;
    let told = watching.soon(&[&next]).await;
    assert_eq!(ids(&told), [next.as_str()].into());
    // Whoever has read all of it is spared what is long known.
    followed().await;
    let mut watching = server.watching("").await;
    assert!(ids(&watching.caught_up().await).contains(before.as_str()));
    let told = server.watching(&watching.cursor).await.caught_up().await;
    assert!(!ids(&told).contains(before.as_str()), "{told:?}");
}

/// Fails unless a watch from this cursor on is refused.
async fn assert_expired(server: &Server, cursor: Cursor, why: &str) {
    let refused = server.client().watch_revocations(after(&cursor.write())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"), "{why}");
}

/// R-REV-02
#[tokio::test]
async fn a_cursor_of_another_database_of_the_future_or_too_old_is_out_of_range() {
    let server = Server::start().await;
    server.issue("alice").await;
    server.pass(2000);
    followed().await;
    let mut watching = server.watching("").await;
    watching.caught_up().await;
    let own = Cursor::read(&watching.cursor).unwrap();
    let now = server.clock.now();
    let until = |complete_to| Cursor { complete_to, ..own };
    let ms = Duration::from_millis(1);
    let oldest = now.before(Duration::from_secs(TOLD));
    for (complete_to, why) in [(oldest, "the oldest"), (now, "this moment"), (own.complete_to, "its own")] {
        Watching::of(server.client().watch_revocations(after(&until(complete_to).write())).await).caught_up().await;
        assert_expired(&server, Cursor { epoch: Uuid::from_u128(7), complete_to }, why).await;
    }
    assert_expired(&server, until(oldest.before(ms)), "too old").await;
    assert_expired(&server, until(now.after(ms)), "of the future").await;
    for millis in [0, -1, i64::MIN, i64::MAX] {
        assert_expired(&server, until(Timestamp::from_millis(millis)), "absurd").await;
    }
    // A clock set back makes every cursor one of the future.
    server.clock.set(Timestamp::from_seconds(BEGINNING));
    assert_expired(&server, own, "a clock set back").await;
}

fn assert_no_cursor(refused: &Status, what: &str) {
    assert_eq!((refused.code(), reason(refused).as_str()), (Code::InvalidArgument, "FIELD_INVALID"), "{what:.99}");
    assert_eq!(bad_fields(refused), ["cursor"], "{what:.99}");
}

/// R-REV-02
#[tokio::test]
async fn what_is_no_cursor_is_refused_as_such() {
    let server = Server::start().await;
    let mut watching = server.watching("").await;
    watching.caught_up().await;
    let good = watching.cursor.clone();
    let watch = async |cursor: &str| server.client().watch_revocations(after(cursor)).await.map(drop);
    let mut garbage: Vec<String> = ["x", " ", "\0", "ü", "null", "{}", "../../etc/passwd", "' OR 1=1", "sr1_x"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    garbage.extend((1..good.len()).map(|length| good[..length].to_owned()));
    garbage.extend(["=", "A", "\n", " ", "AAAA"].map(|more| format!("{good}{more}")));
    garbage.extend([format!(" {good}"), "+".repeat(32), "/".repeat(32), "A".repeat(60_000), "é".repeat(16)]);
    for text in garbage {
        assert_no_cursor(&watch(&text).await.unwrap_err(), &text);
    }
    // Whatever it is, it is refused in one of two ways, and the next caller is served.
    let dice = Dice::seeded(3);
    let alphabet = b"ABCabc012-_+/= .\n\x7f";
    for _ in 0..500 {
        let length = [31, 32, 33][usize::try_from(dice.below(3)).unwrap()];
        let letter = |_| char::from(alphabet[usize::try_from(dice.below(alphabet.len() as u64)).unwrap()]);
        let text: String = (0..length).map(letter).collect();
        let refused = watch(&text).await.unwrap_err();
        if refused.code() == Code::OutOfRange {
            assert!(Cursor::read(&text).is_some(), "{text}");
        } else {
            assert_no_cursor(&refused, &text);
        }
    }
    watch(&good).await.unwrap();
}
