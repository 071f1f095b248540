//! The generated code of `proto/orders.proto`.

#![expect(clippy::pedantic, clippy::allow_attributes, reason = "generated")]

tonic::include_proto!("example.orders.v1");
