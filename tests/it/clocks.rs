//! A replica whose clock is wrong: it says nothing about sessions, so it ends none and revives none, and whoever is told to
//! ask again finds another.

use std::time::Duration;

use symbolon::clock::{Clock, SystemClock};
use symbolon::keys::ring::KeyState;
use symbolon::service::Error;
use symbolon::service::revoke::Target;
use symbolon::session::{RevokeReason, SessionId};
use symbolon::store::{Selection, Url};

use symbolon_verifier::KeySource;

use crate::support::{Indoors, MASTER_KEY, Postgres, subject};

const HOUR: Duration = Duration::from_secs(3600);

async fn replica(url: &str) -> Indoors {
    let indoors =
        Indoors::on(&Url::parse(url).unwrap(), MASTER_KEY, &[("SYMBOLON_SESSION_IDLE_TTL", "30m")]).await.unwrap();
    agree(&indoors).await;
    indoors
}

/// Its clock is right from now on, and it knows. It stands still, and the database's goes on.
async fn agree(indoors: &Indoors) {
    indoors.clock.set(SystemClock.now());
    indoors.service.skew.compare(&indoors.service.store).await.unwrap();
}

fn is_unavailable<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::StoreUnavailable(_)))
}

/// R-OPS-10
#[tokio::test]
async fn three_seconds_are_borne_and_six_are_not() {
    let indoors = replica(&Postgres::shared().database().await).await;
    let (service, right) = (&indoors.service, indoors.service.now());
    for seconds in [0, 3] {
        let apart = Duration::from_secs(seconds);
        for wrong in [right.after(apart), right.before(apart)] {
            indoors.clock.set(wrong);
            assert!(service.can_serve().is_ok(), "{seconds} s");
            indoors.issue(subject("alice")).await.unwrap();
        }
    }
    for wrong in [right.after(Duration::from_secs(6)), right.before(Duration::from_secs(6))] {
        indoors.clock.set(wrong);
        assert!(service.can_serve().is_err() && is_unavailable(&indoors.issue(subject("alice")).await.map(drop)));
        // Asking the database again changes nothing: it is our clock that is wrong.
        service.skew.compare(&service.store).await.unwrap();
        assert!(service.can_serve().is_err());
    }
    indoors.clock.set(right);
    assert!(service.can_serve().is_ok(), "it stays out of service although its clock is right again");
}

/// R-OPS-10: from the moment the clock leaps, not from the next comparison on.
#[tokio::test]
async fn an_hour_back_and_forth_ends_no_session_and_revives_none() {
    let url = Url::parse(&Postgres::shared().database().await).unwrap();
    let indoors = Indoors::on(&url, MASTER_KEY, &[("SYMBOLON_SESSION_IDLE_TTL", "30m")]).await.unwrap();
    indoors.clock.set(SystemClock.now().before(HOUR));
    let dead = indoors.issue(subject("bob")).await.unwrap().refresh_token;
    agree(&indoors).await;
    let (service, right) = (&indoors.service, indoors.service.now());
    let alive = indoors.issue(subject("alice")).await.unwrap().refresh_token;
    for wrong in [right.after(HOUR), right.before(HOUR + HOUR)] {
        indoors.clock.set(wrong);
        for token in [&alive, &dead] {
            assert!(is_unavailable(&indoors.refresh(token).await.map(drop)));
            let introspected = service.introspect(&indoors.caller, token, service.now()).await;
            assert!(is_unavailable(&introspected.map(drop)));
            let target = Target::RefreshToken(token.clone());
            let revoked = service.revoke(&indoors.caller, target, None, RevokeReason::SignedOut, wrong).await;
            assert!(is_unavailable(&revoked.map(drop)), "a sign-out that ends nothing");
        }
        service.sweep().await;
        assert!(service.keyring.tend().await.is_ok());
    }
    indoors.clock.set(right);
    let next = indoors.refresh(&alive).await.unwrap().refresh_token;
    assert!(matches!(indoors.refresh(&dead).await, Err(Error::SessionExpired)));
    indoors.refresh(&next).await.unwrap();
}

/// R-OPS-10: no key signs or leaves because of a wrong clock.
#[tokio::test]
async fn a_year_ahead_rotates_no_key_and_sweeps_nothing() {
    let indoors = replica(&Postgres::shared().database().await).await;
    let (service, right) = (&indoors.service, indoors.service.now());
    indoors.issue(subject("alice")).await.unwrap();
    let before = service.store.signing_keys(true).await.unwrap();
    indoors.clock.set(right.after(HOUR * 24 * 365));
    service.keyring.tend().await.unwrap();
    service.sweep().await;
    indoors.clock.set(right);
    assert_eq!(service.store.signing_keys(true).await.unwrap(), before);
    let selection = Selection { subject: "alice", clients: None, client_id: None };
    assert_eq!(service.store.list(selection, Some(right), None, 10).await.unwrap().len(), 1);
}

