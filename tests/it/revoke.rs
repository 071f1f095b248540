//! Ending one session: by id or by any of its tokens, once, and for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use symbolon::pb::auth as pb;
use symbolon::pb::auth::RevokeReason;
use symbolon::pb::auth::revoke_session_request::Target;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{Dice, Server, bad_fields, reason, seconds, sign_in};

fn by_id(session_id: &str) -> pb::RevokeSessionRequest {
    pb::RevokeSessionRequest { target: Some(Target::SessionId(session_id.to_owned())), ..Default::default() }
}

fn by_token(refresh_token: &str) -> pb::RevokeSessionRequest {
    pb::RevokeSessionRequest { target: Some(Target::RefreshToken(refresh_token.to_owned())), ..Default::default() }
}

fn of(subject: &str, request: pb::RevokeSessionRequest) -> pb::RevokeSessionRequest {
    pb::RevokeSessionRequest { subject: subject.to_owned(), ..request }
}

async fn revoked(server: &Server, request: pb::RevokeSessionRequest) -> bool {
    server.client().revoke_session(request).await.unwrap().into_inner().revoked
}

/// A new session: its id and its first refresh token.
async fn session(server: &Server) -> (String, String) {
    let issued = server.issue("alice").await;
    (issued.session.unwrap().session_id, issued.tokens.unwrap().refresh_token)
}

/// R-REV-04
#[tokio::test]
async fn ending_what_is_unknown_over_or_no_token_at_all_is_no_fault_and_changes_nothing() {
    let server = Server::start().await;
    let (revoked_id, revoked_token) = session(&server).await;
    let request = pb::RevokeSessionRequest { reason: RevokeReason::SignedOut.into(), ..by_id(&revoked_id) };
    assert!(revoked(&server, request).await);
    let short = pb::IssueTokensRequest { session_ttl: seconds(60), ..sign_in("alice") };
    let short = server.issue_tokens(short).await.unwrap();
    let (expired_id, expired_token) = (short.session.unwrap().session_id, short.tokens.unwrap().refresh_token);
    let (live_id, live_token) = session(&server).await;
    server.pass(60);
    let first_end = server.session(&revoked_id).await.unwrap();

    let database = server.watch().await;
    let before = database.version().await;
    let nothing_to_end = [
        by_id(&revoked_id),
        by_token(&revoked_token),
        by_id(&expired_id),
        by_token(&expired_token),
        by_id("00000000-0000-8000-8000-000000000000"),
        by_token("sr1_"),
        by_token("garbage"),
        by_token(&live_token[..live_token.len() - 1]),
        by_token(&live_token.to_uppercase()),
    ];
    for request in nothing_to_end {
        assert!(!revoked(&server, request.clone()).await, "{request:?}");
    }
    assert_eq!(database.version().await, before);
    assert_eq!(server.session(&revoked_id).await.unwrap(), first_end);
    assert_eq!(server.session(&live_id).await.unwrap().state(), pb::SessionState::Active);
    server.rotate(&live_token).await;
}

/// R-REV-04
#[tokio::test]
async fn a_spent_token_ends_its_session_as_well_as_the_current_one() {
    let server = Server::start().await;
    for spent in [0, 1, 5] {
        let (session_id, first) = session(&server).await;
        let mut current = first.clone();
        for _ in 0..spent {
            current = server.rotate(&current).await;
            server.pass(600);
        }
        assert!(revoked(&server, by_token(&first)).await);
        assert!(!revoked(&server, by_token(&current)).await);
        let ended = server.session(&session_id).await.unwrap();
        assert_eq!(ended.revoke_reason(), RevokeReason::Administrator, "what is not said is an administrator's");
        assert_eq!(reason(&server.refresh(&current).await.unwrap_err()), "SESSION_REVOKED");
    }
}

/// R-SES-05
#[tokio::test]
async fn with_a_subject_only_that_subjects_session_is_ended_by_id_and_by_token() {
    let server = Server::start().await;
    let (session_id, token) = session(&server).await;
    let database = server.watch().await;
    let before = database.version().await;
    for request in [by_id(&session_id), by_token(&token)] {
        for subject in ["bob", "Alice", "alice ", "alic"] {
            assert!(!revoked(&server, of(subject, request.clone())).await, "{subject}");
        }
    }
    assert_eq!(database.version().await, before);
    assert!(revoked(&server, of("alice", by_token(&token))).await);
    let (session_id, _) = session(&server).await;
    assert!(revoked(&server, of("alice", by_id(&session_id))).await);
}

/// R-RPC-01
#[tokio::test]
async fn a_call_that_names_no_session_is_refused() {
    let server = Server::start().await;
    let refused = async |request| server.client().revoke_session(request).await.unwrap_err();
    for request in [pb::RevokeSessionRequest::default(), by_id(""), by_token("")] {
        assert_eq!(bad_fields(&refused(request).await), ["target"]);
    }
    let all = pb::RevokeSessionRequest { reason: 77, ..of("é", by_id("1")) };
    assert_eq!(bad_fields(&refused(all).await), ["reason", "session_id", "subject"]);
}

