use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::Value as Json;
use symbolon::pb::auth as pb;
use tonic::Status;

use super::{Server, raw, redeem};

impl Server {
    pub(crate) async fn issue_tokens(
        &self,
        request: pb::IssueTokensRequest,
    ) -> Result<pb::IssueTokensResponse, Status> {
        self.client().issue_tokens(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn refresh_tokens(
        &self,
        request: pb::RefreshTokensRequest,
    ) -> Result<pb::RefreshTokensResponse, Status> {
        self.client().refresh_tokens(request).await.map(tonic::Response::into_inner)
    }

    /// The pair a refresh token is good for.
    pub(crate) async fn pair(&self, refresh_token: &str) -> pb::TokenPair {
        self.refresh_tokens(redeem(refresh_token)).await.unwrap().tokens.unwrap()
    }

    pub(crate) async fn introspect(&self, token: &str) -> pb::IntrospectTokenResponse {
        let request = pb::IntrospectTokenRequest { token: token.to_owned() };
        self.client().introspect_token(request).await.unwrap().into_inner()
    }

    pub(crate) async fn session(&self, session_id: &str) -> Result<pb::Session, Status> {
        let request = pb::GetSessionRequest { session_id: session_id.to_owned() };
        self.client().get_session(request).await.map(|answer| answer.into_inner().session.unwrap())
    }

    pub(crate) async fn explain(&self, session_id: &str) -> pb::ExplainSessionResponse {
        let request = pb::ExplainSessionRequest { session_id: session_id.to_owned() };
        self.client().explain_session(request).await.unwrap().into_inner()
    }

    pub(crate) async fn list(&self, request: pb::ListSessionsRequest) -> Result<pb::ListSessionsResponse, Status> {
        self.client().list_sessions(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn update(&self, request: pb::UpdateSessionRequest) -> Result<pb::Session, Status> {
        self.client().update_session(request).await.map(|answer| answer.into_inner().session.unwrap())
    }

    pub(crate) async fn revoke_subject(&self, request: pb::RevokeSubjectSessionsRequest) -> Result<i32, Status> {
        self.client().revoke_subject_sessions(request).await.map(|answer| answer.into_inner().revoked_count)
    }

    /// Watches the database's file past the server.
    pub(crate) async fn watch(&self) -> Watch {
        Watch(raw(&self.database()).await)
    }
}

/// A connection of its own to a server's database: sees whether something was written, and what.
pub(crate) struct Watch(DatabaseConnection);

impl Watch {
    /// Another number whenever somebody else wrote anything at all.
    pub(crate) async fn version(&self) -> i64 {
        self.number("PRAGMA data_version").await
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        self.0.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        self.0.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.0.execute_unprepared(sql).await.unwrap();
    }

    /// Copies a session so often under other ids, all of one millisecond.
    pub(crate) async fn copy_session(&self, times: u32) {
        let columns = "SELECT group_concat(name) FROM pragma_table_info('sessions') WHERE name <> 'id'";
        let columns = self.text(columns).await;
        self.execute(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times})
             INSERT INTO sessions (id, {columns}) SELECT randomblob(16), {columns}
             FROM (SELECT * FROM sessions LIMIT 1), n"
        ))
        .await;
    }

    /// The bytes that all sessions take as text.
    pub(crate) async fn bytes_of_sessions(&self) -> i64 {
        let columns = "SELECT group_concat('length(quote(' || name || '))', '+') FROM pragma_table_info('sessions')";
        let length = self.text(columns).await;
        self.number(&format!("SELECT sum({length}) FROM sessions")).await
    }
}

/// The members of a JSON object as extra claims.
pub(crate) fn claims(object: Json) -> Struct {
    match value(object).kind {
        Some(Kind::StructValue(members)) => members,
        _ => panic!("claims are an object"),
    }
}

fn value(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.into_iter().map(value).collect() }),
        Json::Object(members) => {
            Kind::StructValue(Struct { fields: members.into_iter().map(|(name, it)| (name, value(it))).collect() })
        }
    };
    Value { kind: Some(kind) }
}

/// What a part of a compact JWS says, as text: 0 is the header, 1 the claims.
pub(crate) fn part(token: &str, at: usize) -> String {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    String::from_utf8(URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap()
}

/// What an access token claims.
pub(crate) fn claimed(access_token: &str) -> Json {
    serde_json::from_str(&part(access_token, 1)).unwrap()
}

/// Whole seconds, as a field that can be left unset.
#[expect(clippy::unnecessary_wraps, reason = "that is what such a field takes")]
pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}
