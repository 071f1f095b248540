use super::*;
use crate::entropy::SystemEntropy;
use crate::keys::SigningKey;
use crate::keys::signing_key::PublicKey;

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
const DEFAULT: Policy =
    Policy { rotate_every: DAY.saturating_mul(30), publish_ahead: DAY, longest_token: MINUTE.saturating_mul(15) };
const BEGINNING: Timestamp = Timestamp::EPOCH;

fn public() -> PublicKey {
    SigningKey::generate(&SystemEntropy).public().clone()
}

/// Does to a ring what the store does, and says so if it could not.
fn apply(ring: &mut Vec<Member>, change: &Change, now: Timestamp) {
    let position =
        |ring: &[Member], key_id: &str| ring.iter().position(|member| member.public.key_id() == key_id).unwrap();
    match change {
        Change::Publish => {
            ring.push(Member { created_at: now, ..Member::made(public(), KeyState::Pending) });
        }
        Change::Activate { key_id, retired } => {
            if let Some(retired) = retired {
                let old = position(ring, retired);
                assert_eq!(ring[old].state, KeyState::Active);
                ring[old] = Member { state: KeyState::Retiring, retired_at: Some(now), ..ring[old].clone() };
            }
            let at = position(ring, key_id);
            assert_eq!(ring[at].state, KeyState::Pending);
            ring[at] = Member { state: KeyState::Active, activated_at: Some(now), ..ring[at].clone() };
        }
        Change::Bury { key_id } => {
            let at = position(ring, key_id);
            assert_eq!(ring[at].state, KeyState::Retiring);
            ring[at] = Member { state: KeyState::Gone, ended_at: Some(now), ..ring[at].clone() };
        }
    }
}

/// Plans until there is nothing left to do.
fn settle(ring: &mut Vec<Member>, now: Timestamp, policy: &Policy) {
    for _ in 0..4 {
        let changes = plan(ring, now, policy);
        if changes.is_empty() {
            return;
        }
        for change in &changes {
            apply(ring, change, now);
        }
    }
    panic!("it does not settle: {ring:?}");
}

fn ids(ring: &[Member], wanted: impl Fn(&Member) -> bool) -> Vec<String> {
    ring.iter().filter(|member| wanted(member)).map(|member| member.public.key_id().to_owned()).collect()
}

fn one(ring: &[Member], state: KeyState) -> &Member {
    let found: Vec<_> = ring.iter().filter(|member| member.state == state).collect();
    assert_eq!(found.len(), 1, "{state:?}: {ring:?}");
    found[0]
}

#[test]
fn an_empty_ring_gets_one_key_that_signs_and_one_that_waits() {
    let mut ring = Vec::new();
    settle(&mut ring, BEGINNING, &DEFAULT);
    one(&ring, KeyState::Active);
    one(&ring, KeyState::Pending);
    assert_eq!(ring.len(), 2);
    assert_eq!(plan(&ring, BEGINNING.after(DAY * 29), &DEFAULT), []);
}

#[test]
fn a_key_signs_for_thirty_days_and_verifies_until_its_last_token_is_dead() {
    let mut ring = Vec::new();
    settle(&mut ring, BEGINNING, &DEFAULT);
    let (first, second) = (one(&ring, KeyState::Active).clone(), one(&ring, KeyState::Pending).clone());
    let due = BEGINNING.after(DAY * 30);
    assert_eq!(schedule(&second, &ring, &DEFAULT).activates_at, Some(due));
    assert_eq!(schedule(&first, &ring, &DEFAULT).retires_at, Some(due));
    assert_eq!(plan(&ring, Timestamp::from_millis(due.millis() - 1), &DEFAULT), []);
    settle(&mut ring, due, &DEFAULT);
    assert_eq!(one(&ring, KeyState::Active).public, second.public);
    assert_eq!(one(&ring, KeyState::Retiring).public, first.public);
    // Fifteen minutes of the last token, five of the caches, ten seconds of the clocks.
    let over = due.after(MINUTE * 20 + Duration::from_secs(10));
    assert_eq!(plan(&ring, Timestamp::from_millis(over.millis() - 1), &DEFAULT), []);
    assert_eq!(plan(&ring, over, &DEFAULT), [Change::Bury { key_id: first.public.key_id().to_owned() }]);
    assert_eq!(schedule(one(&ring, KeyState::Retiring), &ring, &DEFAULT).leaves_at, Some(over));
}

