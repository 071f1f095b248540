//! Starts the backend on this machine.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};

use symbolon_example_axum::{Settings, serve};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let setting = |name, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let settings = Settings {
        symbolon_url: setting("SYMBOLON_URL", "http://localhost:50051"),
        caller_token: env::var("SYMBOLON_CALLER_TOKEN").ok(),
        client_id: setting("SYMBOLON_CLIENT_ID", "web"),
        edge_url: setting("EDGE_URL", "http://localhost:8080").parse()?,
        public_url: setting("PUBLIC_URL", "http://localhost:3000").parse()?,
    };
    let listener = TcpListener::bind(("localhost", setting("PORT", "3000").parse()?)).await?;
    writeln!(stdout(), "sign in at http://localhost:{}/", listener.local_addr()?.port())?;
    serve(settings, listener).await
}
