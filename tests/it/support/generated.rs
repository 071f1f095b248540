use std::path::PathBuf;

/// Holds a checked-in file, by its path in the repository, against what the program says. With `UPDATE_GENERATED=1` it is
/// written anew before.
pub(crate) fn assert_generated(path: &str, expected: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&file, expected).unwrap();
    }
    let checked_in = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(checked_in == expected, "{path} is out of date: UPDATE_GENERATED=1 cargo test --test it writes it");
}
