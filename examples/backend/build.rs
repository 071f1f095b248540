//! Compiles the one file of Symbolon's that a backend needs. To begin your own, copy that file.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../../proto/symbolon/identity");
    let files = protox::compile(["symbolon/identity/v1/credential_verifier.proto"], ["../../proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .skip_debug(["symbolon.identity.v1.VerifyCredentialsRequest"])
        .compile_fds(files)?;
    Ok(())
}
