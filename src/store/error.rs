//! What can go wrong with the database, in the two ways that matter: it did not answer as it should, or it holds what
//! it cannot hold.

use sea_orm::DbErr;
use thiserror::Error;

use super::postgres;

#[derive(Debug, Error)]
pub enum Error {
    /// It did not answer, or refused. Asking again may help.
    #[error("the database did not do as asked: {}{}", .0, postgres::hint(.0))]
    Unavailable(#[from] DbErr),
    /// It did not answer in time. Whether it did as asked is not known.
    #[error("the database did not answer in time")]
    TimedOut,
    /// It was asked more than once and found nothing to do: perhaps since an earlier try, whose answer was lost, did it.
    #[error("whether the database did as asked is not known")]
    InDoubt,
    /// A row that this program cannot have written.
    #[error("impossible row: {table}.{column} of {id}")]
    Impossible { table: &'static str, column: &'static str, id: String },
}
