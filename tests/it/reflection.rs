//! The server describes itself: to tools of today and of yesterday, with our comments, so that `describe` is the manual
//! and an error is readable text.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;

use prost::Message;
use prost_types::FileDescriptorProto;
use symbolon::pb::FILE_DESCRIPTOR_SET;
use tokio::process::Command;
use tonic::Code;

use crate::support::{PACKAGE, Process, Server, tools};

/// A client of one version of the protocol: the two differ in nothing but their name.
macro_rules! reflection_client {
    ($version:ident) => {
        mod $version {
            use tonic::transport::Channel;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
            use tonic_reflection::pb::$version::{ServerReflectionRequest, ServerReflectionResponse};

            async fn ask(channel: Channel, what: MessageRequest) -> Result<Option<MessageResponse>, tonic::Status> {
                let request = ServerReflectionRequest { host: String::new(), message_request: Some(what) };
                let asked = futures_util::stream::iter([request]);
                let mut answers =
                    ServerReflectionClient::new(channel).server_reflection_info(asked).await?.into_inner();
                let answer: Option<ServerReflectionResponse> = answers.message().await?;
                Ok(answer.and_then(|answer| answer.message_response))
            }

            pub(super) async fn services(channel: Channel) -> Result<Vec<String>, tonic::Status> {
                match ask(channel, MessageRequest::ListServices(String::new())).await? {
                    Some(MessageResponse::ListServicesResponse(list)) => {
                        Ok(list.service.into_iter().map(|service| service.name).collect())
                    }
                    other => panic!("{other:?}"),
                }
            }

            pub(super) async fn files_with(channel: Channel, symbol: &str) -> Vec<Vec<u8>> {
                files(channel, MessageRequest::FileContainingSymbol(symbol.to_owned())).await
            }

            pub(super) async fn files_named(channel: Channel, name: &str) -> Vec<Vec<u8>> {
                files(channel, MessageRequest::FileByFilename(name.to_owned())).await
            }

            async fn files(channel: Channel, what: MessageRequest) -> Vec<Vec<u8>> {
                match ask(channel, what).await.unwrap() {
                    Some(MessageResponse::FileDescriptorResponse(files)) => files.file_descriptor_proto,
                    other => panic!("{other:?}"),
                }
            }
        }
    };
}

reflection_client!(v1);
reflection_client!(v1alpha);

fn read(files: &[Vec<u8>]) -> Vec<FileDescriptorProto> {
    files.iter().map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap()).collect()
}

#[tokio::test]
async fn both_versions_list_the_services_that_are_served() {
    let server = Server::start().await;
    for services in [v1::services(server.channel()).await, v1alpha::services(server.channel()).await] {
        let mut services = services.unwrap();
        services.sort();
        // And none that is described and not served.
        assert_eq!(
            services,
            ["grpc.health.v1.Health".to_owned(), format!("{PACKAGE}.AuthService"), format!("{PACKAGE}.KeyService")]
        );
    }
}

#[tokio::test]
async fn both_versions_serve_our_comments() {
    let server = Server::start().await;
    let symbol = format!("{PACKAGE}.AuthService");
    for files in [v1::files_with(server.channel(), &symbol).await, v1alpha::files_with(server.channel(), &symbol).await]
    {
        let comments: Vec<_> = read(&files)
            .into_iter()
            .filter_map(|file| file.source_code_info)
            .flat_map(|info| info.location)
            .map(|location| location.leading_comments().to_owned())
            .collect();
        for sentence in ["Redeems a refresh token", "Required. The refresh token exactly as it was handed out"] {
            assert!(comments.iter().any(|comment| comment.contains(sentence)), "{sentence}");
        }
    }
}

