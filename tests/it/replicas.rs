//! Two servers on one PostgreSQL are one service: whichever is asked, and however many ask at once.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{
    GetSessionRequest, IntrospectTokenRequest, IssueTokensRequest, IssueTokensResponse, ListSessionsRequest,
    RevokeSessionRequest, revoke_session_request,
};
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{Dice, Postgres, Process, reason, redeem, sign_in, soaking};

/// Two servers on a database of their own.
struct Replicas {
    clients: [AuthServiceClient<Channel>; 2],
    _servers: [Process; 2],
    _dir: TempDir,
}

impl Replicas {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = Postgres::shared().database().await;
        let servers = [Process::replica(dir.path(), &url).await, Process::replica(dir.path(), &url).await];
        let clients = [servers[0].client().await, servers[1].client().await];
        Self { clients, _servers: servers, _dir: dir }
    }

    /// The client of one of them, by turns.
    fn client(&self, turn: usize) -> AuthServiceClient<Channel> {
        self.clients[turn % 2].clone()
    }

    async fn issue(&self, turn: usize) -> IssueTokensResponse {
        self.client(turn).issue_tokens(sign_in("alice")).await.unwrap().into_inner()
    }

    async fn generation(&self, session_id: &str) -> u64 {
        let request = GetSessionRequest { session_id: session_id.to_owned() };
        self.client(0).get_session(request).await.unwrap().into_inner().session.unwrap().generation
    }
}

fn refresh_token(issued: &IssueTokensResponse) -> String {
    issued.tokens.clone().unwrap().refresh_token
}

fn session_id(issued: &IssueTokensResponse) -> String {
    issued.session.clone().unwrap().session_id
}

/// R-RT-01, R-RT-12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_parallel_refreshes_over_two_servers_get_one_successor_and_rotate_once() {
    let replicas = Replicas::start().await;
    let issued = replicas.issue(0).await;
    let mut token = refresh_token(&issued);
    let rounds = 100;
    for round in 1..=rounds {
        let calls = (0..50).map(|turn| {
            let (mut client, request) = (replicas.client(turn), redeem(&token));
            tokio::spawn(async move { client.refresh_tokens(request).await })
        });
        let answers = join_all(calls).await.into_iter().map(|answer| answer.unwrap().unwrap().into_inner());
        let answers: Vec<_> = answers.map(|answer| (answer.tokens.unwrap(), answer.session.unwrap())).collect();
        let refresh: BTreeSet<_> = answers.iter().map(|(tokens, _)| tokens.refresh_token.clone()).collect();
        let access: BTreeSet<_> = answers.iter().map(|(tokens, _)| tokens.access_token.clone()).collect();
        assert_eq!((refresh.len(), access.len()), (1, 1), "round {round}");
        assert!(answers.iter().all(|(_, session)| session.generation == round + 1), "round {round}");
        token = refresh.into_iter().next().unwrap();
    }
    assert_eq!(replicas.generation(&session_id(&issued)).await, rounds + 1);
}

/// Pages of one browser that know nothing of each other but the jar their cookie lies in.
struct Tabs<'a> {
    replicas: &'a Replicas,
    jar: Mutex<String>,
    stale: &'a AtomicU64,
}

/// How often a page that holds an old token looks into the jar again.
const LOOKS: usize = 3;

