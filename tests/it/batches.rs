//! The fast path: one statement for many rotations says what the rule says of each, and two requests of one session in
//! one batch are answered as if they had come one after the other.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use symbolon::service::Error;
use symbolon::session::redeem::{Policy, Presented, Rotation, Verdict, redeem};
use symbolon::session::{
    Authentication, Chain, Decision, DecisionKind, Device, Revocation, RevokeReason, Session, SessionId, State,
};
use symbolon::store::{Right, Rotate, Turn, Url};
use symbolon::time::Timestamp;
use symbolon::token::lifetime::Lifetimes;

use crate::support::{BEGINNING, Database, Dice, Indoors, MASTER_KEY, Postgres, subject};

const NOW: Timestamp = Timestamp::EPOCH;

fn now() -> Timestamp {
    NOW.after(Duration::from_secs(u64::try_from(BEGINNING).unwrap()))
}

/// An instant near one of the rule's boundaries before now, or a little after now.
fn around(dice: &Dice, burst: u64) -> Timestamp {
    let boundary = [0, 1000, 30_000, burst, 5 * burst, 86_400_000][usize::try_from(dice.below(6)).unwrap()];
    let millis = now().millis() - i64::try_from(boundary).unwrap() + i64::try_from(dice.below(5)).unwrap() - 2;
    Timestamp::from_millis(millis)
}

const CLIENTS: [(&str, u64); 3] = [("web", 120_000), ("quick", 2000), ("undeclared", 120_000)];

fn random_session(dice: &Dice) -> Session {
    let (client_id, burst) = CLIENTS[usize::try_from(dice.below(3)).unwrap()];
    let generation = match dice.below(12) {
        0 => u32::MAX,
        1 => u32::MAX - 1,
        n => u32::try_from(n).unwrap(),
    };
    let any = |below: u64| u32::try_from(dice.below(below)).unwrap();
    let ends = |dice: &Dice| now().after(Duration::from_millis(998 + dice.below(5) + dice.below(2) * 3_600_000));
    let device = |name: &str| Device {
        user_agent: (dice.below(2) == 0).then(|| format!("{name} agent")),
        ip_address: None,
        label: (dice.below(2) == 0).then(|| format!("{name}'s laptop")),
    };
    let created_at = Timestamp::from_seconds(BEGINNING - 1_000_000);
    Session {
        id: SessionId::new(0, now(), dice.next().to_le_bytes()),
        subject: "alice".to_owned(),
        client_id: client_id.to_owned(),
        caller: "local".to_owned(),
        audience: vec!["api".to_owned()],
        scope: Vec::new(),
        claims: serde_json::Map::new(),
        authentication: Authentication { auth_time: created_at, acr: None, amr: Vec::new() },
        lifetimes: Lifetimes {
            access_token_ttl: Duration::from_secs(900),
            idle_ttl: Duration::from_secs(1 + dice.below(7200)),
        },
        browser_session: false,
        chain: Chain {
            generation,
            rotated_at: around(dice, burst),
            recovered_generation: generation - any(2).min(generation - 1),
            recovered_at: around(dice, burst),
            recovery_streak: any(3),
            burst_generation: 1,
            burst_at: around(dice, burst),
            idle_expires_at: ends(dice),
        },
        created_at,
        expires_at: ends(dice),
        revocation: (dice.below(8) == 0).then(|| Revocation {
            at: now(),
            reason: RevokeReason::SignedOut,
            by: "local".to_owned(),
        }),
        device: device("old"),
        decisions: vec![Decision {
            at: created_at,
            kind: DecisionKind::Issued,
            caller: "local".to_owned(),
            presented: 0,
            current: 1,
            device: Device::default(),
        }],
    }
}

/// R-RT-15 (B1)
#[tokio::test]
async fn the_statement_rotates_the_same_rows_to_the_same_values_as_the_rule() {
    // The first caller has a right to both declared clients, the second to one of them, the third to none.
    let right = |caller, at: usize| Right {
        caller,
        client_id: CLIENTS[at].0.to_owned(),
        burst_millis: i64::try_from(CLIENTS[at].1).unwrap(),
    };
    let rights = [right(0, 0), right(0, 1), right(1, 0)];
    for Database { store, kind, .. } in &Database::each().await {
        let dice = Dice::seeded(15);
        let (mut rotated, mut left) = (0, 0);
        for _ in 0..4 {
            let sessions: Vec<_> = (0..150).map(|_| random_session(&dice)).collect();
            let mut turns = Vec::new();
            for session in &sessions {
                store.create(session, None).await.unwrap();
                let off = u32::try_from(dice.below(5)).unwrap().saturating_sub(2);
                turns.push(Turn {
                    session_id: session.id,
                    generation: (session.chain.generation - off.min(session.chain.generation - 1)).max(1),
                    device: Device { user_agent: (off == 0).then(|| "new agent".to_owned()), ..Device::default() },
                    caller: u16::try_from(dice.below(5)).unwrap().saturating_sub(2),
                });
            }
            // One that is not there at all.
            let nobody = SessionId::new(0, now(), [0xEE; 8]);
            turns.push(Turn { session_id: nobody, generation: 1, device: Device::default(), caller: 0 });

            let answered = store.rotate(&turns, now(), &rights).await.unwrap();
            for (session, turn) in sessions.iter().zip(&turns) {
                let right =
                    rights.iter().find(|right| right.caller == turn.caller && right.client_id == session.client_id);
                let policy = right.map(|right| Policy {
                    leeway: Duration::from_secs(30),
                    recovery_limit: 2,
                    burst: Duration::from_millis(right.burst_millis.unsigned_abs()),
                    rotation_when_due: false,
                });
                let presented =
                    Presented { generation: turn.generation, audience: &[], scope: &[], rotation: Rotation::Always };
                let answer = answered.iter().find(|answer| answer.id == session.id);
                let stored = store.session(session.id).await.unwrap().unwrap();
                if let Verdict::Rotate(chain) = redeem(&presented, Some(session), now(), policy.as_ref()) {
                    let device = session.device.updated_by(&turn.device);
                    let expected = Session { chain, device, ..session.clone() };
                    assert_eq!(stored, expected, "{kind}");
                    assert_eq!(answer, Some(&Session { decisions: Vec::new(), ..expected }), "{kind}");
                    rotated += 1;
                } else {
                    assert_eq!(answer, None, "{kind}: {session:?} {turn:?}");
                    assert_eq!(stored, *session, "{kind}");
                    left += 1;
                }
            }
        }
        assert!(rotated > 60 && left > 60, "{kind}: {rotated} rotated, {left} left alone prove little");
    }
}

