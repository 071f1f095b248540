use crate::{Refusal, Rejection};
use http::{HeaderMap, Response, StatusCode};
use std::collections::BTreeSet;
use tonic::Code;

fn all() -> [Refusal; 6] {
    [
        Refusal::Missing,
        Rejection::Expired.into(),
        Refusal::Revoked,
        Refusal::Undecided,
        Refusal::InsufficientScope { scope: "a".to_owned() },
        Refusal::InsufficientAuthentication { acr_values: String::new(), max_age: None },
    ]
}

#[test]
fn every_refusal_has_its_own_label() {
    assert_eq!(all().iter().map(Refusal::label).collect::<BTreeSet<_>>().len(), all().len());
}

#[test]
fn a_revoked_token_is_told_from_a_forged_one_by_nobody_outside() {
    let answers = [Refusal::Revoked, Rejection::Signature.into(), Rejection::Expired.into()].map(|refusal| {
        let Response::<String> { .. } = refusal.over_http();
        format!("{:?} {:?}", refusal.over_http(), tonic::Status::from(refusal))
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[test]
fn what_cannot_be_said_is_503_and_no_challenge() {
    let answer = Refusal::Undecided.over_http();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().get("www-authenticate").is_none());
    assert!(answer.body().contains(r#""retryable":true"#), "{}", answer.body());
    assert_eq!(tonic::Status::from(Refusal::Undecided).code(), Code::Unavailable);
}

#[test]
fn every_refusal_can_be_said_in_both_protocols() {
    let mut grpc = HeaderMap::new();
    grpc.insert("content-type", "application/grpc".parse().unwrap());
    for refusal in all() {
        let codes = [
            refusal.answer::<String>(&grpc).headers()["grpc-status"].to_str().unwrap().to_owned(),
            (tonic::Status::from(refusal.clone()).code() as i32).to_string(),
        ];
        assert_eq!(codes[0], codes[1]);
        assert_eq!(refusal.answer::<String>(&HeaderMap::new()).status(), refusal.status());
    }
}

#[test]
fn a_scope_that_no_header_can_hold_does_not_break_the_answer() {
    let refusal = Refusal::InsufficientScope { scope: "a\nb".to_owned() };
    assert_eq!(refusal.over_http().headers()["www-authenticate"], "Bearer");
}
