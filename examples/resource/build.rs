//! Compiles the service's own contract.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    tonic_prost_build::compile_fds(protox::compile(["orders.proto"], ["proto"])?)?;
    Ok(())
}
