//! Errors: each has one row of the table, carries its reason, and says nothing it should not.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use prost_reflect::EnumValueDescriptor;
use symbolon::rpc::status::{DOMAIN, Failure, Row, TABLE, Violation};
use symbolon::service::Error;
use symbolon::service::caller::Permission;
use symbolon::{config, pb::auth::ErrorReason};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{PACKAGE, Server, assert_in_readme, bad_fields, comment, contract, reason, redeem, sign_in};

/// What no caller may ever read.
const CAUSE: &str = "SELECT token FROM sessions: /var/lib/symbolon/symbolon.db: sr1_AQECAwQ";

/// Every failure there is. The patterns are a match without a wildcard: a failure that has no line here does not compile.
macro_rules! every_failure {
    ($($pattern:pat => $failure:expr),* $(,)?) => {
        fn every_failure() -> Vec<Failure> {
            let line = |failure: &Failure| match failure { $($pattern => stringify!($pattern)),* };
            let listed: Vec<(&str, Failure)> = vec![$((stringify!($pattern), $failure)),*];
            assert!(listed.iter().all(|(pattern, failure)| line(failure) == *pattern), "a line makes another failure");
            listed.into_iter().map(|(_, failure)| failure).collect()
        }
    };
}

every_failure! {
    Failure::FieldsInvalid(_) => Failure::FieldsInvalid(vec![violation("subject"), violation("audience[1]")]),
    Failure::CallerUnauthenticated => Failure::CallerUnauthenticated,
    Failure::Service(Error::CallerNotPermitted { .. }) =>
        Error::CallerNotPermitted { caller: "backend".to_owned(), permission: Permission::Issue }.into(),
    Failure::Service(Error::RateLimited(_)) => Error::RateLimited(Duration::from_secs(2)).into(),
    Failure::Service(Error::GrantNotPermitted { .. }) =>
        Error::GrantNotPermitted { caller: "backend".to_owned(), field: "scope" }.into(),
    Failure::Service(Error::TokenTooLarge) => Error::TokenTooLarge.into(),
    Failure::Service(Error::PageTokenInvalid) => Error::PageTokenInvalid.into(),
    Failure::Service(Error::RequestIdUsed) => Error::RequestIdUsed.into(),
    Failure::Service(Error::RefreshTokenInvalid) => Error::RefreshTokenInvalid.into(),
    Failure::Service(Error::RefreshTokenReused) => Error::RefreshTokenReused.into(),
    Failure::Service(Error::RefreshTokenStale) => Error::RefreshTokenStale.into(),
    Failure::Service(Error::SessionExpired) => Error::SessionExpired.into(),
    Failure::Service(Error::SessionRevoked) => Error::SessionRevoked.into(),
    Failure::Service(Error::SessionNotFound) => Error::SessionNotFound.into(),
    Failure::Service(Error::SigningKeyNotFound) => Error::SigningKeyNotFound.into(),
    Failure::Service(Error::CursorExpired) => Error::CursorExpired.into(),
    Failure::Service(Error::WatcherTooSlow) => Error::WatcherTooSlow.into(),
    Failure::Service(Error::ShuttingDown) => Error::ShuttingDown.into(),
    Failure::Service(Error::MasterKeyUnknown(_)) => Error::MasterKeyUnknown(7).into(),
    Failure::Service(Error::StoreUnavailable(_)) => Error::StoreUnavailable(CAUSE.into()).into(),
    Failure::Service(Error::SigningUnavailable(_)) => Error::SigningUnavailable(CAUSE.into()).into(),
    Failure::Service(Error::Internal(_)) => Error::Internal(CAUSE.into()).into(),
}

fn violation(field: &str) -> Violation {
    Violation { field: field.to_owned(), description: "must have 1 to 255 printable ASCII characters".to_owned() }
}

/// Every failure as it is answered, beside its row.
fn every_answer() -> impl Iterator<Item = (&'static Row, Status)> {
    every_failure().into_iter().map(|failure| (failure.row(), Status::from(failure)))
}

#[test]
fn every_failure_has_a_row_of_its_own_and_every_row_a_failure() {
    let reasons = |rows: &mut dyn Iterator<Item = &Row>| rows.map(Row::name).collect::<BTreeSet<_>>();
    let answered = reasons(&mut every_answer().map(|(row, _)| row));
    assert_eq!(answered.len(), every_failure().len(), "two failures share a reason");
    assert_eq!(answered, reasons(&mut TABLE.iter()));
    assert_eq!(TABLE.len(), answered.len(), "a reason stands twice in the table");
}

#[test]
fn every_answer_carries_status_reason_and_domain_of_its_row() {
    for (row, status) in every_answer() {
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), status.message()), (row.code, row.message));
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (row.name(), DOMAIN));
        assert_eq!(ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)), Some(row.reason));
    }
    assert_eq!(DOMAIN, PACKAGE);
}

