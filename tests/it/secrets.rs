//! Secrets in messages: prost's `Debug` prints every field, so messages that carry a token have one of ours.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DescriptorPool, FieldDescriptor, MessageDescriptor, Value};
use symbolon::pb::auth::revoke_session_request::Target;
use symbolon::pb::auth::{
    IntrospectTokenRequest, IssueTokensResponse, RefreshTokensRequest, RefreshTokensResponse, RevokeSessionRequest,
    TokenPair,
};

use symbolon::pb::identity::VerifyCredentialsRequest;

use crate::support::{PACKAGE, contract, own_messages};

const CANARY: &str = "sr1_canary";

/// Every message that carries a secret, itself or in a message within it: filled with the canary, and written as
/// `Debug` writes it.
fn written() -> BTreeMap<&'static str, Vec<String>> {
    let canary = || CANARY.to_owned();
    let pair = || TokenPair { access_token: canary(), refresh_token: canary(), ..TokenPair::default() };
    let target = || Target::RefreshToken(canary());
    let mut written = BTreeMap::new();
    let mut write = |name, texts: Vec<String>| assert!(written.insert(name, texts).is_none());
    write("TokenPair", both(&pair()));
    write("IssueTokensResponse", both(&IssueTokensResponse { tokens: Some(pair()), session: None }));
    write("RefreshTokensResponse", both(&RefreshTokensResponse { tokens: Some(pair()), session: None }));
    let request = RefreshTokensRequest { refresh_token: canary(), ..RefreshTokensRequest::default() };
    write("RefreshTokensRequest", both(&request));
    let request = RevokeSessionRequest { target: Some(target()), ..RevokeSessionRequest::default() };
    write("RevokeSessionRequest", [both(&request), both(&target())].concat());
    write("IntrospectTokenRequest", both(&IntrospectTokenRequest { token: canary() }));
    let value = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue(canary())) };
    let credentials = Some(prost_types::Struct { fields: BTreeMap::from([(canary(), value)]) });
    let request = VerifyCredentialsRequest { credentials, ..VerifyCredentialsRequest::default() };
    write("VerifyCredentialsRequest", both(&request));
    written
}

fn both(message: &impl std::fmt::Debug) -> Vec<String> {
    vec![format!("{message:?}"), format!("{message:#?}")]
}

fn is_secret(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|it| *it == Value::Bool(true))
}

fn carries_a_secret(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| match field.kind().as_message() {
        Some(inner) => is_secret(&field) || inner.package_name() == PACKAGE && carries_a_secret(inner),
        None => is_secret(&field),
    })
}

fn carriers(contract: &DescriptorPool) -> BTreeSet<String> {
    let carriers = own_messages(contract).into_iter().filter(carries_a_secret);
    carriers.map(|message| message.name().to_owned()).collect()
}

#[test]
fn no_message_that_carries_a_secret_shows_it() {
    let written = written();
    let here: BTreeSet<_> = written.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(carriers(&contract()), here, "a message with a secret is not tried here");
    for (name, texts) in written {
        for text in texts {
            assert!(!text.contains("canary"), "{name}: {text}");
            assert!(text.contains("[redacted]"), "{name} hides that there is a secret: {text}");
        }
    }
}

#[test]
fn a_secret_that_is_not_there_is_seen_not_to_be_there() {
    for text in both(&TokenPair::default()).into_iter().chain(both(&RefreshTokensRequest::default())) {
        assert!(text.contains("[unset]") && !text.contains("[redacted]"), "{text}");
    }
}

#[test]
fn every_field_that_is_named_like_a_token_is_marked_as_a_secret() {
    for message in own_messages(&contract()) {
        for field in message.fields() {
            let name = field.name();
            let token = name == "token"
                || name == "credentials"
                || name.ends_with("access_token")
                || name.ends_with("refresh_token");
            assert_eq!(is_secret(&field), token, "{}", field.full_name());
        }
    }
}

#[test]
fn the_build_gives_no_derived_debug_to_a_message_with_a_secret() {
    let build = include_str!("../../build.rs");
    let (_, list) = build.split_once("const SECRET").unwrap();
    let listed = list.split_once("];").unwrap().0.split('"').filter(|it| it.starts_with("symbolon."));
    let listed: BTreeSet<_> = listed.map(str::to_owned).collect();
    let own = own_messages(&contract()).into_iter().filter(|message| message.fields().any(|field| is_secret(&field)));
    assert_eq!(own.map(|message| message.full_name().to_owned()).collect::<BTreeSet<_>>(), listed);
}
