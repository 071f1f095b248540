use std::path::PathBuf;
use std::sync::Mutex;

pub(crate) fn readme_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// Holds the block between `<!-- name -->` and `<!-- /name -->` in README.md against what the program says. With
/// `UPDATE_README=1` the block is written anew instead.
pub(crate) fn assert_in_readme(name: &str, expected: &str) {
    assert_in_document("README.md", name, expected);
}

/// The same of another document.
pub(crate) fn assert_in_document(document: &str, name: &str, expected: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(document);
    let readme = std::fs::read_to_string(&path).unwrap();
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let marked = readme.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?)));
    let (before, (block, after)) = marked.unwrap_or_else(|| panic!("{document} has no block {open}…{close}"));
    let expected = format!("\n{}\n\n", expected.trim());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, format!("{before}{open}{expected}{close}{after}")).unwrap();
        return;
    }
    let lines = block.lines().count().max(expected.lines().count());
    for line in 0..lines {
        let [is, should_be] = [block, &expected].map(|text| text.lines().nth(line).unwrap_or("(nothing more)"));
        assert_eq!(is, should_be, "{document}, block {name}, line {line}: UPDATE_README=1 cargo test writes it anew");
    }
}
