//! The client that is checked in with `crates/verifier`, which could not be published with a path to `proto/`: it is what
//! the contract says, cut down to what a verifier calls.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use crate::support::assert_generated;

const METHODS: [&str; 3] = ["GetJwks", "IntrospectToken", "WatchRevocations"];

/// The contract with these methods and the messages they reach.
fn cut_down() -> FileDescriptorSet {
    let mut contract = FileDescriptorSet::decode(symbolon::pb::FILE_DESCRIPTOR_SET).unwrap();
    contract.file.retain(|file| file.name().ends_with("/auth_service.proto") || file.package() == "google.protobuf");
    for file in contract.file.iter_mut().filter(|file| file.package() == "symbolon.auth.v1") {
        cut(file);
    }
    contract
}

/// Without comments, which the contract has.
fn cut(file: &mut FileDescriptorProto) {
    file.source_code_info = None;
    file.service[0].method.retain(|method| METHODS.contains(&method.name()));
    assert_eq!(file.service[0].method.len(), METHODS.len());
    let methods = &file.service[0].method;
    let mut todo: Vec<_> = methods.iter().flat_map(|method| [method.input_type(), method.output_type()]).collect();
    let mut reached = BTreeSet::new();
    while let Some(name) = todo.pop() {
        let named = |message: &&DescriptorProto| name == format!(".symbolon.auth.v1.{}", message.name());
        if let Some(message) = file.message_type.iter().find(named)
            && reached.insert(message.name().to_owned())
        {
            todo.extend(message.field.iter().map(FieldDescriptorProto::type_name).filter(|name| !name.is_empty()));
        }
    }
    file.message_type.retain(|message| reached.contains(message.name()));
    file.enum_type.clear();
}

#[test]
fn the_verifiers_client_is_what_the_contract_says() {
    let dir = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .skip_debug(["symbolon.auth.v1.IntrospectTokenRequest"])
        .out_dir(dir.path())
        .compile_fds(cut_down())
        .unwrap();
    let name = "symbolon.auth.v1.rs";
    let expected = std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_generated(&format!("crates/verifier/src/generated/{name}"), &expected);
}
