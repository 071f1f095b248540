//! The contract: lint-clean, every word of it explained, and nothing in it that is not there.

use std::process::Command;

use prost_reflect::{MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::support::{PACKAGE, Server, comment, contract, own_files, own_messages, tools};

fn own_services() -> Vec<ServiceDescriptor> {
    own_files(&contract()).iter().flat_map(|file| file.services().collect::<Vec<_>>()).collect()
}

/// What this server answers.
fn own_methods() -> Vec<MethodDescriptor> {
    all_methods().into_iter().filter(|method| method.parent_service().package_name() == PACKAGE).collect()
}

/// The same, and what the user's backend answers.
fn all_methods() -> Vec<MethodDescriptor> {
    own_services().iter().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

#[test]
fn buf_finds_nothing_to_complain_of() {
    let root = env!("CARGO_MANIFEST_DIR");
    let buf = tools().join("node_modules/.bin/buf");
    let linted = Command::new(buf).args(["lint", "proto"]).current_dir(root).output().unwrap();
    let told = [linted.stdout, linted.stderr].concat();
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&told));
    let rules = std::fs::read_to_string(format!("{root}/proto/buf.yaml")).unwrap();
    assert!(rules.contains("- STANDARD\n") && rules.contains("- COMMENTS\n"));
}

#[test]
fn everything_in_the_contract_has_a_comment() {
    let mut bare = Vec::new();
    let mut seen = 0;
    let contract = contract();
    for file in own_files(&contract) {
        let mut see = |name: &str, path: &[i32]| {
            seen += 1;
            let comment = comment(&file, path);
            if !comment.ends_with(['.', '?']) {
                bare.push(format!("{name}: {comment:?}"));
            }
        };
        for service in file.services() {
            see(service.full_name(), service.path());
            service.methods().for_each(|method| see(method.full_name(), method.path()));
        }
        for message in own_messages(&contract).iter().filter(|message| message.parent_file() == file) {
            see(message.full_name(), message.path());
            message.fields().for_each(|field| see(field.full_name(), field.path()));
        }
        for kind in contract.all_enums().filter(|kind| kind.parent_file() == file) {
            see(kind.full_name(), kind.path());
            kind.values().for_each(|value| see(value.full_name(), value.path()));
        }
    }
    assert!(seen > 150, "only {seen} things were seen");
    assert!(bare.is_empty(), "no whole sentence above\n{}", bare.join("\n"));
}

#[test]
fn every_field_of_a_request_says_that_it_is_required_or_what_happens_without_it() {
    for method in own_methods() {
        let input = method.input();
        for field in input.fields().filter(|field| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic())) {
            let comment = comment(&input.parent_file(), field.path());
            assert!(comment.contains("Required.") || comment.contains("Unset:"), "{}: {comment}", field.full_name());
        }
        for oneof in input.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            assert!(comment(&input.parent_file(), oneof.path()).contains("Required"), "{}", oneof.full_name());
        }
    }
}

#[test]
fn every_method_says_what_it_needs() {
    for method in own_methods() {
        let comment = comment(&method.parent_service().parent_file(), method.path());
        assert!(comment.contains("Needs the permission") || comment.contains("Needs no permission"), "{comment}");
    }
}

#[test]
fn every_error_reason_says_its_status_first() {
    let reasons = contract().get_enum_by_name("symbolon.auth.v1.ErrorReason").unwrap();
    for value in reasons.values().filter(|value| value.number() != 0) {
        let comment = comment(&reasons.parent_file(), value.path());
        let status = comment.split(['.', ',']).next().unwrap();
        let is_status = !status.is_empty() && status.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        assert!(is_status, "{}: {comment}", value.name());
    }
}

/// Whether a message hands out a token, itself or in a message within it.
fn hands_out_tokens(message: &MessageDescriptor) -> bool {
    message.fields().any(|field| match field.kind().as_message() {
        Some(inner) => inner.package_name() == PACKAGE && hands_out_tokens(inner),
        None => matches!(field.name(), "access_token" | "refresh_token" | "token"),
    })
}

#[test]
fn tokens_come_from_signing_in_and_refreshing_and_from_nothing_else() {
    let sources = own_methods().into_iter().filter(|method| hands_out_tokens(&method.output()));
    let names: Vec<_> = sources.map(|method| method.name().to_owned()).collect();
    assert_eq!(names, ["IssueTokens", "RefreshTokens"]);
}

#[test]
fn what_is_somebody_elses_business_has_no_method() {
    for method in own_methods() {
        let name = method.name().to_lowercase();
        for absent in ["register", "password", "signup", "user", "mfa", "consent"] {
            assert!(!name.contains(absent), "{name}");
        }
    }
}

#[tokio::test]
async fn no_method_is_unimplemented() {
    let server = Server::start().await;
    let methods = own_methods();
    assert_eq!(methods.len(), 15);
    for method in methods {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let mut grpc = Grpc::new(server.channel());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::try_from(path).unwrap();
        // An empty message of any kind, and whatever comes back.
        let answer = grpc.server_streaming(Request::new(()), path.clone(), ProstCodec::<(), ()>::default()).await;
        let first = match answer {
            Ok(mut answers) => answers.get_mut().message().await,
            Err(refused) => Err(refused),
        };
        let code = first.map_or_else(|status| status.code(), |_| Code::Ok);
        assert!(matches!(code, Code::Ok | Code::InvalidArgument), "{path}: {code:?}");
    }
}
