//! `examples/resource` in front of a real server's tokens: whom it lets in, and whom it does not.

use std::time::Duration;

use serde_json::json;
use symbolon::pb::auth::revoke_session_request::Target;
use symbolon::pb::auth::{IssueTokensRequest, RevokeSessionRequest, TokenPair};
use symbolon_example_resource::pb::ListOrdersRequest;
use symbolon_example_resource::pb::orders_service_client::OrdersServiceClient;
use symbolon_example_resource::serve;
use symbolon_verifier::{Issuer, Verifier, WhenStale};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use crate::support::{Answer, Ask, Process};

/// The issuer of every `dev` of the tests.
const ISSUER: &str = "http://localhost:8080";

/// The service. Ends when dropped.
pub(crate) struct Resource {
    grpc: String,
    pub(crate) http: String,
    task: JoinHandle<()>,
}

impl Resource {
    /// With keys from the edge, over HTTP.
    async fn start(server: &Process, audience: &str) -> Self {
        let issuer = Issuer::new(ISSUER).jwks_url(format!("http://{}/.well-known/jwks.json", server.edge));
        Self::of(Verifier::new(issuer, audience).start().await.unwrap()).await
    }

    pub(crate) async fn of(verifier: Verifier) -> Self {
        assert!(verifier.is_ready());
        let grpc = TcpListener::bind("localhost:0").await.unwrap();
        let http = TcpListener::bind("localhost:0").await.unwrap();
        let [grpc_at, http_at] = [&grpc, &http].map(|listener| listener.local_addr().unwrap().to_string());
        let task = tokio::spawn(async move { serve(verifier, grpc, http).await.unwrap() });
        Self { grpc: grpc_at, http: http_at, task }
    }

    async fn ask(&self, method: &str, path: &str, token: Option<&str>) -> Answer {
        let ask = Ask::new(method, path);
        let ask = if let Some(token) = token { ask.bearer(token) } else { ask };
        ask.of(&self.http).await
    }

    /// Whose orders gRPC answers.
    async fn list(&self, token: Option<&str>) -> Result<String, (Code, String)> {
        let mut client = OrdersServiceClient::connect(format!("http://{}", self.grpc)).await.unwrap();
        let mut request = Request::new(ListOrdersRequest {});
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        let answer = client.list_orders(request).await;
        answer.map(|answer| answer.into_inner().subject).map_err(|status| (status.code(), status.message().to_owned()))
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tokens(server: &Process, scope: &[&str]) -> TokenPair {
    let scope = scope.iter().map(|&scope| scope.to_owned()).collect();
    let request = IssueTokensRequest { subject: "alice".to_owned(), scope, ..IssueTokensRequest::default() };
    server.client().await.issue_tokens(request).await.unwrap().into_inner().tokens.unwrap()
}

#[tokio::test]
async fn a_service_lets_in_whom_the_token_says_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let resource = Resource::start(&server, "api").await;
    let plain = tokens(&server, &[]).await.access_token;
    let writing = tokens(&server, &["orders:read", "orders:write"]).await.access_token;

    let orders = resource.ask("GET", "/orders", Some(&plain)).await;
    assert_eq!((orders.status, orders.json()), (200, json!({ "subject": "alice", "orders": [] })));
    assert_eq!(resource.ask("DELETE", "/account", Some(&plain)).await.status, 200, "signed in just now");
    assert_eq!(resource.list(Some(&plain)).await.as_deref(), Ok("alice"));

    let refused = resource.ask("POST", "/orders", Some(&plain)).await;
    assert_eq!(refused.problem(), (403, "insufficient_scope".to_owned()));
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"orders:write\"";
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
    assert_eq!(resource.ask("POST", "/orders", Some(&writing)).await.json()["placed"], true);

    let public = async |token| {
        let answer = resource.ask("GET", "/", token).await;
        (answer.status, answer.body)
    };
    assert_eq!(public(None).await, (200, "hello, whoever you are\n".to_owned()));
    assert_eq!(public(Some(&plain)).await, (200, "hello, alice\n".to_owned()));
    assert_eq!(public(Some("garbage")).await.0, 401);
}

/// R-JWS-05
#[tokio::test]
async fn a_service_has_one_answer_to_every_bad_token() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let resource = Resource::start(&server, "api").await;
    let elsewhere = Resource::start(&server, "another").await;
    let pair = tokens(&server, &[]).await;
    let good = pair.access_token;
    let unsigned = format!("{}.{}", good.rsplit_once('.').unwrap().0, "A".repeat(86));
    let bad = ["", "undefined", "null", "garbage", &unsigned, &good[..good.len() - 1], &pair.refresh_token];
    let mut answers = Vec::new();
    for token in bad {
        for (method, path) in [("GET", "/orders"), ("POST", "/orders"), ("DELETE", "/account"), ("GET", "/")] {
            answers.push(resource.ask(method, path, Some(token)).await);
        }
        let refused = Err((Code::Unauthenticated, "the access token is not valid".to_owned()));
        assert_eq!(resource.list(Some(token)).await, refused, "{token}");
    }
    answers.push(elsewhere.ask("GET", "/orders", Some(&good)).await);
    for answer in &answers {
        assert_eq!(answer.problem(), (401, "access_token_invalid".to_owned()));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        assert_eq!(answer.body, answers[0].body);
    }
    let missing = resource.ask("GET", "/orders", None).await;
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(resource.list(None).await.unwrap_err().0, Code::Unauthenticated);

    // Its issuer gone, a service goes on.
    server.kill().await;
    assert_eq!(resource.ask("GET", "/orders", Some(&good)).await.status, 200);
    assert_eq!(resource.ask("GET", "/orders", Some(&unsigned)).await.status, 401);
}

/// R-REV-03
#[tokio::test]
async fn who_signs_out_is_out_everywhere_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let channel = Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap().connect_lazy();
    let issuer = Issuer::new(ISSUER).endpoint(channel).revocations(WhenStale::Closed);
    let resource = Resource::of(Verifier::new(issuer, "api").start().await.unwrap()).await;
    let [ended, other] = [tokens(&server, &[]).await, tokens(&server, &[]).await];
    assert_eq!(resource.ask("GET", "/orders", Some(&ended.access_token)).await.status, 200);

    let target = Some(Target::RefreshToken(ended.refresh_token));
    let revoke = RevokeSessionRequest { target, ..RevokeSessionRequest::default() };
    assert!(server.client().await.revoke_session(revoke).await.unwrap().into_inner().revoked);
    let revoked = tokio::time::Instant::now();
    while resource.ask("GET", "/orders", Some(&ended.access_token)).await.status == 200 {
        assert!(revoked.elapsed() < Duration::from_secs(1), "the token is still good");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = resource.ask("GET", "/orders", Some(&ended.access_token)).await;
    assert_eq!(refused.problem(), (401, "access_token_invalid".to_owned()));
    assert_eq!(resource.ask("GET", "/orders", Some(&other.access_token)).await.status, 200);
}
