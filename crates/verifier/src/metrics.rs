//! What a verifier counts, through the `metrics` facade. It owns the names; README.md explains them.

/// One token was judged.
pub(crate) fn verified(outcome: &'static str) {
    metrics::counter!("symbolon_verifier_tokens_total", "outcome" => outcome).increment(1);
}

/// The issuer's keys were fetched: at `now`, unless that failed.
pub(crate) fn fetched(issuer: &str, now: Option<i64>) {
    let outcome = if now.is_some() { "fetched" } else { "failed" };
    let issuer = issuer.to_owned();
    metrics::counter!("symbolon_verifier_jwks_fetches_total", "issuer" => issuer.clone(), "outcome" => outcome)
        .increment(1);
    if let Some(now) = now {
        metrics::gauge!("symbolon_verifier_jwks_fetched_timestamp_seconds", "issuer" => issuer).set(seconds(now));
    }
}

/// The feed of revocations said something: at `now`, if nothing is missing.
pub(crate) fn feed(issuer: &str, now: Option<i64>, sessions: usize) {
    let issuer = issuer.to_owned();
    let sessions = i64::try_from(sessions).unwrap_or(i64::MAX);
    metrics::gauge!("symbolon_verifier_revoked_sessions", "issuer" => issuer.clone()).set(seconds(sessions));
    if let Some(now) = now {
        metrics::gauge!("symbolon_verifier_feed_heard_timestamp_seconds", "issuer" => issuer).set(seconds(now));
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact until long after every clock has ended")]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}
