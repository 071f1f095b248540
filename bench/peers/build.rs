//! Compiles Symbolon's contract, so that one generator drives both. What a peer does not serve is "unimplemented".

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../../proto/symbolon/auth");
    let files = protox::compile(["symbolon/auth/v1/auth_service.proto"], ["../../proto"])?;
    tonic_prost_build::configure().generate_default_stubs(true).compile_fds(files)?;
    Ok(())
}
