//! `symbolon-bench`: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    symbolon_bench::cli::main()
}
