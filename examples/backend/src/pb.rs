//! The generated code of `credential_verifier.proto`.

#![expect(clippy::pedantic, clippy::allow_attributes, unreachable_pub, reason = "generated")]

use std::fmt;

tonic::include_proto!("symbolon.identity.v1");

/// Shows no password, wherever a request may be printed.
impl fmt::Debug for VerifyCredentialsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyCredentialsRequest").finish_non_exhaustive()
    }
}
