//! `symbolon`: parse, run, exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A ninth of a refresh beside the allocator of glibc (docs/performance.md), and musl's would cost far more.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    symbolon::cli::main()
}
