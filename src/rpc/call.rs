//! One call: who called and when, how long it may take, and how its end is counted and told.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Response, Status};

use crate::rpc::gate::{Admitted, count};
use crate::rpc::status::Failure;
use crate::service::{Caller, Error, Service};
use crate::time::Timestamp;

/// The longest a call may take, whatever the client allows: below every proxy's patience. A call waits for nothing but
/// the database.
const CAP: Duration = Duration::from_secs(5);

/// A call that was let in: who called, and when.
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) caller: Arc<Caller>,
    pub(super) now: Timestamp,
}

impl Call {
    /// What the gate knows of a request; whatever came round it is nobody's.
    pub(super) fn of<T>(service: &Service, request: &Request<T>) -> Result<Self, Status> {
        let admitted = request.extensions().get().ok_or(Failure::CallerUnauthenticated)?;
        let Admitted { method, caller } = admitted;
        Ok(Self { method, caller: Arc::clone(caller), now: service.now() })
    }

    /// Runs the work of a call within its time, and turns a failure into a status.
    pub(super) async fn answer<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Response<T>, Status> {
        let outcome = tokio::time::timeout(CAP, work).await.unwrap_or_else(|_| Err(too_slow()));
        let reason = outcome.as_ref().err().map_or("OK", |failure| failure.row().name());
        count(self.method, reason);
        outcome.map(Response::new).map_err(|failure| {
            self.tell(&failure);
            failure.into()
        })
    }

    /// Causes go to the log; what a caller did wrong is told to the caller alone.
    fn tell(&self, failure: &Failure) {
        match failure {
            Failure::Service(Error::StoreUnavailable(cause) | Error::SigningUnavailable(cause)) => {
                tracing::warn!(method = self.method, reason = failure.row().name(), cause = %chain(cause.as_ref()));
            }
            Failure::Service(Error::Internal(cause)) => {
                tracing::error!(method = self.method, reason = failure.row().name(), cause = %chain(cause.as_ref()));
            }
            Failure::Service(_) | Failure::FieldsInvalid(_) | Failure::CallerUnauthenticated => {}
        }
    }
}

fn too_slow() -> Failure {
    Error::StoreUnavailable(format!("no answer within {CAP:?}").into()).into()
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
