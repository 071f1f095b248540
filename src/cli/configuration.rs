//! `symbolon config`: what the program was told, and what is wrong with it.

use clap::{Args, Subcommand, ValueEnum};

use super::assemble::master_keys;
use super::{Configured, Failure, edge, print, tls};
use crate::config::{Loaded, Profile, from_process};

#[derive(Subcommand)]
pub(super) enum Configuration {
    /// Says everything that is wrong, and what is probably not meant
    Check(Asked),
    /// Shows every setting, where it came from, and no secret
    Print(Asked),
}

#[derive(Args)]
pub(super) struct Asked {
    #[command(flatten)]
    configured: Configured,
    /// The command that is configured: they differ in their defaults
    #[arg(long = "for", value_enum, default_value = "serve")]
    command: For,
}

#[derive(Clone, Copy, ValueEnum)]
enum For {
    Dev,
    Serve,
    Edge,
}

pub(super) fn configuration(command: Configuration) -> Result<(), Failure> {
    match command {
        Configuration::Check(asked) => {
            let Loaded { config, warnings, .. } = asked.load()?;
            if let Some(keys) = &config.master_keys {
                master_keys(keys.expose(), "SYMBOLON_MASTER_KEYS")?;
            }
            if config.edge.listen.is_some() {
                edge::settings(&config, asked.profile())?;
            }
            let warnings: String = warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
            print(&(warnings + "the configuration is good"))
        }
        Configuration::Print(asked) => {
            let lines: String = asked.load()?.printed.iter().map(|setting| format!("{setting}\n")).collect();
            print(&lines)
        }
    }
}

impl Asked {
    fn load(&self) -> Result<Loaded, Failure> {
        Ok(from_process(self.profile(), self.configured.config.as_deref(), tls::check)?)
    }

    fn profile(&self) -> Profile {
        match self.command {
            For::Dev => Profile::Dev,
            For::Serve => Profile::Serve,
            For::Edge => Profile::Edge,
        }
    }
}
