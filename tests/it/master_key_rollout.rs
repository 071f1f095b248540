//! A new master key comes to replicas one by one, and an old one goes: nobody is signed out on the way, and what was forgotten
//! is told before it hurts.

use std::path::Path;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::key_service_client::KeyServiceClient;
use symbolon::pb::auth::{
    IntrospectTokenRequest, ListSessionsRequest, RevokeSigningKeyRequest, RotateSigningKeyRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{MASTER_KEY, OTHER_MASTER_KEY, Postgres, Process, reason, redeem, sign_in};

async fn replica(dir: &Path, url: &str, master_keys: &str) -> Process {
    Process::dev(dir, &[("SYMBOLON_DATABASE_URL", url), ("SYMBOLON_MASTER_KEYS", master_keys)]).await
}

fn first_and_second(first: &str, second: &str) -> String {
    format!("{first},{second}")
}

/// Users who refresh at two replicas in turn.
struct Users {
    tokens: Vec<String>,
    refreshes: usize,
}

impl Users {
    async fn sign_in(replica: &Process) -> Self {
        let mut client = replica.client().await;
        let mut tokens = Vec::new();
        for user in 0..10 {
            let issued = client.issue_tokens(sign_in(&format!("user-{user}"))).await.unwrap().into_inner();
            tokens.push(issued.tokens.unwrap().refresh_token);
        }
        Self { tokens, refreshes: 0 }
    }

    /// Each refreshes so often. A replica that does not hold the key (yet) says so and is passed over, as by a balancer that
    /// tries another one: a user whom nobody serves is lost.
    async fn refresh(&mut self, times: usize, replicas: [&Process; 2]) -> usize {
        let mut clients = [replicas[0].client().await, replicas[1].client().await];
        let mut passed_over = 0;
        for turn in 0..times {
            for token in &mut self.tokens {
                let mut next = served(&mut clients[turn % 2], token).await;
                if next.is_none() {
                    passed_over += 1;
                    next = served(&mut clients[(turn + 1) % 2], token).await;
                }
                *token = next.expect("a user is lost");
                self.refreshes += 1;
            }
        }
        passed_over
    }
}

async fn served(client: &mut AuthServiceClient<Channel>, token: &str) -> Option<String> {
    match client.refresh_tokens(redeem(token)).await {
        Ok(answer) => {
            let tokens = answer.into_inner().tokens.unwrap();
            let request = IntrospectTokenRequest { token: tokens.access_token };
            assert!(client.introspect_token(request).await.unwrap().into_inner().active);
            Some(tokens.refresh_token)
        }
        Err(refused) => {
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "MASTER_KEY_UNKNOWN"));
            None
        }
    }
}

/// How often the first user has refreshed.
async fn generation(replica: &Process) -> u64 {
    let request = ListSessionsRequest { subject: "user-0".to_owned(), ..Default::default() };
    replica.client().await.list_sessions(request).await.unwrap().into_inner().sessions[0].generation
}

