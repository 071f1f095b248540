//! Several servers on one PostgreSQL have one feed: what ends at one of them is told at each, soon, and a cursor of one is
//! good at the others.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::watch_revocations_response::Event;
use symbolon::pb::auth::{IntrospectTokenRequest, IssueTokensResponse, RevokeSessionRequest, revoke_session_request};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{Dice, Postgres, Process, Watching, after, ids, reason, sign_in, soaking};

/// Three servers on a database of their own.
struct Replicas {
    servers: Vec<Process>,
    clients: Vec<AuthServiceClient<Channel>>,
    operator: DatabaseConnection,
    _dir: TempDir,
}

impl Replicas {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = Postgres::shared().database().await;
        let (mut servers, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let server = Process::replica(dir.path(), &url).await;
            clients.push(server.client().await);
            servers.push(server);
        }
        let operator = sea_orm::Database::connect(&url).await.unwrap();
        Self { servers, clients, operator, _dir: dir }
    }

    async fn issue(&self, turn: usize) -> IssueTokensResponse {
        self.clients[turn % 3].clone().issue_tokens(sign_in("alice")).await.unwrap().into_inner()
    }

    async fn session(&self, turn: usize) -> String {
        self.issue(turn).await.session.unwrap().session_id
    }

    async fn revoke(&self, turn: usize, id: &str) {
        let target = Some(revoke_session_request::Target::SessionId(id.to_owned()));
        let request = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
        assert!(self.clients[turn % 3].clone().revoke_session(request).await.unwrap().into_inner().revoked);
    }

    /// A commit that becomes visible now, and says that it is this old: no replica has seen it.
    async fn ended_late(&self, id: &str, ago: Duration) {
        let sql = format!(
            "UPDATE sessions SET revoke_reason = 'administrator', revoked_by = 'late', \
             revoked_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint - {} WHERE id = '{id}'",
            ago.as_millis()
        );
        self.operator.execute_unprepared(&sql).await.unwrap();
    }

    async fn is_active(&self, turn: usize, access_token: &str) -> bool {
        let request = IntrospectTokenRequest { token: access_token.to_owned() };
        self.clients[turn % 3].clone().introspect_token(request).await.unwrap().into_inner().active
    }
}

/// R-REV-02: a commit out of order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_ten_seconds_late_is_told_by_every_replica() {
    let replicas = Replicas::start().await;
    let late = replicas.issue(0).await;
    let (tokens, id) = (late.tokens.unwrap(), late.session.unwrap().session_id);
    let early = replicas.session(1).await;
    let mut watches = Vec::new();
    for server in &replicas.servers {
        let mut watching = server.watching("").await;
        watching.caught_up().await;
        watches.push(watching);
    }
    // What happened after it is told before it.
    replicas.revoke(2, &early).await;
    for watching in &mut watches {
        watching.soon(&[&early]).await;
    }
    replicas.ended_late(&id, Duration::from_secs(10)).await;
    for (turn, watching) in watches.iter_mut().enumerate() {
        let told = watching.soon(&[&id]).await;
        let told = told.iter().find(|told| told.session_id == id).unwrap();
        let (revoked, expires) = (told.revoke_time.unwrap(), told.expire_time.unwrap());
        assert_eq!((expires.seconds - revoked.seconds, expires.nanos), (960, revoked.nanos));
        assert!(!replicas.is_active(turn, &tokens.access_token).await);
    }
}

/// R-REV-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_one_replica_is_good_at_every_other_and_none_is_at_another_database() {
    let replicas = Replicas::start().await;
    let before = replicas.session(0).await;
    replicas.revoke(0, &before).await;
    for turn in 0..6 {
        let mut watching = replicas.servers[turn % 3].watching("").await;
        watching.caught_up().await;
        let cursor = watching.cursor.clone();
        drop(watching);
        let meanwhile = replicas.session(turn).await;
        replicas.revoke(turn + 2, &meanwhile).await;
        let begun = Instant::now();
        let mut other = replicas.servers[(turn + 1) % 3].watching(&cursor).await;
        let told = other.caught_up().await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        // It may have come just before the other replica heard of it.
        if !ids(&told).contains(meanwhile.as_str()) {
            other.soon(&[&meanwhile]).await;
        }
    }
    let mut watching = replicas.servers[0].watching("").await;
    watching.caught_up().await;
    let elsewhere = Process::dev(tempfile::tempdir().unwrap().path(), &[]).await;
    let refused = elsewhere.client().await.watch_revocations(after(&watching.cursor)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "CURSOR_EXPIRED"));
}

