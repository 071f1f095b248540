use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::{RevokeSessionRequest, revoke_session_request};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::{Process, assert_ask_again, reason, redeem, sign_in};

const ROTATING: usize = 20;

/// How long a client that was told to ask again waits. Shorter than it was told, to see how soon it is answered.
const PAUSE: Duration = Duration::from_millis(50);

/// Clients that rotate, sign in and sign out as fast as they can, and remember what was acknowledged.
#[derive(Default)]
pub(crate) struct Load {
    /// Each rotating client's newest refresh token.
    current: Mutex<Vec<String>>,
    /// Of sessions that were signed in and not used since.
    unused: Mutex<Vec<String>>,
    /// Of sessions that were ended.
    revoked: Mutex<Vec<String>>,
    rotations: AtomicU64,
    refusals: AtomicU64,
    /// Clients whose server went away in the middle of a call.
    left: AtomicU64,
    slowest: Mutex<Duration>,
    over: AtomicBool,
}

/// An answer, and whether the call had been told to ask again before.
struct Answer<T> {
    message: T,
    doubted: bool,
}

impl Load {
    /// Begins to load these servers, each with as many clients as every other. Ends when told to, and what loads a server that is gone ends
    /// by itself.
    pub(crate) async fn start(self: &Arc<Self>, servers: &[&Process]) -> JoinSet<()> {
        self.over.store(false, Ordering::Relaxed);
        let mut client = servers[0].client().await;
        while self.current.lock().unwrap().len() < ROTATING {
            let issued = client.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
            self.current.lock().unwrap().push(issued.tokens.unwrap().refresh_token);
        }
        let mut clients = JoinSet::new();
        for at in 0..ROTATING {
            let (load, client) = (Arc::clone(self), servers[at % servers.len()].client().await);
            clients.spawn(async move { load.rotate(client, at).await });
        }
        for server in servers {
            let (load, client) = (Arc::clone(self), server.client().await);
            clients.spawn(async move { load.revoke(client).await });
        }
        clients
    }

    /// Tells the clients to end, and waits until they have. Fails if one of them was told what it may not be told.
    pub(crate) async fn end(&self, clients: JoinSet<()>) {
        self.over.store(true, Ordering::Relaxed);
        clients.join_all().await;
    }

    /// Waits until `more` rotations and some revocations were acknowledged.
    pub(crate) async fn until(&self, more: u64) {
        let (rotations, revocations) = (self.rotations(), self.revocations());
        let worked = async {
            while self.rotations() < rotations + more || self.revocations() < revocations + 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let worked = tokio::time::timeout(Duration::from_secs(30), worked).await;
        worked.unwrap_or_else(|_| panic!("{} rotations and no more", self.rotations() - rotations));
    }

    pub(crate) fn rotations(&self) -> u64 {
        self.rotations.load(Ordering::Relaxed)
    }

    pub(crate) fn revocations(&self) -> usize {
        self.revoked.lock().unwrap().len() / 2
    }

    /// How often somebody was told to ask again.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    pub(crate) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// What the slowest call took.
    pub(crate) fn slowest(&self) -> Duration {
        *self.slowest.lock().unwrap()
    }

    /// Fails unless every acknowledged token works, and no token of a revoked session does.
    pub(crate) async fn check(&self, server: &Process) {
        let mut client = server.client().await;
        let mut current = self.current.lock().unwrap().clone();
        for token in &mut current {
            *token = good(&mut client, token).await;
        }
        *self.current.lock().unwrap() = current;
        let unused = std::mem::take(&mut *self.unused.lock().unwrap());
        for token in unused {
            good(&mut client, &token).await;
        }
        let revoked = self.revoked.lock().unwrap().clone();
        for token in &revoked {
            let refused = client.refresh_tokens(redeem(token)).await.expect_err("a revoked session lives");
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "SESSION_REVOKED"));
        }
    }

    /// Makes a call until it is answered. `None`: the server is gone, or it is over.
    async fn insist<T, F>(&self, call: impl Fn() -> F) -> Option<Answer<T>>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut doubted = false;
        while !self.over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let outcome = call().await;
            {
                let mut slowest = self.slowest.lock().unwrap();
                *slowest = begun.elapsed().max(*slowest);
            }
            match outcome {
                Ok(answer) => return Some(Answer { message: answer.into_inner(), doubted }),
                // Not a word of ours: the connection broke.
                Err(status) if reason(&status).is_empty() => {
                    self.left.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                Err(status) => assert_ask_again(&status),
            }
            doubted = true;
            self.refusals.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    /// Redeems a token until it is answered.
    async fn redeem(&self, client: &AuthServiceClient<Channel>, token: &str) -> Option<String> {
        let call = || {
            let (mut client, request) = (client.clone(), redeem(token));
            async move { client.refresh_tokens(request).await }
        };
        let answer = self.insist(call).await?;
        self.rotations.fetch_add(1, Ordering::Relaxed);
        Some(answer.message.tokens.unwrap().refresh_token)
    }

    /// One acknowledged token after the other.
    async fn rotate(&self, client: AuthServiceClient<Channel>, number: usize) {
        let mut token = self.current.lock().unwrap()[number].clone();
        while let Some(next) = self.redeem(&client, &token).await {
            token = next;
            self.current.lock().unwrap()[number].clone_from(&token);
        }
    }

    /// Signs in, rotates once and signs out.
    async fn revoke(&self, client: AuthServiceClient<Channel>) {
        let issue = || {
            let mut client = client.clone();
            async move { client.issue_tokens(sign_in("mallory")).await }
        };
        while let Some(issued) = self.insist(issue).await {
            let first = issued.message.tokens.unwrap().refresh_token;
            let Some(second) = self.redeem(&client, &first).await else {
                self.unused.lock().unwrap().push(first);
                return;
            };
            let target = Some(revoke_session_request::Target::RefreshToken(second.clone()));
            let request = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
            let revoke = || {
                let (mut client, request) = (client.clone(), request.clone());
                async move { client.revoke_session(request).await }
            };
            // Not answered, it may be ended or not.
            let Some(ended) = self.insist(revoke).await else { return };
            // If the answer of the first try was lost, the second one finds that it is over already.
            assert!(ended.message.revoked || ended.doubted, "a live session was not ended");
            self.revoked.lock().unwrap().extend([first, second]);
        }
    }
}

/// Redeems a token that must be good, and answers its successor.
async fn good(client: &mut AuthServiceClient<Channel>, token: &str) -> String {
    let answer = client.refresh_tokens(redeem(token)).await;
    let answer = answer.unwrap_or_else(|status| panic!("an acknowledged token was lost: {status:?}"));
    answer.into_inner().tokens.unwrap().refresh_token
}