#[tokio::test]
async fn what_errors_carry_is_described_and_so_is_everything_it_imports() {
    let server = Server::start().await;
    let mut wanted = Vec::new();
    for symbol in ["google.rpc.BadRequest", "google.rpc.ErrorInfo", "google.rpc.RetryInfo", "grpc.health.v1.Health"] {
        assert!(!v1alpha::files_with(server.channel(), symbol).await.is_empty());
        wanted.extend(read(&v1::files_with(server.channel(), symbol).await));
    }
    wanted.extend(read(&v1::files_with(server.channel(), "symbolon.auth.v1.AuthService").await));
    wanted.extend(read(&v1::files_with(server.channel(), "symbolon.auth.v1.ErrorReason").await));
    let mut seen = BTreeSet::new();
    while let Some(file) = wanted.pop() {
        for import in &file.dependency {
            if seen.insert(import.clone()) {
                wanted.extend(read(&v1::files_named(server.channel(), import).await));
            }
        }
    }
    assert!(seen.contains("google/protobuf/struct.proto"), "{seen:?}");
}

#[tokio::test]
async fn what_is_served_is_the_contract_this_program_was_built_with() {
    let server = Server::start().await;
    let built = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let built: BTreeMap<_, _> = built.file.into_iter().map(|file| (file.name().to_owned(), file)).collect();
    for name in ["symbolon/auth/v1/auth_service.proto", "symbolon/auth/v1/error_reason.proto"] {
        assert_eq!(read(&v1::files_named(server.channel(), name).await), [built[name].clone()]);
        assert_eq!(read(&v1alpha::files_named(server.channel(), name).await), [built[name].clone()]);
    }
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::dev(dir.path(), &[("SYMBOLON_GRPC_REFLECTION", "off")]).await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", process.grpc)).unwrap();
    let channel = channel.connect().await.unwrap();
    for refused in [v1::services(channel.clone()).await, v1alpha::services(channel).await] {
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    }
}

async fn grpcurl(server: &Server, before: &[&str], after: &[&str]) -> Output {
    let mut command = Command::new(tools().join("python/bin/grpcurl"));
    command.arg("-plaintext").args(before).arg(&server.grpc).args(after).kill_on_drop(true).output().await.unwrap()
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(both).unwrap()
}

#[tokio::test]
async fn grpcurl_lists_describes_and_calls_on_the_first_try() {
    let server = Server::start().await;
    let listed = text(&grpcurl(&server, &[], &["list"]).await);
    assert!(listed.lines().any(|service| service == "symbolon.auth.v1.AuthService"), "{listed}");
    let methods = text(&grpcurl(&server, &[], &["list", "symbolon.auth.v1.AuthService"]).await);
    assert!(methods.lines().any(|method| method == "symbolon.auth.v1.AuthService.RefreshTokens"), "{methods}");

    let described = text(&grpcurl(&server, &[], &["describe", "symbolon.auth.v1.AuthService"]).await);
    assert!(described.contains("// Redeems a refresh token: returns its successor"), "{described}");
    let described = text(&grpcurl(&server, &[], &["describe", "symbolon.auth.v1.IssueTokensRequest"]).await);
    assert!(described.contains("// Required. Who the tokens are about"), "{described}");

    let method = "symbolon.auth.v1.AuthService/IssueTokens";
    let called = grpcurl(&server, &["-d", r#"{"subject":"alice"}"#], &[method]).await;
    assert!(called.status.success() && text(&called).contains(r#""refreshToken": "sr1_"#), "{}", text(&called));
}

#[tokio::test]
async fn grpcurl_shows_why_and_which_field_as_text() {
    let server = Server::start().await;
    let method = "symbolon.auth.v1.AuthService/IssueTokens";
    let refused = grpcurl(&server, &["-d", r#"{"audience":["api","api"]}"#], &[method]).await;
    let shown = text(&refused);
    assert!(!refused.status.success());
    for line in ["InvalidArgument", r#""reason":"FIELD_INVALID""#, r#""field":"subject""#, r#""field":"audience[1]""#] {
        assert!(shown.replace("\": ", "\":").contains(line), "{line} is not in\n{shown}");
    }
}
