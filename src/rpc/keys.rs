//! `KeyService`: each method decodes, calls its use case and encodes.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::pb::auth as pb;
use crate::pb::auth::key_service_server::KeyService;
use crate::rpc::call::Call;
use crate::rpc::{decode, encode};
use crate::service::Service;

pub(super) struct Keys(pub(super) Arc<Service>);

#[tonic::async_trait]
impl KeyService for Keys {
    async fn list_signing_keys(
        &self,
        request: Request<pb::ListSigningKeysRequest>,
    ) -> Result<Response<pb::ListSigningKeysResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
        call.answer(async {
            let keys = self.0.list_keys(request.into_inner().include_ended).await?;
            Ok(pb::ListSigningKeysResponse { keys: keys.into_iter().map(encode::signing_key).collect() })
        })
        .await
    }

    async fn rotate_signing_key(
        &self,
        request: Request<pb::RotateSigningKeyRequest>,
    ) -> Result<Response<pb::RotateSigningKeyResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
        call.answer(async {
            let request = request.into_inner();
            decode::algorithm(request.algorithm)?;
            let key = self.0.rotate_key(&call.caller, request.skip_publish_ahead).await?;
            Ok(pb::RotateSigningKeyResponse { key: Some(encode::signing_key(key)) })
        })
        .await
    }

    async fn revoke_signing_key(
        &self,
        request: Request<pb::RevokeSigningKeyRequest>,
    ) -> Result<Response<pb::RevokeSigningKeyResponse>, Status> {
        let call = Call::of(&self.0, &request)?;
        call.answer(async {
            let key_id = decode::key_id(request.into_inner().key_id)?;
            let active = self.0.revoke_key(&call.caller, &key_id).await?;
            Ok(pb::RevokeSigningKeyResponse { active_key: Some(encode::signing_key(active)) })
        })
        .await
    }
}
