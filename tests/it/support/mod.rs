//! What the tests stand on: a server in this process with a frozen clock, a server in a process of its own, and the
//! tools they borrow.

pub(crate) mod alone;
mod application;
mod asking;
mod authority;
mod bounded;
mod callers;
pub(crate) mod collector;
pub(crate) mod console;
mod contract;
pub(crate) mod dashboard;
mod database;
mod dice;
pub(crate) mod front;
mod generated;
pub(crate) mod http;
pub(crate) mod http2;
mod indoors;
mod load;
mod lock;
pub(crate) mod openapi;
pub(crate) mod picture;
mod postgres;
mod process;
pub(crate) mod prometheus;
mod proxy;
mod readme;
mod refusal;
mod room;
mod secrets;
mod server;
mod shell;
mod tools;
pub(crate) mod verifier;
mod watching;

pub(crate) use application::Application;
pub(crate) use asking::{claimed, claims, part, seconds};
pub(crate) use authority::{Authority, Issued};
pub(crate) use bounded::Bounded;
pub(crate) use callers::{ALL, declare_backend, entry, hash};
pub(crate) use contract::{PACKAGE, comment, contract, own_files, own_messages};
pub(crate) use database::{Database, raw};
pub(crate) use dice::Dice;
pub(crate) use generated::assert_generated;
pub(crate) use http::{Answer, Ask, Browser, get};
pub(crate) use indoors::{Indoors, presenting, subject};
pub(crate) use load::Load;
pub(crate) use lock::Other;
pub(crate) use openapi::documented;
pub(crate) use postgres::Postgres;
pub(crate) use process::Process;
pub(crate) use proxy::Proxy;
pub(crate) use readme::{assert_in_document, assert_in_readme, readme_path};
pub(crate) use refusal::{assert_ask_again, assert_says, sentence};
pub(crate) use room::many_files;
pub(crate) use secrets::{Secret, as_text, assert_silent, files, hex};
pub(crate) use server::{BEGINNING, MASTER_KEY, OTHER_MASTER_KEY, Server, Settings};
pub(crate) use shell::Shell;
pub(crate) use tools::tools;
pub(crate) use watching::{Watching, after, ids};

use symbolon::keys::ring::KeyState;
use symbolon::pb::auth::{IssueTokensRequest, RefreshTokensRequest};
use symbolon::store::{Store, StoredKey};
use tonic::Status;
use tonic_types::StatusExt;

/// `{"subject": …}` is enough to sign somebody in.
pub(crate) fn sign_in(subject: &str) -> IssueTokensRequest {
    IssueTokensRequest { subject: subject.to_owned(), ..IssueTokensRequest::default() }
}

/// A refresh token alone is enough to redeem it.
pub(crate) fn redeem(refresh_token: &str) -> RefreshTokensRequest {
    RefreshTokensRequest { refresh_token: refresh_token.to_owned(), ..RefreshTokensRequest::default() }
}

/// The `ErrorInfo` reason of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// The fields a refusal lists, sorted.
pub(crate) fn bad_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    let mut fields: Vec<_> = violations.into_iter().map(|violation| violation.field).collect();
    fields.sort();
    fields
}

/// The key that signs, as stored.
pub(crate) async fn active_key(store: &Store) -> StoredKey {
    let keys = store.signing_keys(false).await.unwrap();
    keys.into_iter().find(|key| key.member.state == KeyState::Active).unwrap()
}

/// Whether this run may take hours: `.ci/soak` says so.
pub(crate) fn soaking() -> bool {
    std::env::var_os("SYMBOLON_SOAK").is_some()
}
