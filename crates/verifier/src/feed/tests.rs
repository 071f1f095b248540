use super::{FIRST_WAIT, LAST_WAIT, jittered};
use crate::forge::{AUDIENCE, ISSUER, NOW, honest, jwks};
use crate::grpc::fake::{Call, Calls, Event, Fake, fake};
use crate::grpc::pb;
use crate::grpc::pb::watch_revocations_response as feed;
use crate::{Issuer, Refusal, Verifier, WhenStale};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};
use tonic::Status;

/// The session of the forge's token.
const SID: &str = "0190b6d2";

#[expect(clippy::unnecessary_wraps, reason = "as it is sent")]
fn event(event: feed::Event, cursor: &str) -> Event {
    Ok(pb::WatchRevocationsResponse { event: Some(event), cursor: cursor.to_owned() })
}

fn heartbeat(cursor: &str) -> Event {
    event(feed::Event::Heartbeat(pb::Heartbeat::default()), cursor)
}

fn snapshot_end(cursor: &str) -> Event {
    event(feed::Event::SnapshotEnd(pb::SnapshotEnd::default()), cursor)
}

#[expect(clippy::unnecessary_wraps, reason = "as it is in a message")]
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn session(sid: &str, until: i64, cursor: &str) -> Event {
    let session = pb::RevokedSession { session_id: sid.to_owned(), revoke_time: at(NOW), expire_time: at(until) };
    event(feed::Event::Revocations(pb::Revocations { sessions: vec![session], keys: Vec::new() }), cursor)
}

fn key(kid: &str, until: i64, cursor: &str) -> Event {
    let key = pb::RevokedKey { key_id: kid.to_owned(), expire_time: at(until) };
    event(feed::Event::Revocations(pb::Revocations { sessions: Vec::new(), keys: vec![key] }), cursor)
}

fn watching(when_stale: WhenStale, fakes: impl IntoIterator<Item = Fake>) -> Verifier {
    watching_at(when_stale, fakes, || NOW)
}

fn watching_at(
    when_stale: WhenStale,
    fakes: impl IntoIterator<Item = Fake>,
    clock: impl Fn() -> i64 + Send + Sync + 'static,
) -> Verifier {
    let issuer = Issuer::new(ISSUER).keys(jwks()).revocations(when_stale);
    let issuer = fakes.into_iter().fold(issuer, Issuer::endpoint);
    Verifier::new(issuer, AUDIENCE).clock(clock).build().unwrap()
}

async fn outcome(verifier: &Verifier) -> Result<(), Refusal> {
    verifier.verify(&honest()).await.map(drop)
}

/// A verifier that has heard everything, and the stream it goes on to read.
async fn caught_up(when_stale: WhenStale) -> (Verifier, Calls, UnboundedSender<Event>) {
    let (fake, mut calls) = fake();
    let verifier = watching(when_stale, [fake]);
    let (cursor, events) = calls.watch().await;
    assert_eq!(cursor, "", "it begins with a snapshot");
    events.send(snapshot_end("1")).unwrap();
    verifier.ready().await;
    (verifier, calls, events)
}

/// Lets what was sent arrive.
async fn soon() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_revoked_session_is_refused_from_the_moment_it_is_heard_of() {
    let (verifier, _calls, events) = caught_up(WhenStale::Closed).await;
    assert_eq!(outcome(&verifier).await, Ok(()));
    events.send(session("another", NOW + 900, "2")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Ok(()));
    events.send(session(SID, NOW + 900, "3")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_key_out_of_use_is_refused_though_it_is_still_published() {
    let (verifier, _calls, events) = caught_up(WhenStale::Open).await;
    events.send(key("2026-01", NOW + 900, "2")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Revoked));
}

#[tokio::test(start_paused = true)]
async fn half_a_snapshot_is_not_everything() {
    let (fake, mut calls) = fake();
    let verifier = watching(WhenStale::Closed, [fake]);
    let (_, events) = calls.watch().await;
    events.send(session("another", NOW + 900, "")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Undecided));
    assert!(!verifier.is_ready());
    // Cut in the middle: again from the beginning.
    events.send(Err(Status::unavailable("stopping"))).unwrap();
    let (cursor, events) = calls.watch().await;
    assert_eq!(cursor, "");
    events.send(snapshot_end("1")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Ok(()));
    assert!(verifier.is_ready());
}