/// R-OPS-10: a machine that boots with a wrong clock makes no key, changes none, and knows everything once it is right.
#[tokio::test]
async fn a_replica_that_starts_with_a_wrong_clock_does_nothing_by_it() {
    let url = Url::parse(&Postgres::shared().database().await).unwrap();
    let wrong = SystemClock.now().after(HOUR * 24 * 40);
    let refused = Box::pin(Indoors::comparing(&url, wrong)).await.err().expect("it makes the first key").to_string();
    assert!(refused.contains("set the clock"), "{refused}");

    let other = Box::pin(Indoors::comparing(&url, SystemClock.now())).await.unwrap();
    let granted = other.issue(subject("alice")).await.unwrap();
    let (id, now) = (granted.session.id, other.service.now());
    let target = Target::SessionId(id);
    assert!(other.service.revoke(&other.caller, target, None, RevokeReason::SignedOut, now).await.unwrap());
    let keys = other.service.store.signing_keys(true).await.unwrap();

    let late = Box::pin(Indoors::comparing(&url, wrong)).await.unwrap();
    assert_eq!(other.service.store.signing_keys(true).await.unwrap(), keys);
    assert_eq!(late.service.feed.has_ended(id), None, "it says what it cannot know");
    let follow = async |millis| {
        let _ = tokio::time::timeout(Duration::from_millis(millis), late.service.follow()).await;
    };
    follow(600).await;
    late.clock.set(SystemClock.now());
    follow(1500).await;
    assert_eq!(late.service.feed.has_ended(id), Some(true));
}

/// R-KEY-02, R-OPS-10
#[tokio::test]
async fn a_replica_with_a_wrong_clock_rotates_no_key_when_asked_to_and_revokes_one() {
    let indoors = replica(&Postgres::shared().database().await).await;
    let (service, right) = (&indoors.service, indoors.service.now());
    indoors.clock.set(right.before(HOUR));
    assert!(is_unavailable(&service.rotate_key(&indoors.caller, true).await.map(drop)));
    assert!(is_unavailable(&service.get(&indoors.caller, SessionId::from(uuid::Uuid::nil())).await.map(drop)));
    let keys = service.store.signing_keys(false).await.unwrap();
    let active = keys.iter().find(|key| key.member.state == KeyState::Active).unwrap().member.public.key_id();
    service.revoke_key(&indoors.caller, active).await.unwrap();
    assert!(service.keyring.ring().verifying_key(active).is_none());
}

/// R-SES-01, R-OPS-10: signing out everywhere takes the sign-in of a replica whose clock is a little ahead.
#[tokio::test]
async fn a_sign_in_at_a_replica_that_is_ahead_is_ended_by_one_that_is_not() {
    let url = Postgres::shared().database().await;
    let (ahead, behind) = (replica(&url).await, replica(&url).await);
    let right = behind.service.now();
    ahead.clock.set(right.after(Duration::from_secs(4)));
    behind.clock.set(right.before(Duration::from_secs(4)));
    let granted = ahead.issue(subject("alice")).await.unwrap();
    let now = behind.service.now();
    let ended =
        behind.service.revoke_subject(&behind.caller, "alice", None, None, RevokeReason::SignedOut, now).await.unwrap();
    assert_eq!(ended, 1);
    assert!(matches!(ahead.refresh(&granted.refresh_token).await, Err(Error::SessionRevoked)));
}

/// R-REV-02: a wrong clock would ask for what has not happened yet, and take its silence for an answer.
#[tokio::test]
async fn what_others_end_while_the_clock_is_wrong_is_known_once_it_is_right() {
    let url = Postgres::shared().database().await;
    let (other, wrong) = (replica(&url).await, replica(&url).await);
    let granted = other.issue(subject("alice")).await.unwrap();
    let (id, right) = (granted.session.id, wrong.service.now());
    let follow = async || {
        let _ = tokio::time::timeout(Duration::from_millis(1500), wrong.service.follow()).await;
    };
    wrong.clock.set(right.after(HOUR));
    follow().await;
    let target = Target::SessionId(id);
    let now = other.service.now();
    assert!(other.service.revoke(&other.caller, target, None, RevokeReason::SignedOut, now).await.unwrap());
    wrong.clock.set(right);
    wrong.clock.advance(Duration::from_secs(59));
    follow().await;
    assert_eq!(wrong.service.feed.has_ended(id), Some(true));
}