/// What became of a call: the generation whose tokens it got, or why it got none.
fn told(outcome: Result<symbolon::service::Granted, Error>) -> Result<u32, String> {
    outcome.map(|granted| granted.session.chain.generation).map_err(|error| error.to_string())
}

/// R-RT-15 (B2)
#[tokio::test]
async fn two_requests_of_one_session_in_one_batch_are_answered_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let stale = Err("an older refresh token of a burst was presented".to_owned());
    // Three rotations in one burst: generation 4 is current.
    for first in 2..=4_u32 {
        for second in 2..=4_u32 {
            let id = indoors.issue(subject("alice")).await.unwrap().session.id;
            for generation in 1..=3 {
                indoors.rotate(&indoors.token(id, generation)).await;
            }
            let (one, two) = (indoors.token(id, first), indoors.token(id, second));
            // Both are queued before the worker, who waits on the same thread, begins.
            let (one, two) = tokio::join!(indoors.refresh(&one), indoors.refresh(&two));
            let rotates = first == 4 || second == 4;
            for (presented, answer) in [(first, told(one)), (second, told(two))] {
                let allowed = match (presented, rotates) {
                    (4, _) => vec![Ok(5)],
                    (3, false) => vec![Ok(4)],
                    // Before the rotation it is one behind, after it two.
                    (3, true) => vec![Ok(4), stale.clone()],
                    _ => vec![stale.clone()],
                };
                assert!(allowed.contains(&answer), "{presented} of {first} and {second}: {answer:?}");
            }
            let session = indoors.session(id).await;
            assert_eq!(session.chain.generation, if rotates { 5 } else { 4 });
            assert_eq!(session.state(indoors.service.now()), State::Active);
        }
    }
    indoors.close().await;
}

/// R-RT-15 (B2): without a leeway a parallel request is a recovery, counted, and gives the same refresh token.
#[tokio::test]
async fn without_a_leeway_the_second_of_two_equal_requests_goes_the_slow_way() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[("SYMBOLON_SESSION_LEEWAY", "0s")]).await.unwrap();
    let granted = indoors.issue(subject("alice")).await.unwrap();
    let token = &granted.refresh_token;
    let (one, two, three) = tokio::join!(indoors.refresh(token), indoors.refresh(token), indoors.refresh(token));
    let tokens = [one, two, three].map(|granted| granted.unwrap().refresh_token);
    assert!(tokens.iter().all(|token| *token == indoors.token(granted.session.id, 2)));
    let chain = indoors.session(granted.session.id).await.chain;
    assert_eq!((chain.generation, chain.recovered_generation, chain.recovery_streak), (2, 2, 1));
    indoors.close().await;
}

/// R-RT-15 (B7): members that ask for more than their successor are judged by themselves.
#[tokio::test]
async fn a_request_that_narrows_is_not_rotated_by_the_statement_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let indoors = Indoors::open(dir.path(), MASTER_KEY, &[]).await.unwrap();
    let granted = indoors.issue(subject("alice")).await.unwrap();
    let mut wide = crate::support::presenting(&granted.refresh_token);
    wide.scope = vec!["everything".to_owned()];
    let plain = crate::support::presenting(&granted.refresh_token);
    let (wide, plain) =
        tokio::join!(indoors.service.refresh(&indoors.caller, &wide), indoors.service.refresh(&indoors.caller, &plain));
    assert!(matches!(wide, Err(Error::GrantNotPermitted { field: "scope", .. })));
    assert_eq!(told(plain), Ok(2));
    indoors.close().await;
}

/// What a connection has learnt of the statement stays where the next one goes.
#[tokio::test]
async fn batches_that_follow_each_other_are_asked_on_one_connection() {
    let url = Postgres::shared().database().await;
    let indoors = Indoors::on(&Url::parse(&url).unwrap(), MASTER_KEY, &[]).await.unwrap();
    let mut token = indoors.issue(subject("alice")).await.unwrap().refresh_token;
    // Several connections, of which a pool hands out the one that has rested longest.
    let store = &indoors.service.store;
    let asked = futures_util::future::join_all((0..8).map(|_| store.check_writable())).await;
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    for _ in 0..20 {
        token = indoors.rotate(&token).await;
        store.check_writable().await.unwrap();
    }
    let operator = sea_orm::Database::connect(&url).await.unwrap();
    let count = async |of: &str| {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {of}");
        let count = Statement::from_string(operator.get_database_backend(), sql);
        operator.query_one_raw(count).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap()
    };
    assert!(count("application_name = 'symbolon'").await > 2);
    assert_eq!(count("query LIKE 'UPDATE sessions AS s %'").await, 1);
    indoors.close().await;
}
