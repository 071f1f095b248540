//! `symbolon completions` and `symbolon man`: the command line as a shell and `man` know it, made of the command line
//! itself.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Failure};

#[derive(Args)]
pub(super) struct Completions {
    /// The shell; for this one alone: `source <(symbolon completions bash)`
    shell: Shell,
}

#[derive(Args)]
pub(super) struct Man {
    /// The folder, which has to be there
    folder: PathBuf,
}

pub(super) fn completions(Completions { shell }: Completions) -> Result<(), Failure> {
    // Generating writes as it goes and panics where it cannot: a reader that went away is none of its business.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "symbolon", &mut script);
    match std::io::stdout().write_all(&script) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

pub(super) fn man(Man { folder }: Man) -> Result<(), Failure> {
    clap_mangen::generate_to(Cli::command(), &folder).map_err(|error| format!("{}: {error}", folder.display()).into())
}
