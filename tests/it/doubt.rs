//! A statement whose answer is lost on the way: committed or not, nobody can tell. The caller gets its successor all the
//! same, and its own commit is never held against it.

use std::time::Duration;

use futures_util::future::join_all;
use symbolon::keys::ring::KeyState;
use symbolon::keys::{MasterKeys, SigningKey};
use symbolon::service::refresh::Refresh;
use symbolon::session::{Revocation, RevokeReason, Session, State};
use symbolon::store::Url;

use crate::support::{Dice, Indoors, MASTER_KEY, Postgres, Proxy, presenting, subject};

/// The service with nothing to lose: a client whose spent tokens are never answered again without being counted.
async fn strict(proxy: &Proxy) -> Indoors {
    let url = Url::parse(proxy.url()).unwrap();
    Indoors::on(&url, MASTER_KEY, &[("SYMBOLON_SESSION_LEEWAY", "0s")]).await.unwrap()
}

async fn start() -> (Proxy, Indoors) {
    let proxy = Proxy::before(&Postgres::shared().database().await).await;
    let indoors = strict(&proxy).await;
    (proxy, indoors)
}

async fn issue(indoors: &Indoors) -> Session {
    indoors.issue(subject("alice")).await.unwrap().session
}

/// Fails unless a session moved on by exactly one generation, with nothing held against it.
async fn assert_rotated_once(indoors: &Indoors, before: &Session) {
    let now = indoors.session(before.id).await;
    assert_eq!(now.chain.generation, before.chain.generation + 1);
    assert_eq!((now.chain.recovered_generation, now.chain.recovery_streak), (0, 0), "counted as a recovery");
    assert!(now.decisions.is_empty() && now.state(indoors.service.now()) == State::Active);
}

/// Loses what comes next, one way or another.
type Lose = fn(&Proxy);

/// R-RT-15, R-RT-03
#[tokio::test]
async fn a_batch_in_doubt_gives_each_member_its_successor_and_counts_nothing() {
    let (proxy, indoors) = start().await;
    let losses: [(&str, Lose); 2] =
        [("committed", |proxy| proxy.lose_answers(1)), ("never arrived", |proxy| proxy.lose_requests(1))];
    for (what, lose) in losses.into_iter().cycle().take(40) {
        let mut sessions = Vec::new();
        for _ in 0..8 {
            sessions.push(issue(&indoors).await);
        }
        let lost = proxy.lost();
        lose(&proxy);
        let refreshes = sessions.iter().map(async |session| indoors.rotate(&indoors.token(session.id, 1)).await);
        let successors = join_all(refreshes).await;
        assert_eq!(proxy.lost(), lost + 1, "{what}");
        for (session, successor) in sessions.iter().zip(successors) {
            assert_eq!(successor, indoors.token(session.id, 2), "{what}");
            assert_rotated_once(&indoors, session).await;
        }
    }
    indoors.close().await;
}

/// R-RT-03
#[tokio::test]
async fn a_lonely_rotation_whose_answer_is_lost_gets_its_successor_and_is_counted_as_nothing() {
    let (proxy, indoors) = start().await;
    // It names its audience, so it is judged by itself.
    let alone = |session: &Session| Refresh {
        audience: session.audience.clone(),
        ..presenting(&indoors.token(session.id, session.chain.generation))
    };
    for round in 1..=20 {
        let session = issue(&indoors).await;
        assert!(!session.audience.is_empty());
        proxy.lose_answers(1);
        let granted = indoors.service.refresh(&indoors.caller, &alone(&session)).await.unwrap();
        assert_eq!(proxy.lost(), round);
        assert_eq!(granted.refresh_token, indoors.token(session.id, 2));
        assert_rotated_once(&indoors, &session).await;
    }
    indoors.close().await;
}

