//! The user's own credential verifier, asked over gRPC. It owns what its answers mean to a sign-in; a verifier that is
//! slow, away or talks nonsense has decided nothing.

use std::time::Duration;

use serde_json::{Map, Value};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;

use crate::edge::issuer::Channel;
use crate::edge::json;
use crate::pb::identity as pb;
use crate::pb::identity::credential_verifier_service_client::CredentialVerifierServiceClient;
use crate::pb::identity::verify_credentials_response::Verdict;
use crate::pb::identity::{DenialReason, Verified};

/// How long it may take: it hashes a password, and a person waits.
const DEADLINE: Duration = Duration::from_secs(5);

/// The most bytes of an answer: claims and details are small.
const ANSWER: usize = 64 * 1024;

/// The verifier.
pub struct Verifier {
    client: CredentialVerifierServiceClient<Channel>,
    token: Option<AsciiMetadataValue>,
}

/// What it decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Verified(Verified),
    Rejected,
    Locked(Option<Duration>),
    MoreRequired(Option<Map<String, Value>>),
    Disabled,
    /// Nothing: nobody is to blame but it.
    Undecided,
}

impl Verifier {
    #[must_use]
    pub fn new(channel: Channel, token: Option<AsciiMetadataValue>) -> Self {
        Self { client: CredentialVerifierServiceClient::new(channel).max_decoding_message_size(ANSWER), token }
    }

    /// Asks once: nobody knows whether asking twice counts twice.
    pub async fn verify(&self, request: pb::VerifyCredentialsRequest) -> Decision {
        let mut request = Request::new(request);
        // What the verifier sees of the deadline; the time-out below is the one that holds.
        request.set_timeout(DEADLINE);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        let mut client = self.client.clone();
        match tokio::time::timeout(DEADLINE, client.verify_credentials(request)).await {
            Ok(Ok(answer)) => read(answer.into_inner()),
            Ok(Err(status)) => {
                tracing::warn!(code = ?status.code(), cause = status.message(), "the credential verifier did not answer");
                Decision::Undecided
            }
            Err(_) => {
                tracing::warn!("the credential verifier did not answer within {DEADLINE:?}");
                Decision::Undecided
            }
        }
    }
}

fn read(answer: pb::VerifyCredentialsResponse) -> Decision {
    match answer.verdict {
        Some(Verdict::Verified(verified)) if !verified.subject.is_empty() => Decision::Verified(verified),
        Some(Verdict::Denied(denied)) => match DenialReason::try_from(denied.reason) {
            // A reason of tomorrow is at least no yes.
            Ok(DenialReason::Unspecified) | Err(_) => Decision::Rejected,
            Ok(DenialReason::Locked) => {
                Decision::Locked(denied.retry_after.and_then(|after| Duration::try_from(after).ok()))
            }
            Ok(DenialReason::MoreRequired) => Decision::MoreRequired(denied.details.map(json::from_struct)),
            Ok(DenialReason::Disabled) => Decision::Disabled,
        },
        Some(Verdict::Verified(_)) | None => {
            tracing::warn!("the credential verifier's answer names neither a subject nor a denial");
            Decision::Undecided
        }
    }
}