impl Tabs<'_> {
    /// One page: refreshes once, as soon as it has waited.
    async fn refresh(&self, turn: usize, wait: Duration) {
        tokio::time::sleep(wait).await;
        let mut client = self.replicas.client(turn);
        for look in 0..=LOOKS {
            let token = self.jar.lock().unwrap().clone();
            match client.refresh_tokens(redeem(&token)).await {
                Ok(answer) => {
                    *self.jar.lock().unwrap() = answer.into_inner().tokens.unwrap().refresh_token;
                    return;
                }
                Err(status) => {
                    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "REFRESH_TOKEN_STALE"));
                    assert!(look < LOOKS, "signed out: the jar holds nothing newer");
                    self.stale.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// R-RT-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_pages_with_one_jar_over_two_servers_are_never_signed_out() {
    /// In milliseconds.
    const SPREAD: u64 = 2000;
    const BROWSERS: usize = 25;
    let replicas = Replicas::start().await;
    let (dice, stale) = (Dice::seeded(7), AtomicU64::new(0));
    let (mut together, mut apart) = (0, 0);
    let rounds = if soaking() { 1000 } else { 100 };
    // Many browsers at a time, each with a session of its own.
    for _ in 0..rounds / BROWSERS {
        let browsers = (0..BROWSERS).map(|browser| {
            let waits: Vec<_> = (0..10).map(|_| Duration::from_micros(dice.below(SPREAD * 1000))).collect();
            let (replicas, stale) = (&replicas, &stale);
            async move {
                let issued = replicas.issue(browser).await;
                let tabs = Tabs { replicas, jar: Mutex::new(refresh_token(&issued)), stale };
                let pages = waits.into_iter().enumerate().map(|(turn, wait)| tabs.refresh(browser + turn, wait));
                join_all(pages).await;
                tabs.refresh(browser, Duration::ZERO).await;
                replicas.generation(&session_id(&issued)).await
            }
        });
        for generation in join_all(browsers).await {
            // Eleven refreshes: fewer generations if some shared one, two if all did.
            together += u64::from(generation < 12);
            apart += u64::from(generation > 3);
        }
    }
    println!("{together} rounds with shared successors, {apart} with several, {} times stale", stale.into_inner());
    assert!(together > 0 && apart > 0, "nobody met anybody");
}

/// R-RT-05
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_yields_tokens_once_a_revocation_on_one_server_was_answered() {
    let replicas = Replicas::start().await;
    let dice = Dice::seeded(11);
    let mut raced = 0;
    for round in 0..if soaking() { 1000 } else { 50 } {
        let issued = replicas.issue(round).await;
        let (revoked, jar) = (AtomicBool::new(false), Mutex::new(refresh_token(&issued)));
        let handed_out = Mutex::new(BTreeSet::from([refresh_token(&issued)]));
        let refresh = async |turn| {
            let mut client = replicas.client(turn);
            loop {
                let (after, token) = (revoked.load(Ordering::SeqCst), jar.lock().unwrap().clone());
                match client.refresh_tokens(redeem(&token)).await {
                    Ok(answer) => {
                        assert!(!after, "a revoked session lives");
                        let next = answer.into_inner().tokens.unwrap().refresh_token;
                        jar.lock().unwrap().clone_from(&next);
                        handed_out.lock().unwrap().insert(next);
                    }
                    Err(status) if reason(&status) == "REFRESH_TOKEN_STALE" => assert!(!after, "stale, not revoked"),
                    Err(status) => {
                        assert_eq!(reason(&status), "SESSION_REVOKED");
                        return;
                    }
                }
            }
        };
        let revoke = async {
            tokio::time::sleep(Duration::from_micros(dice.below(20_000))).await;
            let target = Some(revoke_session_request::Target::SessionId(session_id(&issued)));
            let request = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
            assert!(replicas.client(round).revoke_session(request).await.unwrap().into_inner().revoked);
            revoked.store(true, Ordering::SeqCst);
        };
        tokio::join!(join_all((0..8).map(refresh)), revoke);

        let handed_out = handed_out.into_inner().unwrap();
        raced += usize::from(handed_out.len() > 2);
        for token in &handed_out {
            for turn in 0..2 {
                let refused = replicas.client(turn).refresh_tokens(redeem(token)).await.unwrap_err();
                assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "SESSION_REVOKED"));
            }
        }
    }
    assert!(raced > 10, "only {raced} revocations met refreshes");
}

/// R-RT-09
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_at_once_on_two_servers_starts_one_session() {
    let replicas = Replicas::start().await;
    for round in 0..20 {
        let subject = format!("alice {round}");
        let request_id = uuid::Uuid::from_u128(round + 1).to_string();
        let request = IssueTokensRequest { request_id, ..sign_in(&subject) };
        let calls = (0..20).map(|turn| {
            let (mut client, request) = (replicas.client(turn), request.clone());
            tokio::spawn(async move { client.issue_tokens(request).await })
        });
        let answers = join_all(calls).await.into_iter().map(|answer| answer.unwrap().unwrap().into_inner());
        let tokens: BTreeSet<_> =
            answers.map(|answer| answer.tokens.unwrap()).map(|pair| (pair.refresh_token, pair.access_token)).collect();
        assert_eq!(tokens.len(), 1, "round {round}");
        let theirs = ListSessionsRequest { subject, ..ListSessionsRequest::default() };
        assert_eq!(replicas.client(0).list_sessions(theirs).await.unwrap().into_inner().sessions.len(), 1);
    }
}

/// R-RT-12
#[tokio::test]
async fn what_one_server_did_the_other_knows() {
    let replicas = Replicas::start().await;
    let (mut one, mut other) = (replicas.client(0), replicas.client(1));
    let issued = replicas.issue(0).await;
    let next = other.refresh_tokens(redeem(&refresh_token(&issued))).await.unwrap().into_inner();
    let (tokens, session) = (next.tokens.unwrap(), next.session.unwrap());
    assert_eq!((session.session_id, session.generation), (session_id(&issued), 2));

    let request = IntrospectTokenRequest { token: tokens.access_token };
    let judged = one.introspect_token(request.clone()).await.unwrap().into_inner();
    assert!(judged.active, "a token of the other server is none of ours");
    let third = one.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap().into_inner().tokens.unwrap();
    let target = Some(revoke_session_request::Target::RefreshToken(third.refresh_token.clone()));
    let revoke = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
    assert!(other.revoke_session(revoke).await.unwrap().into_inner().revoked);
    // R-REV-03: the other server learns of it within a second.
    let within_a_second = tokio::time::timeout(Duration::from_secs(1), async {
        while one.introspect_token(request.clone()).await.unwrap().into_inner().active {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    within_a_second.await.unwrap();
    let refused = one.refresh_tokens(redeem(&third.refresh_token)).await.unwrap_err();
    assert_eq!(reason(&refused), "SESSION_REVOKED");
}
