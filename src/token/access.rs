//! The access token: a compact JWS (RFC 7515) after the JWT profile of RFC 9068. The same session, narrowing and
//! signing key give the same bytes, so a replay makes the token again without anything being stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, Header};
use sha2::Sha256;
use symbolon_verifier::Claims;
use thiserror::Error;

use crate::keys::master::MasterKeys;
use crate::keys::signing_key::SigningKey;
use crate::session::Session;
use crate::token::eddsa;
use crate::token::lifetime::AccessTokenLife;

/// The `typ` of the header (RFC 9068 section 2.1): no other JWT of ours is taken for an access token.
const TYPE: &str = symbolon_verifier::TOKEN_TYPE;

/// The place of the token's id in claims that have none yet. Inside of a text the quotes would be escaped, and nothing that
/// has members stands before it.
const UNNAMED: &str = r#""jti":"-""#;

/// Enough for most tokens.
const ROOM: usize = 1024;

/// A token that is sent with every request must fit into every server's and proxy's head.
pub const MAX_LENGTH: usize = 4096;

/// Mints the access tokens of one issuer.
pub struct AccessTokens {
    issuer: String,
    jti_key: Hmac<Sha256>,
}

/// A signed access token.
pub struct AccessToken {
    /// Three base64url parts with dots between.
    pub compact: String,
    pub life: AccessTokenLife,
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum Unmintable {
    #[error("the access token would have {0} bytes, more than {MAX_LENGTH}")]
    TooLarge(usize),
    #[error("signing failed")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

impl AccessTokens {
    #[must_use]
    pub fn new(master_keys: &MasterKeys, issuer: &str) -> Self {
        eddsa::install();
        let jti_key = Hmac::new_from_slice(master_keys.first().derive("jti/v1", issuer).as_slice());
        Self { issuer: issuer.to_owned(), jti_key: jti_key.expect("cannot fail: HMAC takes keys of any length") }
    }

    /// The `iss` of every token.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The access token of the session's current generation. `audience` and `scope` narrow it; empty ones leave it what
    /// the session has.
    pub fn mint(
        &self,
        signer: &SigningKey,
        session: &Session,
        audience: &[String],
        scope: &[String],
    ) -> Result<AccessToken, Unmintable> {
        let life = session.access_token_life();
        let kid = signer.public().key_id();
        let claims = serde_json::to_string(&self.claims(session, life, audience, scope));
        let claims = claims.map_err(jsonwebtoken::errors::Error::from)?;
        let jti = self.jti(kid, session.chain.generation, &claims);
        let (before, after) = claims.split_once(UNNAMED).expect("cannot fail: they were written with it");

        let mut compact = String::with_capacity(ROOM);
        compact.push_str(signer.header_of_tokens(header));
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string([before, r#""jti":""#, &jti, r#"""#, after].concat(), &mut compact);
        let signature = jsonwebtoken::crypto::sign(compact.as_bytes(), signer.encoding_key(), Algorithm::EdDSA)?;
        compact.push('.');
        compact.push_str(&signature);
        if compact.len() > MAX_LENGTH {
            return Err(Unmintable::TooLarge(compact.len()));
        }
        Ok(AccessToken { compact, life })
    }

    fn claims(&self, session: &Session, life: AccessTokenLife, audience: &[String], scope: &[String]) -> Claims {
        let narrowed = |asked: &[String], granted: &[String]| if asked.is_empty() { granted } else { asked }.to_vec();
        let scope = narrowed(scope, &session.scope).join(" ");
        Claims {
            iss: self.issuer.clone(),
            sub: session.subject.clone(),
            aud: narrowed(audience, &session.audience),
            exp: life.exp,
            iat: life.iat,
            // Not yet known: see `UNNAMED`. An empty one is refused by the claims themselves.
            jti: "-".to_owned(),
            client_id: session.client_id.clone(),
            sid: session.id.to_string(),
            scope: Some(scope).filter(|scope| !scope.is_empty()),
            auth_time: Some(session.authentication.auth_time.seconds()),
            acr: session.authentication.acr.clone(),
            amr: session.authentication.amr.clone(),
            act: None,
            cnf: None,
            extra: session.claims.clone(),
        }
    }

    /// A keyed hash of everything else in the token: the same facts give the same id, other facts another.
    fn jti(&self, kid: &str, generation: u32, claims: &str) -> String {
        let mac = self.jti_key.clone().chain_update(kid).chain_update(generation.to_be_bytes()).chain_update(claims);
        URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16])
    }
}

/// The first part of every token that a key signs.
fn header(kid: &str) -> String {
    let header = Header { typ: Some(TYPE.to_owned()), kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
    URL_SAFE_NO_PAD.encode(serde_json::to_string(&header).expect("cannot fail: plain members are JSON"))
}

#[cfg(test)]
mod tests;
