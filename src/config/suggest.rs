//! "Did you mean": the known name nearest to an unknown one. It knows neither settings nor files.

/// Below this likeness a suggestion misleads more often than it helps.
const ALIKE: f64 = 0.8;

/// The known name most like `wrong`, if any is alike.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = plain(wrong);
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, &plain(name)), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The end of a sentence: `, did you mean …?`, or nothing.
pub(super) fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
}

/// `TLS-Cert` and `tls_cert` are the same slip of the pen.
fn plain(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}
