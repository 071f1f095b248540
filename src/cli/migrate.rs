//! `symbolon migrate`: the database's schema.

use std::fmt::Write;

use clap::Subcommand;

use super::data_dir::config;
use super::restore::alone;
use super::{Configured, Failure, data_dir, print};
use crate::store::{Copied, Missing, Schema, Store, Url};

#[derive(Subcommand)]
pub(super) enum Migrate {
    /// Takes the steps that are still to be taken; makes the database if there is none
    Up(Configured),
    /// Says how the schema stands
    Status(Configured),
    /// Copies everything into the configured database, which must be migrated and empty, so that its sessions live on there.
    /// No server may be at work on either of the two
    Copy {
        /// The database to copy: `sqlite:PATH` or `postgres://…`
        #[arg(long, value_name = "URL")]
        from: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Shows the SQL of every step for the configured database and runs nothing
    Print(Configured),
}

pub(super) async fn migrate(command: Migrate) -> Result<(), Failure> {
    match command {
        Migrate::Up(configured) => Box::pin(up(configured)).await,
        Migrate::Status(configured) => status(configured).await,
        Migrate::Copy { from, configured } => Box::pin(copy(&from, configured)).await,
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

async fn copy(from: &str, configured: Configured) -> Result<(), Failure> {
    let from = Url::parse(from).map_err(|_| "--from: expected sqlite:PATH or postgres://USER@HOST/DATABASE")?;
    if from.has_password() {
        Err("--from: holds a password, which every process here could read: put it into ~/.pgpass, or set PGPASSWORD")?;
    }
    let to = data_dir::database(&config(&configured)?)?;
    for url in [&from, &to] {
        alone(url).await?;
    }
    let (source, target) = (Store::open(&from, Missing::Refuse).await?, Store::open(&to, Missing::Refuse).await?);
    let copied = source.copy_into(&target).await;
    source.close().await;
    target.close().await;
    let Copied { sessions, request_ids, signing_keys } = copied?;
    print(&format!(
        "{from} is copied to {to}: {sessions} sessions, {request_ids} request ids, {signing_keys} signing keys\n\
         let no server start on {from} any more: move it away"
    ))
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
