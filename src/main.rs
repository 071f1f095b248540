//! `symbolon`: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    symbolon::cli::main()
}