async fn rewrap(dir: &Path, url: &str, master_keys: &str) -> String {
    let mut command = Process::command(dir);
    command.args(["keys", "rewrap"]).env("SYMBOLON_DATABASE_URL", url).env("SYMBOLON_MASTER_KEYS", master_keys);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Under which master keys private halves are sealed, each once.
async fn sealed_under(url: &str) -> Vec<i32> {
    let database = sea_orm::Database::connect(url).await.unwrap();
    let sql = "SELECT DISTINCT master_key_id FROM signing_keys WHERE sealed_seed IS NOT NULL ORDER BY master_key_id";
    let rows = database.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// R-KEY-06
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_is_replaced_replica_by_replica_and_nobody_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let (old, new) = (MASTER_KEY, OTHER_MASTER_KEY);
    let [added, promoted] = [first_and_second(old, new), first_and_second(new, old)];
    let mut one = replica(dir.path(), &url, old).await;
    let mut other = replica(dir.path(), &url, old).await;
    let mut users = Users::sign_in(&one).await;

    // Added as second, to one first; promoted, by one first.
    for keys in [&added, &promoted] {
        one = replica(dir.path(), &url, keys).await;
        assert_eq!(users.refresh(50, [&one, &other]).await, 0, "nobody even had to ask again");
        other = replica(dir.path(), &url, keys).await;
        assert_eq!(users.refresh(50, [&one, &other]).await, 0);
    }
    assert_eq!(users.refreshes, 2000);

    // The old one is given up: what it sealed is sealed anew, beside running replicas, and once is enough.
    assert_eq!(sealed_under(&url).await, [1]);
    let told = rewrap(dir.path(), &url, &promoted).await;
    assert_eq!(told.lines().filter(|line| line.ends_with("is sealed under master key 2 now")).count(), 2, "{told}");
    assert_eq!(rewrap(dir.path(), &url, &promoted).await, "nothing to do\n");
    assert_eq!(sealed_under(&url).await, [2]);
    users.refresh(2, [&one, &other]).await;
    let last = replica(dir.path(), &url, new).await;
    assert_eq!(users.refresh(20, [&last, &last]).await, 0, "every token is the new key's by now");
}

/// R-KEY-06: the order is wrong, and still nobody is signed out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_that_is_promoted_before_everybody_has_it_makes_some_ask_again_and_loses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let other = replica(dir.path(), &url, MASTER_KEY).await;
    let hasty = replica(dir.path(), &url, &first_and_second(OTHER_MASTER_KEY, MASTER_KEY)).await;
    let mut users = Users::sign_in(&other).await;
    let passed_over = users.refresh(100, [&hasty, &other]).await;
    assert!(passed_over > 0, "the old replica cannot have known the new key");
    assert_eq!(users.refreshes, 1000);
}

/// R-KEY-06: a replica that cannot open the next signing key says so while there is time, is not ready once that key signs,
/// and leaves its users to the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_without_the_master_key_of_the_signing_key_says_so_and_hands_over() {
    let dir = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let other = replica(dir.path(), &url, MASTER_KEY).await;
    let mut users = Users::sign_in(&other).await;
    let hasty = replica(dir.path(), &url, &first_and_second(OTHER_MASTER_KEY, MASTER_KEY)).await;
    let mut keys = KeyServiceClient::connect(format!("http://{}", hasty.grpc)).await.unwrap();
    let followed = async || tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    // The key that waited was sealed under the old one; its successor is not.
    let request = RotateSigningKeyRequest { skip_publish_ahead: true, ..Default::default() };
    let signs = keys.rotate_signing_key(request).await.unwrap().into_inner().key.unwrap();
    followed().await;
    let said = String::from_utf8(other.output()).unwrap();
    assert!(said.contains("this replica cannot sign with the next signing key"), "{said}");
    assert!(other.get("/readyz").await.starts_with("HTTP/1.1 200"));
    keys.revoke_signing_key(RevokeSigningKeyRequest { key_id: signs.key_id }).await.unwrap();
    followed().await;
    let answer = other.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("the signing key cannot be opened"), "{answer}");
    let mut client = other.client().await;
    let before = generation(&hasty).await;
    for _ in 0..3 {
        let refused = client.refresh_tokens(redeem(&users.tokens[0])).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "SIGNING_UNAVAILABLE"));
    }
    assert_eq!(generation(&hasty).await, before, "it was rotated, and nobody has the token");
    assert_eq!(users.refresh(5, [&hasty, &hasty]).await, 0);
    // And one that starts now is refused, naming the key.
    let mut command = Process::command(dir.path());
    Process::say_dev(&mut command);
    command.env("SYMBOLON_DATABASE_URL", &url).env("SYMBOLON_MASTER_KEYS", MASTER_KEY);
    let output = command.output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "it started");
    assert!(told.contains("sealed under master key 2, which this process does not hold"), "{told}");
}
