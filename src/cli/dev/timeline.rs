//! What went over the wire, for the page to show: requests to the edge, the generations of their refresh tokens, never the
//! tokens.

use std::collections::VecDeque;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use crate::edge::cookie::{Found, find};
use crate::time::Timestamp;
use crate::token::refresh::{self, RefreshToken};

/// So many requests are remembered.
const REMEMBERED: usize = 400;

/// So many characters of a path: nobody's request is to fill the memory.
const PATH: usize = 100;

/// Who asked. The browser is whoever is not the thief.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Actor {
    Browser,
    Thief,
}

/// One request and its answer.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// Counts up from 1.
    number: u64,
    /// Milliseconds since 1970, by the server's clock.
    time: i64,
    actor: Actor,
    method: String,
    path: String,
    /// `none`, `undefined`, `token` or `other`: what stood in `Authorization`.
    authorization: &'static str,
    session_id: Option<String>,
    /// The generation of the refresh token that came.
    presented: Option<u32>,
    /// Of the one that was answered.
    answered: Option<u32>,
    status: u16,
    /// The `code` of a problem.
    code: Option<String>,
    /// Of a refresh: what the rule says of it.
    verdict: Option<&'static str>,
    /// Whether the answer was lost on its way.
    lost: bool,
}

/// What a request brought.
pub(super) struct Asked {
    actor: Actor,
    method: String,
    path: String,
    authorization: &'static str,
    presented: Option<RefreshToken>,
}

/// How it was answered.
pub(super) struct Answered<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// The name of the rule's verdict, if one yielded tokens.
    pub(super) verdict: Option<&'static str>,
    pub(super) lost: bool,
}

impl Asked {
    /// `cookie`: the name of the edge's.
    pub(super) fn of(parts: &Parts, cookie: &str) -> Self {
        Self {
            actor: parts.extensions.get().copied().unwrap_or(Actor::Browser),
            method: parts.method.to_string(),
            path: parts.uri.path().chars().take(PATH).collect(),
            authorization: authorization(&parts.headers),
            presented: presented(&parts.headers, cookie).and_then(generation),
        }
    }

    pub(super) fn is_by_the_thief(&self) -> bool {
        matches!(self.actor, Actor::Thief)
    }
}

/// The refresh token of a request.
pub(super) fn presented<'a>(headers: &'a HeaderMap, cookie: &str) -> Option<&'a str> {
    match find(headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes), cookie) {
        Found::One(value) => std::str::from_utf8(value).ok(),
        Found::None | Found::Duplicate => None,
    }
}

/// The refresh token of an answer.
pub(super) fn answered<'a>(headers: &'a HeaderMap, cookie: &str) -> Option<&'a str> {
    let mut values = headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.find_map(|value| value.strip_prefix(cookie)?.strip_prefix('=')?.split(';').next())
}

/// Session and generation of a refresh token; whether it is ours does not matter here.
pub(super) fn generation(token: &str) -> Option<RefreshToken> {
    refresh::Parts::parse(token).map(|parts| parts.token)
}

fn authorization(headers: &HeaderMap) -> &'static str {
    match headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes) {
        None => "none",
        Some(b"Bearer undefined") => "undefined",
        Some(value) if value.starts_with(b"Bearer ey") => "token",
        Some(_) => "other",
    }
}

/// A refresh that was refused, as the edge's code says it.
fn refused(code: &str) -> Option<&'static str> {
    match code {
        "session_reused" => Some("reuse"),
        "refresh_stale" => Some("stale"),
        "session_expired" | "session_revoked" | "session_invalid" => Some("refused"),
        _ => None,
    }
}

/// The last requests.
#[derive(Default)]
pub(super) struct Timeline {
    entries: VecDeque<Entry>,
    numbers: u64,
}

impl Timeline {
    pub(super) fn add(&mut self, asked: Asked, answer: &Answered<'_>, cookie: &str, now: Timestamp) {
        let body: Value = serde_json::from_slice(answer.body).unwrap_or_default();
        let code = body["code"].as_str().map(str::to_owned);
        let fresh = answered(answer.headers, cookie).and_then(generation);
        let held = asked.presented.or(fresh).map(|token| token.session_id.to_string());
        self.numbers += 1;
        self.entries.push_back(Entry {
            number: self.numbers,
            time: now.millis(),
            actor: asked.actor,
            method: asked.method,
            path: asked.path,
            authorization: asked.authorization,
            session_id: body["session"]["session_id"].as_str().map(str::to_owned).or(held),
            presented: asked.presented.map(|token| token.generation),
            answered: fresh.map(|token| token.generation),
            status: answer.status.as_u16(),
            verdict: answer.verdict.or_else(|| code.as_deref().and_then(refused)),
            code,
            lost: answer.lost,
        });
        if self.entries.len() > REMEMBERED {
            self.entries.pop_front();
        }
    }

    /// The entries after this one.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.number > number)
    }
}
