//! The composition root: the only place that builds things. One file a subcommand; nothing looks at it.

mod assemble;
mod backup;
mod caller;
mod client;
mod configuration;
mod data_dir;
pub mod declared;
mod demo_users;
mod dev;
mod edge;
mod https;
mod keys;
pub mod listen;
mod listeners;
mod migrate;
mod output;
mod reference;
mod reload;
mod restore;
mod run;
mod serve;
mod sessions;
mod supervisor;
mod tls;
mod token;
mod upstream;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use assemble::{World, assemble};
pub use edge::build as build_edge;
pub use listeners::Listeners;
use output::print;
pub use run::Running;

/// Why a command ends early: a sentence for whoever typed it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Issues, rotates and revokes the tokens of a sign-in, over gRPC.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs everything on this machine with an embedded database; makes what it needs
    Dev(dev::Dev),
    /// Runs the service
    Serve(serve::Serve),
    /// Runs the HTTP edge alone, in front of a service elsewhere
    Edge(Configured),
    /// Changes or shows the database's schema
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Copies the embedded database while a server works on it
    Backup(backup::Backup),
    /// Makes a database that came back from a backup safe to serve: ends every session
    Restore(restore::Restore),
    /// Looks at sessions and ends them, through a running service
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// Looks after the keys that sign access tokens
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Declares who may call
    #[command(subcommand)]
    Caller(caller::Command),
    /// Looks at a token
    #[command(subcommand)]
    Token(token::Token),
    /// Checks or shows the configuration
    #[command(subcommand)]
    Config(configuration::Configuration),
    /// Prints what a shell needs to complete this command line
    Completions(reference::Completions),
    /// Writes the man pages into a folder
    Man(reference::Man),
}

/// Where the configuration is.
#[derive(Args)]
struct Configured {
    /// The TOML file; each of its keys also has an environment variable
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Dev(dev) => block_on(dev::dev(dev)),
        Command::Serve(serve) => block_on(serve::serve(serve)),
        Command::Edge(configured) => block_on(edge::edge(configured)),
        Command::Migrate(migrate) => block_on(migrate::migrate(migrate)),
        Command::Backup(backup) => block_on(backup::backup(backup)),
        Command::Restore(restore) => block_on(restore::restore(restore)),
        Command::Sessions(sessions) => block_on(sessions::sessions(sessions)),
        Command::Keys(keys) => block_on(keys::keys(keys)),
        Command::Caller(command) => caller::caller(command),
        Command::Token(token) => token::token(token),
        Command::Config(configuration) => configuration::configuration(configuration),
        Command::Completions(shell) => reference::completions(shell),
        Command::Man(folder) => reference::man(folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Whatever a sentence quotes, it is shown on a line of its own.
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
