use std::path::Path;

use sha2::{Digest, Sha256};
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::{Process, Server};

/// The entry of a caller whose secret is its name.
pub(crate) fn entry(name: &str, says: &str) -> String {
    format!("[callers.{name}]\ntoken_sha256 = [\"{}\"]\n{says}\n", hash(name))
}

/// The SHA-256 of a secret as a callers file has it.
pub(crate) fn hash(secret: &str) -> String {
    Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every permission there is.
pub(crate) const ALL: &str =
    r#"permissions = ["issue", "refresh", "revoke", "introspect", "list", "update", "watch", "keys", "erase"]"#;

/// Declares the caller `backend`, who may do everything with the client `web`: the setting that says so.
pub(crate) fn declare_backend(dir: &Path) -> (&'static str, &'static str) {
    std::fs::write(dir.join("callers.toml"), entry("backend", &format!("{ALL}\nclients = [\"web\"]"))).unwrap();
    ("SYMBOLON_CALLERS_FILE", "callers.toml")
}

/// Puts a secret into every request.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

/// A client that brings a secret.
pub(crate) type Called = AuthServiceClient<InterceptedService<Channel, Bearer>>;

impl Bearer {
    fn calls(channel: Channel, secret: &str) -> Called {
        AuthServiceClient::with_interceptor(channel, Self(format!("Bearer {secret}").parse().unwrap()))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

impl Server {
    /// A client that brings this secret.
    pub(crate) fn as_caller(&self, secret: &str) -> Called {
        Bearer::calls(self.channel(), secret)
    }
}

impl Process {
    /// A client that brings this secret.
    pub(crate) async fn as_caller(&self, secret: &str) -> Called {
        let channel = Channel::from_shared(format!("http://{}", self.grpc)).unwrap();
        Bearer::calls(channel.connect().await.unwrap(), secret)
    }
}