/// R-RT-05: one session in each situation in which a token that is not fresh any more would otherwise be answered.
struct Situations {
    /// Session id and the token to present, by the verdict it would get.
    each: Vec<(&'static str, String, String)>,
}

impl Situations {
    /// Ready at the 190th second of sessions that live for 200.
    async fn begin(server: &Server) -> Self {
        let mut each = Vec::new();
        for verdict in ["current", "replay", "repeat", "recover", "stale"] {
            let request = pb::IssueTokensRequest { session_ttl: seconds(200), ..sign_in("alice") };
            let issued = server.issue_tokens(request).await.unwrap();
            each.push((verdict, issued.session.unwrap().session_id, issued.tokens.unwrap().refresh_token));
        }
        let first = |verdict: &str| each.iter().find(|(name, ..)| *name == verdict).unwrap().2.clone();
        server.pass(100);
        server.rotate(&first("repeat")).await;
        server.rotate(&first("recover")).await;
        server.pass(40);
        let recovered = server.pair(&first("repeat")).await;
        server.pass(50);
        server.rotate(&first("replay")).await;
        let second = server.rotate(&first("stale")).await;
        server.rotate(&second).await;

        // Each is what it is called, as far as asking leaves it so.
        assert_eq!(server.pair(&first("repeat")).await, recovered);
        server.pair(&first("replay")).await;
        let stale = server.refresh(&first("stale")).await.unwrap_err();
        assert_eq!(reason(&stale), "REFRESH_TOKEN_STALE");
        Self { each }
    }

    async fn all_refused(&self, server: &Server, expected: &str) {
        for (verdict, _, token) in &self.each {
            let refused = server.refresh(token).await.unwrap_err();
            assert_eq!((*verdict, reason(&refused).as_str()), (*verdict, expected));
        }
    }
}

/// R-RT-05
#[tokio::test]
async fn a_revoked_session_refuses_every_token_in_every_situation() {
    let server = Server::start().await;
    let situations = Situations::begin(&server).await;
    for (_, session_id, _) in &situations.each {
        assert!(server.revoke(session_id).await);
    }
    situations.all_refused(&server, "SESSION_REVOKED").await;
    // Still so when it would have expired.
    server.pass(11);
    situations.all_refused(&server, "SESSION_REVOKED").await;
}

/// R-RT-05
#[tokio::test]
async fn an_expired_session_refuses_every_token_in_every_situation() {
    let server = Server::start().await;
    let situations = Situations::begin(&server).await;
    let database = server.watch().await;
    let before = database.version().await;
    server.pass(10);
    situations.all_refused(&server, "SESSION_EXPIRED").await;
    assert_eq!(database.version().await, before);
}

/// R-RT-05
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_began_after_a_revocation_returned_yields_nothing() {
    let server = Arc::new(Server::start().await);
    let (mut yielded, mut refused) = (0, 0);
    for _ in 0..30 {
        let (session_id, first) = session(&server).await;
        let current = server.rotate(&first).await;
        let gate = Arc::new(Barrier::new(21));
        let over = Arc::new(AtomicBool::new(false));
        let mut racing = JoinSet::new();
        for number in 0..20 {
            let (server, gate, over) = (server.clone(), gate.clone(), over.clone());
            let token = if number % 2 == 0 { current.clone() } else { first.clone() };
            racing.spawn(async move {
                gate.wait().await;
                let mut held = vec![token];
                loop {
                    let was_over = over.load(Ordering::SeqCst);
                    match server.refresh(held.last().unwrap()).await {
                        Ok(answer) => {
                            assert!(!was_over, "a refresh that began after the revocation yielded");
                            held.push(answer.tokens.unwrap().refresh_token);
                        }
                        Err(why) if reason(&why) == "REFRESH_TOKEN_STALE" => {
                            assert!(!was_over, "a revoked session was called stale");
                            return held;
                        }
                        Err(why) => {
                            assert_eq!(reason(&why), "SESSION_REVOKED");
                            return held;
                        }
                    }
                }
            });
        }
        gate.wait().await;
        tokio::task::yield_now().await;
        assert!(server.revoke(&session_id).await);
        over.store(true, Ordering::SeqCst);
        while let Some(held) = racing.join_next().await {
            for token in held.unwrap() {
                yielded += 1;
                assert_eq!(reason(&server.refresh(&token).await.unwrap_err()), "SESSION_REVOKED");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && yielded > 30 * 20, "no refresh came before a revocation: {yielded}");
}

/// R-RT-05
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_interleaving_a_session_has_one_usable_token() {
    let server = Arc::new(Server::start().await);
    let dice = Dice::seeded(5);
    for _ in 0..20 {
        let (_, first) = session(&server).await;
        let mut held = vec![first];
        for _ in 0..3 {
            let mut racing = JoinSet::new();
            for _ in 0..10 {
                // One of the newest three.
                let back = usize::try_from(dice.below(3)).unwrap().min(held.len() - 1);
                let (server, token) = (server.clone(), held[held.len() - 1 - back].clone());
                racing.spawn(async move { server.refresh(&token).await });
            }
            while let Some(answer) = racing.join_next().await {
                held.extend(answer.unwrap().ok().map(|answer| answer.tokens.unwrap().refresh_token));
            }
            held.sort();
            held.dedup();
            let mut active = Vec::new();
            for token in &held {
                if server.introspect(token).await.active {
                    active.push(token.clone());
                }
            }
            assert_eq!(active.len(), 1, "{} tokens of {} are usable", active.len(), held.len());
            // The newest last, for the next round.
            held.retain(|token| *token != active[0]);
            held.extend(active);
            server.pass(1);
        }
    }
}
