//! Compiles Symbolon's contract. To begin your own, copy the folder proto/symbolon/auth.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../../proto/symbolon/auth");
    let files = protox::compile(["symbolon/auth/v1/auth_service.proto"], ["../../proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(files)?;
    Ok(())
}
