//! `WatchRevocations`: a watcher of the feed as a stream of messages. It is asked for the next event only when there is
//! room for it on the connection, so that a reader that does not read costs nothing.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::Status;

use crate::pb::auth as pb;
use crate::rpc::encode;
use crate::rpc::status::Failure;
use crate::service::feed::Watcher;
use crate::service::{Caller, Error, Service};

/// The answers of one watch.
pub(super) type Watch = Pin<Box<dyn Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

/// What a watcher is told, until it is sent away: then there is one error, and nothing after it.
pub(super) fn stream(service: Arc<Service>, caller: Arc<Caller>, watcher: Watcher) -> Watch {
    Box::pin(unfold(Some(watcher), move |watcher| {
        let (service, caller) = (Arc::clone(&service), Arc::clone(&caller));
        async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(event) if service.callers.load().still_knows(&caller) => {
                    Some((Ok(encode::event(event)), Some(watcher)))
                }
                // It is told why when it connects again.
                Ok(_) => Some((Err(Failure::from(Error::ShuttingDown).into()), None)),
                Err(over) => Some((Err(Failure::from(over).into()), None)),
            }
        }
    }))
}
