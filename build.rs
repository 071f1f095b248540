//! Compiles `proto/` in pure Rust, so that a build needs no protoc, and keeps the descriptor set, comments included,
//! for reflection.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const FILES: [&str; 5] = [
    "symbolon/auth/v1/auth_service.proto",
    "symbolon/auth/v1/error_reason.proto",
    "symbolon/auth/v1/key_service.proto",
    "symbolon/auth/v1/permission.proto",
    "symbolon/identity/v1/credential_verifier.proto",
];

/// Messages that carry a secret: `src/pb.rs` gives them a `Debug` that does not show it.
const SECRET: [&str; 5] = [
    "symbolon.auth.v1.TokenPair",
    "symbolon.auth.v1.RefreshTokensRequest",
    "symbolon.auth.v1.RevokeSessionRequest",
    "symbolon.auth.v1.IntrospectTokenRequest",
    "symbolon.identity.v1.VerifyCredentialsRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor_set.bin"), compiler.encode_file_descriptor_set())?;

    let files = compiler.file_descriptor_set();
    tonic_prost_build::configure().btree_map(".").skip_debug(SECRET).compile_fds(files)?;

    // Envoy's contract is not ours to describe, so reflection does not know it.
    let envoy = protox::compile(["envoy/service/auth/v3/external_auth.proto"], ["proto"])?;
    let secret = ["envoy.service.auth.v3.HeaderValue", "envoy.service.auth.v3.AttributeContext.HttpRequest"];
    tonic_prost_build::configure().build_client(false).btree_map(".").skip_debug(secret).compile_fds(envoy)?;
    Ok(())
}
