use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Stands between a server and its PostgreSQL, and breaks connections at the worst moment.
pub(crate) struct Proxy {
    url: String,
    plan: Arc<Plan>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Plan {
    /// How many of the next answers to a change are lost, each with its connection.
    answers: AtomicU64,
    /// How many of the next requests are lost, each with its connection.
    requests: AtomicU64,
    lost: AtomicU64,
}

/// How an answer ends: PostgreSQL is ready for the next statement. Outside a transaction this one is committed.
const READY: &[u8] = b"Z\0\0\0\x05";
const OUTSIDE: u8 = b'I';

/// What PostgreSQL says of a statement that has changed something, or made it last.
const DONE: [&[u8]; 3] = [b"UPDATE ", b"INSERT ", b"COMMIT"];

impl Proxy {
    /// In front of the PostgreSQL of this URL.
    pub(crate) async fn before(url: &str) -> Self {
        let (user, place) = url.split_once('@').unwrap();
        let (host, database) = place.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{user}@{}/{database}", listener.local_addr().unwrap());
        let plan = Arc::new(Plan::default());
        let task = tokio::spawn(accept(listener, host.to_owned(), Arc::clone(&plan)));
        Self { url, plan, task }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Loses the answers to the next changes that are committed.
    pub(crate) fn lose_answers(&self, count: u64) {
        self.plan.answers.store(count, Ordering::SeqCst);
    }

    /// Loses what is asked next.
    pub(crate) fn lose_requests(&self, count: u64) {
        self.plan.requests.store(count, Ordering::SeqCst);
    }

    /// How often something was lost.
    pub(crate) fn lost(&self) -> u64 {
        self.plan.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Plan {
    /// Whether this is one to lose.
    fn lose(&self, left: &AtomicU64) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let lose = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        self.lost.fetch_add(u64::from(lose), Ordering::SeqCst);
        lose
    }
}

async fn accept(listener: TcpListener, host: String, plan: Arc<Plan>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let (host, plan) = (host.clone(), Arc::clone(&plan));
        tokio::spawn(async move {
            // Either end may leave whenever it likes.
            let _ = connect(client, &host, &plan).await;
        });
    }
}

/// Passes bytes on in both directions until one is to be lost; then both connections are closed.
async fn connect(mut client: TcpStream, host: &str, plan: &Plan) -> std::io::Result<()> {
    let mut server = TcpStream::connect(host).await?;
    let (mut asked, mut told) = ([0; 4096], [0; 4096]);
    // What PostgreSQL has said since it was last ready.
    let mut answer = Vec::new();
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read?];
                if bytes.is_empty() || plan.lose(&plan.requests) {
                    return Ok(());
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut told) => {
                let bytes = &told[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                answer.extend_from_slice(bytes);
                let changed = DONE.iter().any(|done| answer.windows(done.len()).any(|window| window == *done));
                let (status, said) = answer.split_last().unwrap();
                if changed && !said.ends_with(READY) {
                    continue;
                }
                if changed && *status == OUTSIDE && plan.lose(&plan.answers) {
                    return Ok(());
                }
                client.write_all(&answer).await?;
                answer.clear();
            }
        }
    }
}
