//! The gRPC service. A method sees claims, or is not called.

use symbolon_verifier::{Claims, Refusal};
use tonic::{Request, Response, Status};

use crate::pb::orders_service_server::OrdersService;
use crate::pb::{ListOrdersRequest, ListOrdersResponse};

pub(crate) struct Orders;

#[tonic::async_trait]
impl OrdersService for Orders {
    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Result<Response<ListOrdersResponse>, Status> {
        let claims = request.extensions().get::<Claims>().ok_or(Refusal::Missing)?;
        Ok(Response::new(ListOrdersResponse { subject: claims.sub.clone() }))
    }
}
