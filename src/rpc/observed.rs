//! A call as it is seen from outside: how long it took and how it ended, by the semantic convention of OpenTelemetry for
//! RPC (1.45.0: `rpc.server.call.duration`), and its span. What it was about is not its business.

use tonic::Code;
use tonic::codegen::http::HeaderMap;
use tracing::Span;
use tracing::field::Empty;

use crate::clock::Stopwatch;
use crate::trace::{self, Followed};

/// What the convention calls a method that is not served: nobody makes up labels.
pub(super) const OTHER: &str = "_OTHER";

/// A call under way. It is counted when it is dropped, so that one whose caller left is counted, too.
pub(super) struct Observed {
    method: &'static str,
    began: Stopwatch,
    code: Code,
    span: Span,
}

impl Observed {
    /// A call of this method, `package.Service/Method`, begins.
    pub(super) fn begin(method: &'static str) -> Self {
        Self { method, began: Stopwatch::start(), code: Code::Cancelled, span: Span::none() }
    }

    /// Its caller is known, so what its headers say of traces counts. Answers the span of its work.
    pub(super) fn follow(&mut self, headers: &HeaderMap) -> Span {
        if let Some(followed) = Followed::call(headers) {
            self.span = followed.begin(tracing::info_span!(
                target: trace::TARGET,
                parent: None,
                "call",
                "otel.name" = self.method,
                "otel.kind" = "server",
                "otel.status_code" = Empty,
                "rpc.system.name" = "grpc",
                "rpc.method" = self.method,
                "rpc.response.status_code" = Empty,
            ));
        }
        self.span.clone()
    }

    /// How it ended, from the headers of its answer: an error has its code there, and what has none there is answered.
    pub(super) fn answered(&mut self, headers: &HeaderMap) {
        self.code = headers.get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let code = name(self.code);
        self.span.record("rpc.response.status_code", code);
        if is_fault(self.code) {
            self.span.record("otel.status_code", "ERROR");
        }
        metrics::histogram!(
            "rpc_server_call_duration_seconds",
            "rpc_method" => self.method,
            "rpc_response_status_code" => code,
            "rpc_system_name" => "grpc",
        )
        .record(self.began.elapsed());
    }
}

/// What the convention counts as an error of the server.
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}

/// As the convention writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
