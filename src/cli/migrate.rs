//! `symbolon migrate`: the database's schema.

use std::fmt::Write;

use clap::Subcommand;

use super::{Configured, Failure, data_dir, print};
use crate::config::{Config, Profile, from_process};
use crate::store::{Missing, Schema, Store, Url};

#[derive(Subcommand)]
pub(super) enum Migrate {
    /// Takes the steps that are still to be taken; makes the database if there is none
    Up(Configured),
    /// Says how the schema stands
    Status(Configured),
    /// Shows the SQL of every step for the configured database and runs nothing
    Print(Configured),
}

pub(super) async fn migrate(command: Migrate) -> Result<(), Failure> {
    match command {
        Migrate::Up(configured) => Box::pin(up(configured)).await,
        Migrate::Status(configured) => status(configured).await,
        Migrate::Print(configured) => print(&sql(&data_dir::database(&config(&configured)?)?)),
    }
}

async fn up(configured: Configured) -> Result<(), Failure> {
    let config = config(&configured)?;
    let url = data_dir::database(&config)?;
    if config.database_url.is_none() {
        data_dir::make(&config.data_dir)?;
    }
    let store = Store::open(&url, Missing::Create).await?;
    let taken = store.migrate().await?;
    store.close().await;
    if taken.is_empty() {
        return print("nothing to do");
    }
    print(&taken.iter().map(|step| format!("took {step}\n")).collect::<String>())
}

async fn status(configured: Configured) -> Result<(), Failure> {
    let url: Url = data_dir::database(&config(&configured)?)?;
    let store = Store::open(&url, Missing::Refuse).await?;
    let schema = store.schema().await?;
    store.close().await;
    print(&match schema {
        Schema::Current => "current".to_owned(),
        Schema::Behind(steps) => format!("behind: `symbolon migrate up` takes {}", steps.join(", ")),
        Schema::Ahead(steps) => format!("ahead: a newer symbolon took {}", steps.join(", ")),
    })
}

/// `migrate` needs to know where the database is, not whose it is or who reaches it.
fn config(configured: &Configured) -> Result<Config, Failure> {
    Ok(from_process(Profile::Dev, configured.config.as_deref(), |_| Vec::new())?.config)
}

fn sql(url: &Url) -> String {
    let mut text = String::new();
    for (name, statements) in url.print_migrations() {
        let _ = writeln!(text, "-- {name}");
        for statement in statements {
            let _ = writeln!(text, "{statement};");
        }
    }
    text
}
