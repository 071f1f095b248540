use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The folder with the tools the tests borrow (`tests/tools/`), installed by the first test that asks.
pub(crate) fn tools() -> &'static PathBuf {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let into = root.join("target/tools");
        let installed = Command::new(root.join("tests/tools/install")).arg(&into).output().unwrap();
        assert!(installed.status.success(), "tests/tools/install: {}", String::from_utf8_lossy(&installed.stderr));
        into
    })
}
