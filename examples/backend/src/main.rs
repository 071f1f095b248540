//! Starts the backend on this machine, or with `disable NAME` keeps a user from signing in.

use std::env;
use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use symbolon_example_backend::{Settings, Users, serve};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let setting = |name, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let database = setting("BACKEND_DATABASE", "users.db");
    let users = Users::open(&database).await?;
    if let [command, username] = env::args().skip(1).collect::<Vec<_>>().as_slice()
        && command == "disable"
    {
        let found = users.disable(username).await?;
        writeln!(stdout(), "{}", if found { "disabled" } else { "there is no such user" })?;
        return Ok(());
    }

    let grpc = TcpListener::bind(setting("BACKEND_GRPC_LISTEN", "localhost:50052")).await?;
    let http = TcpListener::bind(setting("BACKEND_HTTP_LISTEN", "localhost:3001")).await?;
    writeln!(stdout(), "verifier   http://{}", grpc.local_addr()?)?;
    writeln!(stdout(), "register   http://{}/register", http.local_addr()?)?;
    writeln!(stdout(), "users      {database}")?;
    let settings = Settings { token: env::var("BACKEND_TOKEN").ok(), locked_for: Duration::from_mins(15) };
    serve(users, settings, grpc, http).await
}