/// R-RT-03
#[tokio::test]
async fn a_recovery_whose_answer_is_lost_is_counted_once() {
    let (proxy, indoors) = start().await;
    for _ in 0..20 {
        let session = issue(&indoors).await;
        let first = indoors.token(session.id, 1);
        let second = indoors.rotate(&first).await;
        indoors.clock.advance(Duration::from_secs(1));
        let lost = proxy.lost();
        // The batch changes nothing, so its answer says so and is the first to be lost.
        proxy.lose_answers(2);
        assert_eq!(indoors.rotate(&first).await, second);
        assert_eq!(proxy.lost(), lost + 2);
        let chain = indoors.session(session.id).await.chain;
        assert_eq!((chain.generation, chain.recovered_generation, chain.recovery_streak), (2, 2, 1));
        indoors.rotate(&second).await;
    }
    indoors.close().await;
}

/// R-RT-03, R-RT-05
#[tokio::test]
async fn a_revocation_whose_answer_is_lost_holds() {
    let (proxy, indoors) = start().await;
    for _ in 0..20 {
        let session = issue(&indoors).await;
        let lost = proxy.lost();
        proxy.lose_answers(1);
        let revocation =
            Revocation { at: indoors.service.now(), reason: RevokeReason::SignedOut, by: "local".to_owned() };
        indoors.service.store.end(session.id, &revocation).await.unwrap();
        assert_eq!(proxy.lost(), lost + 1);
        assert!(indoors.refresh(&indoors.token(session.id, 1)).await.is_err());
        assert_eq!(indoors.session(session.id).await.revocation, Some(revocation));
    }
    indoors.close().await;
}

/// R-KEY-01, R-OBS-02: whoever changed a key knows it, and can tell of it; nobody else takes it for his deed.
#[tokio::test]
async fn a_key_change_whose_answer_is_lost_is_known_to_be_done() {
    let (proxy, indoors) = start().await;
    let store = &indoors.service.store;
    let ring = async || store.signing_keys(false).await.unwrap();
    let in_state = async |state| ring().await.into_iter().find(|key| key.member.state == state).unwrap().member;
    let (dice, keys) = (Dice::seeded(7), MasterKeys::parse(MASTER_KEY).unwrap());
    for round in 0..4 {
        indoors.clock.advance(Duration::from_secs(1));
        let now = indoors.service.now();
        let (active, pending) = (in_state(KeyState::Active).await, in_state(KeyState::Pending).await);
        let (signs, next) = (active.public.key_id(), pending.public.key_id());
        let proxy = &proxy;
        let in_doubt = || {
            let before = proxy.lost();
            proxy.lose_answers(1);
            move |done: bool, what: &str| {
                assert!(done, "{what} was not known to be done");
                assert_eq!(proxy.lost(), before + 1, "{what}");
            }
        };
        let lost = in_doubt();
        lost(store.ask_for_key(next, now).await.unwrap(), "ask");
        assert!(!store.ask_for_key(next, now).await.unwrap(), "done twice");
        let lost = in_doubt();
        lost(store.activate_key(next, Some(signs), now).await.unwrap(), "activate");
        let fresh = SigningKey::generate(&dice);
        let sealed = fresh.seal(&keys, "http://localhost:8080", &dice);
        let lost = in_doubt();
        lost(store.publish_key(fresh.public(), &sealed, now).await.unwrap(), "publish");
        let anew = fresh.seal(&keys, "http://localhost:8080", &dice);
        let lost = in_doubt();
        lost(store.reseal_key(fresh.public().key_id(), &sealed, &anew).await.unwrap(), "reseal");
        let retired = in_state(KeyState::Retiring).await;
        let lost = in_doubt();
        if round % 2 == 0 {
            lost(store.bury_key(signs, now).await.unwrap(), "bury");
        } else {
            lost(store.compromise_key(&retired, None, now).await.unwrap(), "compromise");
        }
        // What another did, while our own try never arrived, is not ours.
        proxy.lose_requests(1);
        let other = SigningKey::generate(&dice);
        let sealed = other.seal(&keys, "http://localhost:8080", &dice);
        assert!(!store.publish_key(other.public(), &sealed, now).await.unwrap());
    }
    indoors.close().await;
}
