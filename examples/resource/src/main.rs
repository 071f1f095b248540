//! Starts the service on this machine.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};

use symbolon_example_resource::serve;
use symbolon_verifier::{Issuer, Verifier, WhenStale};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let setting = |name, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let mut issuer = Issuer::new(setting("RESOURCE_ISSUER", "http://localhost:8080"));
    // With a connection to Symbolon revocations count within a second, and keys come over it too.
    if let Ok(url) = env::var("RESOURCE_SYMBOLON_URL") {
        issuer = issuer.endpoint(Endpoint::from_shared(url)?.connect_lazy()).revocations(WhenStale::Open);
    }
    if let Ok(secret) = env::var("RESOURCE_SYMBOLON_SECRET") {
        issuer = issuer.caller_secret(secret);
    }
    let verifier = Verifier::new(issuer, setting("RESOURCE_AUDIENCE", "api")).start().await?;

    let grpc = TcpListener::bind(setting("RESOURCE_GRPC_LISTEN", "localhost:50053")).await?;
    let http = TcpListener::bind(setting("RESOURCE_HTTP_LISTEN", "localhost:3002")).await?;
    writeln!(stdout(), "gRPC       {}", grpc.local_addr()?)?;
    writeln!(stdout(), "HTTP       http://{}", http.local_addr()?)?;
    serve(verifier, grpc, http).await
}
