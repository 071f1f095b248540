use std::time::Duration;

use tokio::process::Command;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::reason;

/// Fails unless a caller is told, as it is when the database does not do as asked, that it may ask again, and when.
pub(crate) fn assert_ask_again(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"), "{status:?}");
    let retry = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some_and(|delay| delay > Duration::ZERO), "{status:?}");
}

/// The sentence with which a command refuses to start; it says nothing else.
pub(crate) async fn sentence(mut command: Command) -> String {
    let ended = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    let output = ended.expect("it started, or hangs").unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()), (Some(1), ""), "{told}");
    let sentences: Vec<_> = told.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert_eq!(sentences.len(), 1, "{told}");
    sentences[0].strip_prefix("error: ").unwrap_or_else(|| panic!("{told}")).to_owned()
}

pub(crate) fn assert_says(sentence: &str, parts: &[&str]) {
    for part in parts {
        assert!(sentence.contains(part), "{part:?} is missing in: {sentence}");
    }
}
