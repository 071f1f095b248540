//! A call that is dropped half-way, at every point where it waits: whoever made it holds a token that works.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use symbolon::service::Error;
use symbolon::service::issue::Issue;
use symbolon::session::{DecisionKind, RevokeReason, Session, State};
use symbolon::store::{IssueRequest, Selection, Url};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{Indoors, MASTER_KEY, Postgres, presenting, subject};

/// More often than any call waits.
const MOST_POLLS: usize = 500;

/// When a dropped call is dropped: at once, or when what it waited for has happened and it was not told.
const LATER: [Duration; 4] = [Duration::ZERO, Duration::from_millis(5), Duration::ZERO, Duration::from_millis(5)];

/// A call that was answered after so many polls may need more of them another time: it is enough when it was answered
/// this often.
const ANSWERS: usize = 5;

/// Polls `work` this many times and then drops it. `None` if it was dropped.
async fn polled<T>(polls: usize, later: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    let outcome = std::future::poll_fn(|context| {
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    if outcome.is_none() && !later.is_zero() {
        tokio::time::sleep(later).await;
    }
    outcome
}

/// The service on a file and on a server.
async fn each(dir: &TempDir) -> [Indoors; 2] {
    let server = Url::parse(&Postgres::shared().database().await).unwrap();
    let open = async |url| Indoors::on(&url, MASTER_KEY, &[]).await.unwrap();
    [open(Url::Sqlite(dir.path().join("symbolon.db"))).await, open(server).await]
}

/// Waits until the database is done with what a dropped call had asked of it.
async fn settled(indoors: &Indoors, dropped: bool) {
    if dropped {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    indoors.service.store.check_writable().await.unwrap();
}

/// Prepares a session with `prepare`, which answers the token to present, and drops the refresh of it at each point;
/// `check` sees what is left. Fails if nothing was ever dropped.
async fn drop_everywhere(
    prepare: impl AsyncFn(&Indoors, &Session) -> String,
    check: impl AsyncFn(&Indoors, &Session, &str, Option<Result<String, Error>>),
) {
    let dir = tempfile::tempdir().unwrap();
    for indoors in Box::pin(each(&dir)).await {
        for later in LATER {
            let (mut dropped, mut answered) = (0, 0);
            for polls in 1..MOST_POLLS {
                let session = indoors.issue(subject("alice")).await.unwrap().session;
                let token = prepare(&indoors, &session).await;
                let refresh = presenting(&token);
                let call = indoors.service.refresh(&indoors.caller, &refresh);
                let outcome =
                    polled(polls, later, call).await.map(|answer| answer.map(|granted| granted.refresh_token));
                settled(&indoors, outcome.is_none()).await;
                *if outcome.is_some() { &mut answered } else { &mut dropped } += 1;
                check(&indoors, &session, &token, outcome).await;
                if answered == ANSWERS {
                    break;
                }
            }
            assert!(dropped > 0 && answered == ANSWERS, "dropped {dropped} times, answered {answered} times");
        }
        indoors.close().await;
    }
}

/// R-RT-03
#[tokio::test]
async fn a_rotation_dropped_anywhere_leaves_a_token_that_works() {
    let prepare = async |indoors: &Indoors, session: &Session| indoors.token(session.id, 1);
    let left = RefCell::new(BTreeSet::new());
    drop_everywhere(prepare, async |indoors, session, token, outcome| {
        let now = indoors.session(session.id).await;
        left.borrow_mut().extend(outcome.is_none().then_some(now.chain.generation));
        assert_eq!(indoors.rotate(token).await, indoors.token(session.id, 2));
        assert_eq!(indoors.rotate(&indoors.token(session.id, 2)).await, indoors.token(session.id, 3));
    })
    .await;
    // Dropped before it was stored, and after: else this would prove little.
    assert_eq!(left.into_inner(), BTreeSet::from([1, 2]));
}

/// R-RT-03
#[tokio::test]
async fn a_recovery_dropped_anywhere_leaves_a_token_that_works_and_is_counted_once() {
    let prepare = async |indoors: &Indoors, session: &Session| {
        let first = indoors.token(session.id, 1);
        indoors.rotate(&first).await;
        indoors.clock.advance(Duration::from_hours(1));
        first
    };
    drop_everywhere(prepare, async |indoors, session, token, _| {
        let successor = indoors.token(session.id, 2);
        assert_eq!(indoors.rotate(token).await, successor);
        let now = indoors.session(session.id).await;
        assert_eq!((now.chain.generation, now.chain.recovered_generation, now.chain.recovery_streak), (2, 2, 1));
        let recovered = now.decisions.iter().filter(|decision| decision.kind == DecisionKind::Recovered);
        assert_eq!(recovered.count(), 1);
        indoors.rotate(&successor).await;
    })
    .await;
}

/// R-RT-03
#[tokio::test]
async fn a_detection_dropped_anywhere_ended_the_session_whole_or_not_at_all() {
    let prepare = async |indoors: &Indoors, session: &Session| {
        let first = indoors.token(session.id, 1);
        let second = indoors.rotate(&first).await;
        indoors.rotate(&second).await;
        indoors.clock.advance(Duration::from_hours(1));
        first
    };
    drop_everywhere(prepare, async |indoors, session, token, outcome| {
        // The database may end a statement that nobody waits for any more: a rotation that works shows that it did not.
        let now = loop {
            let now = indoors.session(session.id).await;
            if now.revocation.is_some() {
                break now;
            }
            match indoors.refresh(&indoors.token(session.id, 3)).await {
                Ok(_) => break now,
                Err(error) => assert!(matches!(error, Error::SessionRevoked), "{error:?}"),
            }
        };
        let detected: Vec<_> = now.decisions.iter().map(|decision| (decision.kind, decision.presented)).collect();
        match &now.revocation {
            None => assert!(outcome.is_none() && detected.is_empty()),
            Some(revocation) => {
                assert_eq!(revocation.reason, RevokeReason::ReuseDetected);
                assert_eq!(detected, [(DecisionKind::ReuseDetected, 1)]);
            }
        }
        // Asked again when the burst of the owner's rotation is over, it is the end, if it was not before.
        indoors.clock.advance(Duration::from_hours(1));
        let again = indoors.refresh(token).await.err();
        assert!(matches!(
            (again, now.revocation),
            (Some(Error::RefreshTokenReused), None) | (Some(Error::SessionRevoked), Some(_))
        ));
        assert!(matches!(indoors.refresh(&indoors.token(session.id, 3)).await, Err(Error::SessionRevoked)));
    })
    .await;
}

/// R-RT-03, R-RT-09
#[tokio::test]
async fn a_sign_in_dropped_anywhere_is_made_once_by_its_retry() {
    let dir = tempfile::tempdir().unwrap();
    for indoors in Box::pin(each(&dir)).await {
        for (round, later) in LATER.into_iter().enumerate() {
            let mut dropped = 0;
            for polls in 1..MOST_POLLS {
                let subject_id = format!("alice {round} {polls}");
                let request = IssueRequest { request_id: Uuid::from_u128(polls as u128), digest: [1; 32] };
                let asked = Issue { request: Some(request), ..subject(&subject_id) };
                let call = indoors.service.issue(&indoors.caller, asked.clone(), indoors.service.now());
                let first = polled(polls, later, call).await.map(Result::unwrap);

                let retried = indoors.issue(asked).await.unwrap();
                let live = sessions(&indoors, &subject_id).await;
                assert_eq!(live.len(), 1, "dropped after {polls} polls");
                assert_eq!((live[0].id, live[0].state(indoors.service.now())), (retried.session.id, State::Active));
                indoors.rotate(&retried.refresh_token).await;
                if let Some(first) = first {
                    assert_eq!(
                        (first.refresh_token, first.access.compact),
                        (retried.refresh_token, retried.access.compact)
                    );
                    break;
                }
                dropped += 1;
            }
            assert!((1..MOST_POLLS - 1).contains(&dropped), "dropped at {dropped} points only, or never completed");
        }
        indoors.close().await;
    }
}

/// R-RT-03
#[tokio::test]
async fn calls_dropped_by_the_hundred_leave_the_database_usable() {
    let dir = tempfile::tempdir().unwrap();
    for indoors in &Box::pin(each(&dir)).await {
        let issued = futures_util::future::join_all((0..20).map(|_| indoors.issue(subject("alice")))).await;
        let ids: Vec<_> = issued.into_iter().map(|granted| granted.unwrap().session.id).collect();
        for polls in 1..50 {
            let calls = ids.iter().map(|id| async move {
                let token = indoors.token(*id, indoors.session(*id).await.chain.generation);
                polled(polls, Duration::ZERO, async {
                    let _ = indoors.refresh(&token).await;
                    let request = IssueRequest { request_id: Uuid::from_u128(polls as u128), digest: [1; 32] };
                    let _ = indoors.issue(Issue { request: Some(request), ..subject("bob") }).await;
                })
                .await;
                // Rotated or not: the owner, who was never answered, is given tokens, or told to ask again.
                while let Err(refused) = indoors.refresh(&token).await {
                    assert!(matches!(refused, Error::StoreUnavailable(_)), "{refused}");
                }
            });
            futures_util::future::join_all(calls).await;
        }
        indoors.service.store.check_writable().await.unwrap();
    }
}

/// R-RT-03
#[tokio::test]
async fn a_sign_in_dropped_anywhere_leaves_no_transaction_open_on_a_server() {
    let url = Postgres::shared().database().await;
    let indoors = Indoors::on(&Url::parse(&url).unwrap(), MASTER_KEY, &[]).await.unwrap();
    let operator = sea_orm::Database::connect(&url).await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    for polls in 1..60 {
        let request = IssueRequest { request_id: Uuid::from_u128(polls as u128), digest: [1; 32] };
        let _ = polled(polls, Duration::ZERO, indoors.issue(Issue { request: Some(request), ..subject("bob") })).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let count = Statement::from_string(operator.get_database_backend(), open);
        let left: i64 = operator.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap();
        assert_eq!(left, 0, "what is written on that connection is never committed");
    }
}

async fn sessions(indoors: &Indoors, subject: &str) -> Vec<Session> {
    let selection = Selection { subject, clients: None, client_id: None };
    indoors.service.store.list(selection, None, None, 10).await.unwrap()
}
