//! The history of the database schema: append-only, one file a step, each with its own names, so that a later change of
//! the code cannot change the past. Knows nothing of sessions or keys beyond their columns.
//!
//! A step is a list of SQL statements, so that it can be printed before it is run. Steps expand, move and contract:
//! version N and N−1 of the service run side by side on every schema between.

mod m20261124_000001_initial;

pub use sea_orm_migration;
use sea_orm_migration::prelude::*;
/// Which database the SQL of a step is for.
pub use sea_orm_migration::sea_orm::DbBackend;

/// Every step, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261124_000001_initial::Migration)]
    }
}

/// The names of all steps, oldest first.
#[must_use]
pub fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|step| step.name().to_owned()).collect()
}

/// What every step does, as SQL for this database: name and statements.
#[must_use]
pub fn print(backend: DbBackend) -> Vec<(String, Vec<String>)> {
    vec![("m20261124_000001_initial".to_owned(), m20261124_000001_initial::statements(backend))]
}

/// Storage parameters that suit one update a refresh, for PostgreSQL: room on the page for the next version of a row,
/// and a vacuum that comes early. Not a step of the history: an engine may refuse them and is used all the same.
#[must_use]
pub fn storage_parameters() -> [&'static str; 1] {
    [
        "ALTER TABLE sessions SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05)",
    ]
}