#[test]
fn a_key_that_is_asked_for_signs_as_soon_as_it_was_published_long_enough() {
    let mut ring = Vec::new();
    settle(&mut ring, BEGINNING, &DEFAULT);
    let asked_at = BEGINNING.after(Duration::from_secs(7));
    let at = ring.iter().position(|member| member.state == KeyState::Pending).unwrap();
    ring[at].asked_at = Some(asked_at);
    assert_eq!(plan(&ring, Timestamp::from_millis(BEGINNING.after(DAY).millis() - 1), &DEFAULT), []);
    settle(&mut ring, BEGINNING.after(DAY), &DEFAULT);
    assert_eq!(one(&ring, KeyState::Active).asked_at, Some(asked_at));
    // Its successor is not asked for: it waits for its time.
    settle(&mut ring, BEGINNING.after(DAY * 2), &DEFAULT);
    assert_eq!(plan(&ring, BEGINNING.after(DAY * 30), &DEFAULT), []);
}

#[test]
fn without_a_key_that_signs_the_one_that_waits_does_not_wait() {
    let mut ring = Vec::new();
    settle(&mut ring, BEGINNING, &DEFAULT);
    let pending = one(&ring, KeyState::Pending).public.clone();
    ring.iter_mut().filter(|member| member.state == KeyState::Active).for_each(|member| {
        member.state = KeyState::Compromised;
    });
    settle(&mut ring, BEGINNING.after(MINUTE), &DEFAULT);
    assert_eq!(one(&ring, KeyState::Active).public, pending);
    one(&ring, KeyState::Pending);
}

#[test]
fn a_key_that_rotates_faster_than_it_is_published_waits_for_its_publication() {
    let hasty = Policy { rotate_every: MINUTE, ..DEFAULT };
    let mut ring = Vec::new();
    settle(&mut ring, BEGINNING, &hasty);
    assert_eq!(plan(&ring, BEGINNING.after(DAY).before(MINUTE), &hasty), []);
    assert_ne!(plan(&ring, BEGINNING.after(DAY), &hasty), []);
}

#[test]
fn caches_are_told_at_most_half_the_time_a_key_is_published_ahead_and_never_more_than_five_minutes() {
    let max_age = |ahead| Policy { publish_ahead: Duration::from_secs(ahead), ..DEFAULT }.jwks_max_age().as_secs();
    assert_eq!([1, 2, 3, 9, 599, 600, 86_400].map(max_age), [0, 1, 1, 4, 299, 300, 300]);
}

/// R-KEY-02: a verifier that keeps the key set for ten minutes, whenever it fetched it, knows the key of every token that is
/// alive, through a hundred rotations.
#[test]
fn a_verifier_with_a_ten_minute_cache_meets_no_unknown_key_in_a_hundred_rotations() {
    let policy = Policy { rotate_every: DAY, publish_ahead: MINUTE * 60, longest_token: MINUTE * 15 };
    let (step, cached, life) = (MINUTE, 10, 15);
    let mut ring = Vec::new();
    let mut rotations = 0;
    // Minute by minute: what was published, and who signed.
    let mut published: Vec<Vec<String>> = Vec::new();
    let mut signers: Vec<String> = Vec::new();
    let mut now = BEGINNING;
    while rotations < 100 {
        settle(&mut ring, now, &policy);
        published.push(ids(&ring, |member| member.state.is_published()));
        let signer = one(&ring, KeyState::Active).public.key_id().to_owned();
        rotations += usize::from(signers.last().is_some_and(|last| *last != signer));
        signers.push(signer);
        now = now.after(step);
    }
    assert_eq!(ids(&ring, |member| member.state != KeyState::Gone).len(), 3);
    for (minute, _) in signers.iter().enumerate() {
        let alive = &signers[minute.saturating_sub(life - 1)..=minute];
        for known in &published[minute.saturating_sub(cached)..=minute] {
            assert!(alive.iter().all(|signer| known.contains(signer)), "minute {minute}");
        }
    }
}
