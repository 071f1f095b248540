//! axum and sqlx: `POST /login` and `POST /refresh` with JSON, by the one statement or, with `--textbook`, by the transaction
//! that tutorials have.

use std::env;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use symbolon_peers::store::{Session, Store};
use symbolon_peers::textbook::Textbook;
use symbolon_peers::tokens::{AccessTokens, RefreshToken};
use symbolon_peers::{ACCESS_TOKEN_TTL, Failed, listen, now, until_terminated};

struct Peer {
    sessions: Sessions,
    access_tokens: AccessTokens,
}

enum Sessions {
    OneStatement(Store),
    Textbook(Textbook),
}

#[derive(Deserialize)]
struct Login {
    subject: String,
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

#[derive(Serialize)]
struct Pair {
    access_token: String,
    refresh_token: String,
    expires_in: i64,
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let url = env::var("DATABASE_URL")?;
    let sessions = match env::args().nth(1).as_deref() {
        None => Sessions::OneStatement(Store::open(&url).await?),
        Some("--textbook") => Sessions::Textbook(Textbook::open(&url).await?),
        Some(other) => return Err(format!("{other} is not known").into()),
    };
    let peer = Arc::new(Peer { sessions, access_tokens: AccessTokens::new() });
    let app = Router::new().route("/login", post(login)).route("/refresh", post(refresh)).with_state(peer);
    let listener = listen().await?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|stream| {
        // Worth a few milliseconds at times, and no reason to refuse the connection.
        let _ = stream.set_nodelay(true);
    });
    until_terminated(address, axum::serve(listener, app).into_future()).await
}

async fn login(State(peer): State<Arc<Peer>>, Json(request): Json<Login>) -> Result<Json<Pair>, Refused> {
    let now = now();
    match &peer.sessions {
        Sessions::OneStatement(store) => {
            let session = Session { subject: request.subject, client_id: "web".to_owned() };
            let token = store.start(&session, now).await?;
            Ok(peer.one_statement(&session, &token, now))
        }
        Sessions::Textbook(textbook) => {
            let token = textbook.login(&request.subject).await?;
            Ok(peer.textbook(&request.subject, token, now))
        }
    }
}

async fn refresh(State(peer): State<Arc<Peer>>, Json(request): Json<Refresh>) -> Result<Json<Pair>, Refused> {
    let now = now();
    match &peer.sessions {
        Sessions::OneStatement(store) => {
            let presented = RefreshToken::parse(&request.refresh_token).ok_or(Refused::InvalidToken)?;
            let (session, token) = store.refresh(&presented, now).await?.ok_or(Refused::InvalidToken)?;
            Ok(peer.one_statement(&session, &token, now))
        }
        Sessions::Textbook(textbook) => {
            let (user, token) = textbook.refresh(&request.refresh_token).await?.ok_or(Refused::InvalidToken)?;
            Ok(peer.textbook(&user, token, now))
        }
    }
}

impl Peer {
    fn one_statement(&self, session: &Session, token: &RefreshToken, now: i64) -> Json<Pair> {
        let access_token = self.access_tokens.mint(&session.subject, &session.client_id, Some(token.session), now);
        Json(Pair { access_token, refresh_token: token.to_string(), expires_in: ACCESS_TOKEN_TTL })
    }

    fn textbook(&self, user: &str, refresh_token: String, now: i64) -> Json<Pair> {
        let access_token = self.access_tokens.mint(user, "web", None, now);
        Json(Pair { access_token, refresh_token, expires_in: ACCESS_TOKEN_TTL })
    }
}

enum Refused {
    InvalidToken,
    Database,
}

impl From<sqlx::Error> for Refused {
    fn from(_: sqlx::Error) -> Self {
        Self::Database
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::InvalidToken => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Database => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        (status, Json(serde_json::json!({ "error": error }))).into_response()
    }
}