#[tokio::test(start_paused = true)]
async fn each_policy_does_with_a_stale_feed_what_it_says() {
    for (policy, expected) in [(WhenStale::Open, Ok(())), (WhenStale::Closed, Err(Refusal::Undecided))] {
        let (verifier, _calls, events) = caught_up(policy).await;
        sleep(Duration::from_secs(40)).await;
        assert_eq!(outcome(&verifier).await, Ok(()), "two heartbeats may be lost");
        events.send(heartbeat("2")).unwrap();
        sleep(Duration::from_secs(40)).await;
        assert_eq!(outcome(&verifier).await, Ok(()), "a heartbeat is a sign of life");
        sleep(Duration::from_secs(21)).await;
        assert_eq!(outcome(&verifier).await, expected);
        assert_eq!(verifier.verify("undefined").await, Err(crate::Rejection::Structure.into()), "still 401");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_to_be_revoked_is_refused_however_stale_the_rest_is() {
    let (verifier, _calls, events) = caught_up(WhenStale::Open).await;
    events.send(session(SID, NOW + 900, "2")).unwrap();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_stale_verifier_asks_about_tokens_that_hold_and_about_no_others() {
    let (fake, mut calls) = fake();
    let verifier = watching(WhenStale::Ask, [fake]);
    let (_, _events) = calls.watch().await;
    assert!(verifier.verify("undefined").await.is_err());
    soon().await;
    assert!(calls.is_idle(), "a forgery was asked about");
    let said = [
        (Ok(true), Ok(())),
        (Ok(false), Err(Refusal::Revoked)),
        (Err(Status::unavailable("no database")), Err(Refusal::Undecided)),
        (Err(Status::permission_denied("not yours")), Err(Refusal::Undecided)),
    ];
    for (answer, expected) in said {
        let answering = async {
            let Call::Introspect { token, answer: asked } = calls.next().await else { panic!("not what was asked") };
            assert_eq!(token, honest());
            asked.send(answer).unwrap();
        };
        assert_eq!(tokio::join!(outcome(&verifier), answering).0, expected);
    }
    // Nobody answers at all.
    let began = Instant::now();
    let (outcome, _unanswered) = tokio::join!(outcome(&verifier), calls.next());
    assert_eq!((outcome, began.elapsed()), (Err(Refusal::Undecided), Duration::from_secs(2)));
}

#[tokio::test(start_paused = true)]
async fn of_two_endpoints_the_one_that_does_not_answer_is_asked_last_for_a_while() {
    let ((dead, mut unanswered), (alive, mut calls)) = (fake(), fake());
    let verifier = watching(WhenStale::Ask, [dead, alive]);
    let (_, _events) = (unanswered.watch().await, calls.watch().await);
    tokio::spawn(async move {
        loop {
            if let Call::Introspect { answer, .. } = calls.next().await {
                let _ = answer.send(Ok(true));
            }
        }
    });
    let mut waits = Vec::new();
    for _ in 0..60 {
        let began = Instant::now();
        assert_eq!(outcome(&verifier).await, Ok(()));
        waits.push(began.elapsed());
    }
    let waited = |waits: &[Duration]| waits.iter().filter(|wait| **wait > Duration::ZERO).count();
    assert!((1..=4).contains(&waited(&waits)), "{waits:?}: they waited for an endpoint that is dead");
    // A thousand a second: while one waits, the others do not. Whoever gives up meanwhile stops nobody from trying.
    for given_up in [true, false] {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..3000 {
            let verifier = verifier.clone();
            asking.spawn(async move {
                let began = Instant::now();
                assert_eq!(outcome(&verifier).await, Ok(()));
                began.elapsed()
            });
            sleep(Duration::from_millis(1)).await;
        }
        if given_up {
            asking.abort_all();
            while asking.join_next().await.is_some() {}
        } else {
            let waits = asking.join_all().await;
            assert!((1..=3).contains(&waited(&waits)), "{} of 3000 waited", waited(&waits));
        }
    }
}

/// R-REV-02: a random disconnect loses nothing.
#[tokio::test(start_paused = true)]
async fn after_a_cut_it_goes_on_from_the_last_cursor() {
    let (verifier, mut calls, events) = caught_up(WhenStale::Closed).await;
    events.send(session("another", NOW + 900, "7")).unwrap();
    events.send(Err(Status::unavailable("stopping"))).unwrap();
    let (cursor, events) = calls.watch().await;
    assert_eq!(cursor, "7");
    // A stream that ends without a word, too.
    events.send(heartbeat("8")).unwrap();
    events.send(heartbeat("")).unwrap();
    drop(events);
    let (cursor, events) = calls.watch().await;
    assert_eq!(cursor, "8");
    events.send(session(SID, NOW + 900, "9")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Revoked));
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_not_everything_until_a_heartbeat_says_so() {
    let (verifier, mut calls, events) = caught_up(WhenStale::Closed).await;
    events.send(Err(Status::unavailable("stopping"))).unwrap();
    let (_, _silent) = calls.watch().await;
    sleep(Duration::from_secs(61)).await;
    let (_, events) = calls.watch().await;
    events.send(session("another", NOW + 900, "2")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Undecided), "there may be more to come");
    events.send(heartbeat("3")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Ok(()));
    events.send(session("a third", NOW + 900, "4")).unwrap();
    sleep(Duration::from_secs(59)).await;
    assert_eq!(outcome(&verifier).await, Ok(()), "from then on every event is a sign of life");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_too_old_means_a_snapshot_at_once_and_nothing_forgotten() {
    let (verifier, mut calls, events) = caught_up(WhenStale::Closed).await;
    events.send(session(SID, NOW + 900, "2")).unwrap();
    drop(events);
    let (cursor, events) = calls.watch().await;
    assert_eq!(cursor, "2");
    let began = Instant::now();
    events.send(Err(Status::out_of_range("too old"))).unwrap();
    let (cursor, events) = calls.watch().await;
    assert_eq!((cursor.as_str(), began.elapsed()), ("", Duration::ZERO));
    // A new primary that has lost the revocation.
    events.send(snapshot_end("1")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Revoked));
    // One that says so without a cursor is left alone for a while.
    let began = Instant::now();
    events.send(Err(Status::out_of_range("?"))).unwrap();
    let (_, events) = calls.watch().await;
    events.send(Err(Status::out_of_range("?"))).unwrap();
    calls.watch().await;
    assert!(began.elapsed() >= FIRST_WAIT / 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up() {
    let (_verifier, mut calls, _events) = caught_up(WhenStale::Open).await;
    let began = Instant::now();
    assert_eq!(calls.watch().await.0, "1");
    assert!((45..=46).contains(&began.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_is_asked_ever_more_rarely() {
    let (fake, mut calls) = fake();
    let _verifier = watching(WhenStale::Open, [fake]);
    let began = Instant::now();
    for _ in 0..20 {
        calls.watch().await.1.send(Err(Status::permission_denied("no"))).unwrap();
    }
    assert!(began.elapsed() > 12 * LAST_WAIT / 2, "{:?}", began.elapsed());
    let waits: std::collections::BTreeSet<_> = (0..100).map(|_| jittered(LAST_WAIT)).collect();
    assert!(waits.len() > 50 && waits.iter().all(|wait| (LAST_WAIT / 2..=LAST_WAIT).contains(wait)));
}

#[tokio::test(start_paused = true)]
async fn several_endpoints_are_one_feed() {
    let [(one, mut of_one), (other, mut of_other)] = [fake(), fake()];
    let verifier = watching(WhenStale::Closed, [one, other]);
    let (_, from_one) = of_one.watch().await;
    let (_, from_other) = of_other.watch().await;
    from_one.send(snapshot_end("a1")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Ok(()), "one is enough to know everything");
    // The one goes silent, the other says what it would have said.
    from_other.send(snapshot_end("b1")).unwrap();
    for _ in 0..10 {
        sleep(Duration::from_secs(15)).await;
        from_other.send(heartbeat("b2")).unwrap();
        soon().await;
        assert_eq!(outcome(&verifier).await, Ok(()));
    }
    from_other.send(session(SID, NOW + 900, "b3")).unwrap();
    soon().await;
    assert_eq!(outcome(&verifier).await, Err(Refusal::Revoked));
    drop(from_other);
    assert_eq!(of_other.watch().await.0, "b3", "each keeps its own cursor");
    assert_eq!(of_one.watch().await.0, "a1");
}

#[tokio::test(start_paused = true)]
async fn an_entry_goes_when_no_token_can_need_it_and_not_before() {
    use std::sync::atomic::{AtomicI64, Ordering};
    let now = std::sync::Arc::new(AtomicI64::new(NOW));
    let clock = std::sync::Arc::clone(&now);
    let (fake, mut calls) = fake();
    let verifier = watching_at(WhenStale::Closed, [fake], move || clock.load(Ordering::SeqCst));
    let (_, events) = calls.watch().await;
    let at = async |time| {
        now.store(time, Ordering::SeqCst);
        events.send(heartbeat("1")).unwrap();
        soon().await;
        verifier.0.trusted[0].revocations.as_ref().unwrap().sweep(i64::MIN)
    };
    events.send(session(SID, NOW + 900, "1")).unwrap();
    events.send(session(SID, NOW + 300, "1")).unwrap();
    events.send(session("b", NOW + 300, "1")).unwrap();
    events.send(snapshot_end("1")).unwrap();
    assert_eq!(at(NOW).await, 2);
    assert_eq!(at(NOW + 330).await, 2, "the leeway of exp belongs to it");
    assert_eq!(at(NOW + 391).await, 1);
    assert_eq!(at(NOW + 930).await, 1, "the later of two ends counts");
    assert_eq!(at(NOW + 999).await, 0);
}

#[tokio::test(start_paused = true)]
async fn keys_come_from_the_first_endpoint_that_answers_for_this_issuer() {
    let [(one, mut of_one), (other, mut of_other)] = [fake(), fake()];
    let issuer = Issuer::new(ISSUER).endpoint(one).endpoint(other).caller_secret("s3cret");
    let verifier = Verifier::new(issuer, AUDIENCE).clock(|| NOW).build().unwrap();
    let Call::Jwks { authorization, answer } = of_one.next().await else { panic!("not what was asked") };
    assert_eq!(authorization.as_deref(), Some("Bearer s3cret"));
    answer.send(Err(Status::unavailable("stopping"))).unwrap();
    let Call::Jwks { answer, .. } = of_other.next().await else { panic!("not what was asked") };
    let x = crate::forge::base64url(crate::forge::signing_key().verifying_key().as_bytes());
    let [kty, kid, r#use, alg, crv] = ["OKP", "2026-01", "sig", "EdDSA", "Ed25519"].map(str::to_owned);
    let keys = vec![pb::Jwk { kty, kid, r#use, alg, crv, x, y: String::new() }];
    let published = pb::GetJwksResponse { keys, max_age: None, issuer: "https://other.example".to_owned() };
    answer.send(Ok(published.clone())).unwrap();
    soon().await;
    assert!(!verifier.is_ready(), "those were of another issuer");
    // It is tried again soon, in turn.
    let Call::Jwks { answer, .. } = of_other.next().await else { panic!("not what was asked") };
    answer.send(Ok(pb::GetJwksResponse { issuer: ISSUER.to_owned(), ..published })).unwrap();
    verifier.ready().await;
    assert!(outcome(&verifier).await.is_ok());
}

/// A million revocations a day leave about ten thousand live entries.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hundred_thousand_entries_take_less_than_100_mib() {
    fn resident() -> usize {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }
    let (fake, mut calls) = fake();
    let verifier = watching(WhenStale::Closed, [fake]);
    let (_, events) = calls.watch().await;
    let before = resident();
    for batch in 0..100_u32 {
        let session = |n: u32| pb::RevokedSession {
            session_id: format!("0190b6d2-0000-8000-8000-{:012}", batch * 1000 + n),
            revoke_time: at(NOW),
            expire_time: at(NOW + 900),
        };
        let sessions = (0..1000).map(session).collect();
        let revoked = feed::Event::Revocations(pb::Revocations { sessions, keys: Vec::new() });
        events.send(event(revoked, "")).unwrap();
    }
    events.send(snapshot_end("1")).unwrap();
    verifier.ready().await;
    let grown = resident().saturating_sub(before);
    assert_eq!(verifier.0.trusted[0].revocations.as_ref().unwrap().sweep(i64::MIN), 100_000);
    println!("100,000 entries: {} KiB more resident", grown / 1024);
    assert!(grown < 100 * 1024 * 1024, "{grown} bytes");
}

#[test]
fn a_token_that_is_asked_about_does_not_show_in_debug() {
    let request = pb::IntrospectTokenRequest { token: "a.b.c".to_owned() };
    assert!(!format!("{request:?}").contains("a.b.c"));
}
