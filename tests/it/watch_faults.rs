//! The feed when the database is away, late, or not what it was: nothing that was told is taken back, nothing is guessed,
//! and whoever watches knows how old its knowledge is.

use std::time::Duration;

use symbolon::service::feed::watcher::Event;
use symbolon::service::feed::{Cursor, Entry, Watcher};
use symbolon::service::introspect::Active;
use symbolon::service::revoke::Target;
use symbolon::service::{Error, Granted};
use symbolon::session::{RevokeReason, SessionId, State};
use symbolon::store::Url;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::support::{Indoors, MASTER_KEY, Postgres, raw, subject};

/// A heartbeat comes at least so often.
const PERIOD: Duration = Duration::from_secs(15);

const TOKEN: Duration = Duration::from_secs(900);

/// The service on a file, with a clock that stands still and nobody who follows the database but the test.
struct Alone {
    indoors: Indoors,
    dir: TempDir,
}

impl Alone {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
        Self { indoors, dir }
    }

    async fn issue(&self) -> Granted {
        self.indoors.issue(subject("alice")).await.unwrap()
    }

    async fn revoke(&self, id: SessionId) {
        revoke(&self.indoors, id).await.unwrap();
    }

    /// Does to the database what another replica or an operator would.
    async fn execute(&self, sql: &str) {
        use sea_orm::ConnectionTrait;
        let raw = raw(&self.dir.path().join("symbolon.db")).await;
        raw.execute_unprepared(sql).await.unwrap();
        raw.close().await.unwrap();
    }

    /// A commit of another replica becomes visible now: the session ended this long ago.
    async fn ended_elsewhere(&self, id: SessionId, ago: Duration) {
        let at = self.indoors.service.now().before(ago).millis();
        let id = id.uuid().simple();
        let columns = format!("revoked_at = {at}, revoke_reason = 'administrator', revoked_by = 'other'");
        self.execute(&format!("UPDATE sessions SET {columns} WHERE id = X'{id}'")).await;
    }

    fn watch(&self, cursor: Option<Cursor>) -> Watcher {
        self.indoors.service.feed.watch(cursor, TOKEN).unwrap()
    }

    async fn follow(&self) {
        self.indoors.service.feed.follow().await.unwrap();
    }

    async fn read_again(&self) {
        self.indoors.service.feed.read_again(TOKEN).await.unwrap();
    }

    async fn is_active(&self, granted: &Granted) -> bool {
        is_active(&self.indoors, granted).await.unwrap()
    }
}

async fn revoke(indoors: &Indoors, id: SessionId) -> Result<bool, Error> {
    let now = indoors.service.now();
    indoors.service.revoke(&indoors.caller, Target::SessionId(id), None, RevokeReason::Administrator, now).await
}

/// What introspection says of its access token.
async fn is_active(indoors: &Indoors, granted: &Granted) -> Result<bool, Error> {
    let active = indoors.service.introspect(&indoors.caller, &granted.access.compact, indoors.service.now()).await?;
    Ok(matches!(active, Some(Active::Access(_))))
}

/// What a watcher is told until it is up to date, and the cursor it has then.
async fn caught_up(watcher: &mut Watcher) -> (Vec<SessionId>, Cursor) {
    let mut told = Vec::new();
    loop {
        match watcher.next().await.unwrap() {
            Event::Entries(entries, _) => told.extend(entries.iter().map(session_id)),
            Event::SnapshotEnd(_, cursor) | Event::Heartbeat(_, cursor) => return (told, cursor),
        }
    }
}

fn session_id(entry: &Entry) -> SessionId {
    match entry {
        Entry::Session(ended) => ended.id,
        Entry::Key(key) => panic!("{key:?}"),
    }
}

/// R-REV-02
#[tokio::test]
async fn a_heartbeat_comes_in_time_while_the_database_answers_and_only_then() {
    let alone = Alone::start().await;
    let mut watcher = alone.watch(None);
    let (_, first) = caught_up(&mut watcher).await;
    alone.indoors.clock.advance(Duration::from_secs(10));
    alone.follow().await;
    let event = timeout(PERIOD, watcher.next()).await.expect("no heartbeat in time").unwrap();
    let Event::Heartbeat(at, last) = event else { panic!("{event:?}") };
    assert_eq!(at, alone.indoors.service.now());
    assert_eq!(last.complete_to, first.complete_to.after(Duration::from_secs(10)), "it goes on");

    // Nobody has asked the database for longer than that: what is known may be old, and whoever comes back is not told
    // that it has missed nothing.
    alone.indoors.clock.advance(Duration::from_millis(15_001));
    let mut back = alone.watch(Some(last));
    let told = async |watcher: &mut Watcher| timeout(Duration::from_secs(12), watcher.next()).await;
    let (told, told_back) = tokio::join!(told(&mut watcher), told(&mut back));
    assert!(told.is_err() && told_back.is_err(), "a sign of life of a dead database: {told:?} {told_back:?}");
    alone.follow().await;
    let next = async |watcher: &mut Watcher| timeout(PERIOD, watcher.next()).await.expect("no heartbeat in time");
    let (told, told_back) = tokio::join!(next(&mut watcher), next(&mut back));
    for event in [told, told_back] {
        assert!(matches!(event, Ok(Event::Heartbeat(_, cursor)) if cursor.complete_to > last.complete_to));
    }
}

