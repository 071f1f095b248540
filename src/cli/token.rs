//! `symbolon token`: what a token says. It comes from stdin, never from the command line: that is kept in shell
//! histories and shown in process lists.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Failure, print};
use crate::token::refresh::Parts;

#[derive(Subcommand)]
pub(super) enum Token {
    /// Shows what the access or refresh token on stdin says; verifies nothing
    Inspect {
        #[arg(hide = true, allow_hyphen_values = true)]
        tokens: Vec<String>,
    },
}

/// More than any token of ours has.
const MOST: u64 = 64 * 1024;

pub(super) fn token(command: Token) -> Result<(), Failure> {
    let Token::Inspect { tokens } = command;
    // Taken so that it can be refused without being repeated: clap would show it.
    if !tokens.is_empty() {
        return Err(
            "a token on the command line is kept in histories and shown in process lists: give it on stdin".into()
        );
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().take(MOST).read_to_string(&mut text)?;
    let token = text.trim();
    let told = refresh_token(token).or_else(|| access_token(token)).ok_or("stdin holds no token of ours")?;
    print(&serde_json::to_string_pretty(&told)?)
}

fn refresh_token(token: &str) -> Option<Value> {
    let parts = Parts::parse(token)?;
    Some(json!({
        "kind": "refresh token",
        "verified": false,
        "master_key_id": parts.master_key_id,
        "session_id": parts.token.session_id.to_string(),
        "generation": parts.token.generation,
    }))
}

fn access_token(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some(json!({ "kind": "access token", "verified": false, "header": read(header)?, "claims": read(claims)? }))
}
