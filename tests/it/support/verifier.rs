use std::sync::{Arc, Mutex};
use std::time::Duration;

use symbolon::pb::identity::credential_verifier_service_server::{
    CredentialVerifierService, CredentialVerifierServiceServer,
};
use symbolon::pb::identity::verify_credentials_response::Verdict;
use symbolon::pb::identity::{DenialReason, Denied, Verified, VerifyCredentialsRequest, VerifyCredentialsResponse};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A credential verifier that says what it is told to, well-behaved or not. Ends when dropped.
pub(crate) struct Verifier {
    pub(crate) url: String,
    says: Arc<Mutex<Says>>,
    asked: Asked,
    task: JoinHandle<()>,
}

/// What it was asked, with the `authorization` that came along.
type Asked = Arc<Mutex<Vec<(VerifyCredentialsRequest, Option<String>)>>>;

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    Yes(Verified),
    No(Denied),
    /// Neither.
    Nothing,
    /// An error of its own.
    Fails(tonic::Code),
    Sleeps(Duration),
}

impl Says {
    pub(crate) fn yes(subject: &str) -> Self {
        Self::Yes(Verified { subject: subject.to_owned(), ..Verified::default() })
    }

    pub(crate) fn no(reason: DenialReason) -> Self {
        Self::No(Denied { reason: reason.into(), ..Denied::default() })
    }
}

impl Verifier {
    pub(crate) async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (says, asked) = (Arc::new(Mutex::new(says)), Asked::default());
        let service = CredentialVerifierServiceServer::new(Told(Arc::clone(&says), Arc::clone(&asked)));
        let task = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { url, says, asked, task }
    }

    pub(crate) fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<(VerifyCredentialsRequest, Option<String>)> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Told(Arc<Mutex<Says>>, Asked);

#[tonic::async_trait]
impl CredentialVerifierService for Told {
    async fn verify_credentials(
        &self,
        request: Request<VerifyCredentialsRequest>,
    ) -> Result<Response<VerifyCredentialsResponse>, Status> {
        let authorization = request.metadata().get("authorization").map(|it| it.to_str().unwrap().to_owned());
        self.1.lock().unwrap().push((request.into_inner(), authorization));
        let says = self.0.lock().unwrap().clone();
        let verdict = match says {
            Says::Yes(verified) => Some(Verdict::Verified(verified)),
            Says::No(denied) => Some(Verdict::Denied(denied)),
            Says::Nothing => None,
            Says::Fails(code) => return Err(Status::new(code, "told to")),
            Says::Sleeps(duration) => {
                tokio::time::sleep(duration).await;
                None
            }
        };
        Ok(Response::new(VerifyCredentialsResponse { verdict }))
    }
}
