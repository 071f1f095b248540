//! The generated code of `auth_service.proto`.

#![expect(clippy::pedantic, unreachable_pub, reason = "generated")]

tonic::include_proto!("symbolon.auth.v1");
