//! The ways in. Each signs a subject in and redeems a refresh token; what comes of it is the next refresh token or a
//! refusal with a reason. Which server is behind it, and how it is asked, is the door's affair.

mod edge;
pub(crate) mod grpc;
mod http;
mod json;

use std::borrow::Cow;

use crate::Failure;
use crate::plan::{Plan, Way};

/// Why there is no token.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// The token or what was asked is refused: asking again does not help.
    Refused(Cow<'static, str>),
    /// It says nothing about the token.
    Failed(Cow<'static, str>),
}

impl Refusal {
    pub(crate) fn code(self) -> Cow<'static, str> {
        match self {
            Self::Refused(code) | Self::Failed(code) => code,
        }
    }
}

/// Doors of one kind, which share what can be shared.
pub(crate) struct Doors {
    over: Way,
    grpc: Vec<grpc::Client>,
    http: http::Address,
    cookie: edge::Cookie,
}

/// One of them: makes one call at a time.
pub(crate) enum Door {
    Grpc(grpc::Client),
    Edge(edge::Door),
    Json(json::Door),
}

impl Doors {
    pub(crate) async fn open(plan: &Plan) -> Result<Self, Failure> {
        let http = http::Address::parse(&plan.target.http)?;
        let cookie = edge::Cookie::named(plan.target.cookie.as_deref(), &http)?;
        let grpc = match plan.over {
            Way::Grpc | Way::Edge => grpc::connect(&plan.target, plan.connections).await?,
            Way::Json => Vec::new(),
        };
        Ok(Self { over: plan.over, grpc, http, cookie })
    }

    /// A door for the worker of this number.
    pub(crate) fn door(&self, at: usize) -> Door {
        match self.over {
            Way::Grpc => Door::Grpc(self.grpc(at)),
            Way::Edge => Door::Edge(edge::Door::new(self.grpc(at), &self.http, &self.cookie)),
            Way::Json => Door::Json(json::Door::new(&self.http)),
        }
    }

    /// A connection to the gRPC service, which there is unless it goes over JSON.
    pub(crate) fn grpc(&self, at: usize) -> grpc::Client {
        self.grpc[at % self.grpc.len()].clone()
    }
}

impl Door {
    pub(crate) async fn issue(&mut self, subject: &str) -> Result<String, Refusal> {
        match self {
            Self::Grpc(client) => grpc::issue(client, subject).await,
            Self::Edge(door) => door.issue(subject).await,
            Self::Json(door) => door.issue(subject).await,
        }
    }

    pub(crate) async fn refresh(&mut self, token: &str) -> Result<String, Refusal> {
        match self {
            Self::Grpc(client) => grpc::refresh(client, token).await,
            Self::Edge(door) => door.refresh(token).await,
            Self::Json(door) => door.refresh(token).await,
        }
    }
}