/// R-REV-02: a commit out of order.
#[tokio::test]
async fn what_becomes_visible_late_is_known_and_told_all_the_same() {
    let alone = Alone::start().await;
    let [granted, later] = [alone.issue().await, alone.issue().await];
    alone.indoors.clock.advance(Duration::from_secs(60));
    alone.follow().await;
    let mut watcher = alone.watch(None);
    caught_up(&mut watcher).await;
    alone.revoke(later.session.id).await;
    assert!(matches!(watcher.next().await.unwrap(), Event::Entries(_, Some(_))));
    alone.follow().await;
    alone.ended_elsewhere(granted.session.id, Duration::from_secs(10)).await;
    assert!(alone.is_active(&granted).await, "nobody can know it yet");
    alone.follow().await;
    let event = watcher.next().await.unwrap();
    assert!(matches!(&event, Event::Entries(told, Some(_)) if session_id(&told[0]) == granted.session.id), "{event:?}");
    assert!(!alone.is_active(&granted).await);
}

/// R-REV-02: a new primary shows what the old one never sent. It is found when everything is read again, and told even to
/// whoever was away at that moment and comes back with a cursor that is newer than it.
#[tokio::test]
async fn what_becomes_visible_far_too_late_is_missed_by_nobody_for_long() {
    let alone = Alone::start().await;
    let granted = alone.issue().await;
    alone.indoors.clock.advance(Duration::from_secs(300));
    alone.follow().await;
    let mut watcher = alone.watch(None);
    let (told, cursor) = caught_up(&mut watcher).await;
    assert_eq!(told, []);
    drop(watcher);
    alone.ended_elsewhere(granted.session.id, Duration::from_secs(120)).await;
    alone.follow().await;
    assert!(alone.is_active(&granted).await, "it is read by chance, and the test shows nothing");
    alone.read_again().await;
    assert!(!alone.is_active(&granted).await);
    let (told, _) = caught_up(&mut alone.watch(Some(cursor))).await;
    assert_eq!(told, [granted.session.id]);
}

/// R-REV-02: a fail-over to a standby that had not heard of it.
#[tokio::test]
async fn an_end_that_the_database_lost_is_ended_again_until_the_last_token_is_dead() {
    let alone = Alone::start().await;
    let granted = alone.issue().await;
    let id = granted.session.id;
    alone.revoke(id).await;
    alone.indoors.clock.advance(Duration::from_secs(70));
    alone.follow().await;
    let mut watcher = alone.watch(None);
    caught_up(&mut watcher).await;

    alone.execute("UPDATE sessions SET revoked_at = NULL, revoke_reason = NULL, revoked_by = NULL").await;
    assert!(!alone.is_active(&granted).await, "what is known is known");
    // Nobody notices for a moment, and in that moment it is refreshed.
    let revived = alone.indoors.refresh(&granted.refresh_token).await.unwrap();
    alone.read_again().await;
    let session = alone.indoors.session(id).await;
    assert_eq!(session.state(alone.indoors.service.now()), State::Revoked);
    assert_eq!(session.revocation.as_ref().map(|it| it.reason), Some(RevokeReason::Administrator));
    assert!(alone.indoors.refresh(&revived.refresh_token).await.is_err());
    assert!(!alone.is_active(&revived).await);
    let (told, _) = caught_up(&mut alone.watch(None)).await;
    assert_eq!(told, [id]);
    // Nothing is left to mend.
    alone.indoors.clock.advance(Duration::from_secs(60));
    alone.read_again().await;
    assert_eq!(alone.indoors.session(id).await, session);

    // To the last second of the token that was minted a minute ago.
    alone.indoors.clock.advance(Duration::from_secs(900 - 60 - 1));
    alone.follow().await;
    alone.indoors.service.feed.forget();
    assert!(!alone.is_active(&revived).await, "an access token of a revoked session came to life");
    let (told, _) = caught_up(&mut alone.watch(None)).await;
    assert_eq!(told, [id]);
}

/// R-REV-01: what was read a minute ago is no ground for a verdict.
#[tokio::test]
async fn introspection_asks_the_row_once_memory_is_too_old_and_guesses_nothing() {
    let mut postgres = Postgres::start();
    let url = Url::parse(&postgres.database().await).unwrap();
    let indoors = Indoors::on(&url, MASTER_KEY, &[]).await.unwrap();
    let mut granted = Vec::new();
    for _ in 0..3 {
        granted.push(indoors.issue(subject("alice")).await.unwrap());
    }
    let [live, ended, ended_elsewhere] = granted.try_into().unwrap_or_else(|_| unreachable!());
    revoke(&indoors, ended.session.id).await.unwrap();
    let other = Indoors::on(&url, MASTER_KEY, &[]).await.unwrap();
    revoke(&other, ended_elsewhere.session.id).await.unwrap();
    other.close().await;

    // Nobody follows the database here: what is in memory grows old.
    indoors.clock.advance(Duration::from_secs(60));
    assert!(is_active(&indoors, &ended_elsewhere).await.unwrap(), "it is not judged from memory");
    indoors.clock.advance(Duration::from_millis(1));
    assert!(!is_active(&indoors, &ended_elsewhere).await.unwrap());
    assert!(!is_active(&indoors, &ended).await.unwrap());
    assert!(is_active(&indoors, &live).await.unwrap());

    postgres.kill();
    for granted in [&live, &ended_elsewhere] {
        let refused = is_active(&indoors, granted).await.unwrap_err();
        assert!(matches!(refused, Error::StoreUnavailable(_)), "{refused}");
    }
    assert!(!is_active(&indoors, &ended).await.unwrap(), "what is known to be over is over");
    postgres.restart();
    let begun = Instant::now();
    while indoors.service.feed.follow().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not follow again");
    }
    assert!(is_active(&indoors, &live).await.unwrap());
    assert!(!is_active(&indoors, &ended_elsewhere).await.unwrap());
    indoors.close().await;
}