/// What somebody was told who is cut off again and again and comes back at any replica.
async fn watch_with_cuts(replicas: &Replicas, seed: u64, over: &AtomicBool, cuts: &AtomicUsize) -> Watched {
    let dice = Dice::seeded(seed);
    let mut watched = Watched::default();
    while !over.load(Ordering::Relaxed) {
        let server = usize::try_from(dice.below(3)).unwrap();
        let request = after(&watched.cursor);
        let mut watching = Watching::of(replicas.clients[server].clone().watch_revocations(request).await);
        // Within a snapshot, in the midst of what it missed, or later.
        let leave = Instant::now() + Duration::from_millis(dice.below(if dice.below(2) == 0 { 20 } else { 1500 }));
        while let Ok(event) = tokio::time::timeout_at(leave, watching.event()).await {
            watched.hear(event.unwrap());
        }
        cuts.fetch_add(1, Ordering::Relaxed);
    }
    watched
}

#[derive(Default)]
struct Watched {
    told: BTreeSet<String>,
    cursor: String,
}

impl Watched {
    fn hear(&mut self, (event, cursor): (Event, String)) {
        if let Event::Revocations(some) = event {
            self.told.extend(some.sessions.into_iter().map(|session| session.session_id));
        }
        if !cursor.is_empty() {
            self.cursor = cursor;
        }
    }
}

/// R-REV-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_whoever_is_cut_off_at_random_and_comes_back_anywhere() {
    const WATCHERS: u64 = 6;
    let replicas = Replicas::start().await;
    let (over, cuts, ended) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let until = Instant::now() + Duration::from_secs(if soaking() { 300 } else { 10 });
    let revoke = async |turn: usize| {
        let dice = Dice::seeded(100 + turn as u64);
        while Instant::now() < until {
            let id = replicas.session(turn).await;
            // One in four becomes visible late.
            if dice.below(4) == 0 {
                replicas.ended_late(&id, Duration::from_millis(dice.below(10_000))).await;
            } else {
                replicas.revoke(usize::try_from(dice.below(3)).unwrap(), &id).await;
            }
            ended.lock().unwrap().insert(id);
            sleep(Duration::from_millis(dice.below(30))).await;
        }
    };
    let revoke_all = async {
        join_all((0..3).map(revoke)).await;
        over.store(true, Ordering::Relaxed);
    };
    let watchers = join_all((0..WATCHERS).map(|seed| watch_with_cuts(&replicas, seed, &over, &cuts)));
    let (watchers, ()) = tokio::join!(watchers, revoke_all);

    let ended = ended.into_inner().unwrap();
    for (turn, mut watched) in watchers.into_iter().enumerate() {
        let mut watching = replicas.servers[turn % 3].watching(&watched.cursor).await;
        let all = timeout(Duration::from_secs(3), async {
            while !watched.told.is_superset(&ended) {
                watched.hear(watching.event().await.unwrap());
            }
        });
        if all.await.is_err() {
            let lost: Vec<_> = ended.difference(&watched.told).collect();
            panic!("watcher {turn} was never told of {} of {}: {lost:?}", lost.len(), ended.len());
        }
    }
    let cuts = cuts.into_inner();
    println!("{} ended, {WATCHERS} watchers cut off {cuts} times, nothing lost", ended.len());
    assert!(ended.len() > 100 && cuts > 50, "{} ended, {cuts} cuts: that shows nothing", ended.len());
}

/// R-REV-03
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watcher_at_every_replica_is_told_within_a_second() {
    let count = if soaking() { 10_000 } else { 500 };
    let replicas = Replicas::start().await;
    let mut sessions = Vec::new();
    for turn in 0..count {
        sessions.push(replicas.session(turn).await);
    }
    let begun = Instant::now();
    let watch = async |server: &Process| {
        let mut watching = server.watching("").await;
        let mut told = Vec::with_capacity(count);
        while told.len() < count {
            if let Event::Revocations(some) = watching.event().await.unwrap().0 {
                let now = begun.elapsed();
                told.extend(some.sessions.into_iter().map(|session| (session.session_id, now)));
            }
        }
        told.sort();
        told
    };
    let revoke = async {
        // Watchers begin.
        sleep(Duration::from_millis(200)).await;
        let mut returned = Vec::with_capacity(count);
        for (turn, id) in sessions.into_iter().enumerate() {
            replicas.revoke(turn, &id).await;
            returned.push((id, begun.elapsed()));
        }
        returned.sort();
        returned
    };
    let (told, returned) = tokio::join!(join_all(replicas.servers.iter().map(watch)), revoke);
    let mut waited = Vec::new();
    for told in told {
        for ((id, at), (revoked, returned)) in told.iter().zip(&returned) {
            assert_eq!(id, revoked);
            waited.push(at.saturating_sub(*returned));
        }
    }
    waited.sort();
    let percentile = |percent: usize| waited[(waited.len() - 1) * percent / 100];
    println!(
        "{count} revocations, 3 replicas: p50 {:?}, p90 {:?}, p99 {:?}, slowest {:?}",
        percentile(50),
        percentile(90),
        percentile(99),
        percentile(100)
    );
    assert!(percentile(99) <= Duration::from_secs(1), "{:?}", percentile(99));
}
