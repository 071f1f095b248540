//! What is shown of outcomes: as text for a terminal, as JSON for programs, as a page with pictures. Pure but for the two that
//! write to the terminal.

mod figures;
mod page;
mod svg;
mod text;

use std::io::Write;

pub use page::html;
pub use text::text;

use crate::{Failure, Outcome};

/// For programs, and for `symbolon-bench report`.
///
/// # Errors
/// Never, for what was measured.
pub fn json(outcome: &Outcome) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(outcome)?)
}

/// To stdout. A reader that went away is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// To stderr, whether anybody reads it or not.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