#[test]
fn an_answer_says_when_to_ask_again_exactly_where_asking_again_helps() {
    for (row, status) in every_answer() {
        let helps = matches!(row.code, Code::Unavailable | Code::ResourceExhausted);
        assert_eq!(row.retry, helps, "{}", row.name());
        let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert_eq!(after.is_some_and(|delay| !delay.is_zero()), helps, "{}", row.name());
    }
}

#[test]
fn only_field_invalid_lists_fields_and_only_a_refusal_by_policy_names_the_caller() {
    for (row, status) in every_answer() {
        let fields = if row.reason == ErrorReason::FieldInvalid { vec!["audience[1]", "subject"] } else { vec![] };
        assert_eq!(bad_fields(&status), fields, "{}", row.name());
        let mut told: Vec<_> = status.get_details_error_info().unwrap().metadata.into_iter().collect();
        told.sort();
        let known = |known: &[(&str, &str)]| -> Vec<(String, String)> {
            known.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let should_be = known(match row.name() {
            "GRANT_NOT_PERMITTED" => &[("caller", "backend"), ("field", "scope")],
            "CALLER_NOT_PERMITTED" => &[("caller", "backend"), ("permission", "issue")],
            _ => &[],
        });
        assert_eq!(told, should_be, "{}", row.name());
    }
}

#[test]
fn what_lies_behind_a_fault_is_never_told() {
    for (row, status) in every_answer() {
        let told = format!("{}{}", status.message(), String::from_utf8_lossy(status.details()));
        for secret in ["SELECT", "sessions:", "/var", ".db", "sr1_", "AQECAwQ"] {
            assert!(!told.contains(secret), "{} tells {secret}: {told}", row.name());
        }
        assert!(status.metadata().is_empty());
    }
}

#[test]
fn these_four_answers_and_no_other_say_that_a_refresh_token_is_dead() {
    let unauthenticated = TABLE.iter().filter(|row| row.code == Code::Unauthenticated).map(Row::name);
    let dead = ["REFRESH_TOKEN_INVALID", "REFRESH_TOKEN_REUSED", "SESSION_EXPIRED", "SESSION_REVOKED"];
    assert_eq!(
        unauthenticated.collect::<BTreeSet<_>>(),
        dead.into_iter().chain(["CALLER_UNAUTHENTICATED"]).collect::<BTreeSet<_>>()
    );
}

#[test]
fn the_table_does_what_the_comments_of_the_contract_say() {
    for row in &TABLE {
        let told = meaning(row);
        let (code, rest) = told.split_once(['.', ',']).unwrap();
        assert_eq!(code, code_name(row.code), "{}", row.name());
        assert_eq!(rest.starts_with(" with RetryInfo."), row.retry, "{}", row.name());
    }
}

#[test]
fn the_readme_has_the_table_of_errors() {
    let mut table = "| reason | gRPC status | retry | means |\n|---|---|---|---|\n".to_owned();
    for row in &TABLE {
        let told = meaning(row);
        let means = told.split_once(". ").or_else(|| told.split_once(", ")).map_or("", |(_, means)| means);
        let means = format!("{}{}", means[..1].to_uppercase(), &means[1..]).replace('|', "\\|");
        let retry = if row.retry { "yes" } else { "" };
        writeln!(table, "| `{}` | {} | {retry} | {means} |", row.name(), code_name(row.code)).unwrap();
    }
    assert_in_readme("errors", &table);
}

#[test]
fn the_readme_has_the_table_of_settings() {
    assert_in_readme("config", &config::markdown_table());
}

#[tokio::test]
async fn over_the_wire_a_refusal_has_its_reason_and_every_bad_field_at_once() {
    let server = Server::start().await;
    let forged = server.refresh("sr1_forged").await.unwrap_err();
    assert_eq!((forged.code(), reason(&forged).as_str()), (Code::Unauthenticated, "REFRESH_TOKEN_INVALID"));
    assert!(!format!("{forged:?}").contains("sr1_forged"));

    let mut wrong = sign_in("");
    wrong.audience = vec!["api".to_owned(), "a b".to_owned()];
    wrong.request_id = "no uuid".to_owned();
    let refused = server.client().issue_tokens(wrong).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    assert_eq!(bad_fields(&refused), ["audience[1]", "request_id", "subject"]);

    let mut widened = redeem(&server.issue("alice").await.tokens.unwrap().refresh_token);
    widened.scope = vec!["everything".to_owned()];
    let refused = server.client().refresh_tokens(widened).await.unwrap_err();
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((refused.code(), info.reason.as_str()), (Code::PermissionDenied, "GRANT_NOT_PERMITTED"));
    assert_eq!((info.metadata["caller"].as_str(), info.metadata["field"].as_str()), ("local", "scope"));
}

/// The comment of the contract on the reason of this row.
fn meaning(row: &Row) -> String {
    let reasons = contract().get_enum_by_name("symbolon.auth.v1.ErrorReason").unwrap();
    let is_it = |value: &EnumValueDescriptor| value.name() == row.reason.as_str_name();
    let value = reasons.values().find(is_it).unwrap();
    comment(&reasons.parent_file(), value.path())
}

/// As the specification of gRPC writes it: `NOT_FOUND`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
