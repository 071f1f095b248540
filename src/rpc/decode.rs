//! From messages to what the use cases take: every field is checked here for its form, and everything that is wrong is
//! told at once.

mod claims;

use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::pb::auth as pb;
use crate::rpc::status::Failure;
use crate::rpc::violations::Fields;
use crate::service::feed::Cursor;
use crate::service::issue::{Issue, IssueRequest};
use crate::service::refresh::Refresh;
use crate::service::revoke::Target;
use crate::service::sessions::Update;
use crate::session::redeem::Rotation;
use crate::session::{Device, RevokeReason, SessionId};
use crate::time::Timestamp;

/// The most audiences of a session.
const AUDIENCES: usize = 16;
/// The most scopes of a session.
const SCOPES: usize = 64;
/// The most authentication methods of a sign-in.
const METHODS: usize = 16;

pub(super) fn issue(message: pb::IssueTokensRequest, now: Timestamp) -> Result<Issue, Failure> {
    let mut fields = Fields::default();
    let digest = digest(&message);
    let authentication = message.authentication.unwrap_or_default();
    let issue = Issue {
        subject: fields.subject("subject", message.subject),
        client_id: fields.optional_name("client_id", message.client_id),
        audience: fields.names("audience", AUDIENCES, message.audience),
        scope: fields.scopes("scope", SCOPES, message.scope),
        claims: claims::read(&mut fields, "claims", message.claims.unwrap_or_default()),
        auth_time: fields.past("authentication.auth_time", authentication.auth_time, now),
        acr: fields.optional_name("authentication.acr", authentication.acr),
        amr: fields.names("authentication.amr", METHODS, authentication.amr),
        device: device(&mut fields, message.device),
        access_token_ttl: fields.ttl("access_token_ttl", message.access_token_ttl),
        session_ttl: fields.ttl("session_ttl", message.session_ttl),
        idle_ttl: fields.ttl("idle_ttl", message.idle_ttl),
        browser_session: message.browser_session,
        request: request_id(&mut fields, &message.request_id).map(|request_id| IssueRequest { request_id, digest }),
    };
    fields.done(issue)
}

pub(super) fn refresh(message: pb::RefreshTokensRequest) -> Result<Refresh, Failure> {
    let mut fields = Fields::default();
    // Its form is judged by whoever reads it, with one answer for every fault.
    if message.refresh_token.is_empty() {
        fields.refuse("refresh_token", "is required");
    }
    let rotation = match pb::Rotation::try_from(message.rotation) {
        Ok(pb::Rotation::Unspecified | pb::Rotation::Always) => Rotation::Always,
        Ok(pb::Rotation::WhenDue) => Rotation::WhenDue,
        Err(_) => {
            fields.refuse("rotation", "must be one of Rotation");
            Rotation::Always
        }
    };
    let refresh = Refresh {
        refresh_token: message.refresh_token,
        audience: fields.names("audience", AUDIENCES, message.audience),
        scope: fields.scopes("scope", SCOPES, message.scope),
        device: device(&mut fields, message.device),
        rotation,
    };
    fields.done(refresh)
}

/// Which session to end, for which subject only, and why.
pub(super) type Revoke = (Target, Option<String>, RevokeReason);

pub(super) fn revoke(message: pb::RevokeSessionRequest) -> Result<Revoke, Failure> {
    use pb::revoke_session_request::Target as Wanted;
    let mut fields = Fields::default();
    let target = match message.target {
        Some(Wanted::RefreshToken(token)) if !token.is_empty() => Some(Target::RefreshToken(token)),
        Some(Wanted::SessionId(id)) if !id.is_empty() => {
            session_id(&mut fields, "session_id", &id).map(Target::SessionId)
        }
        Some(Wanted::RefreshToken(_) | Wanted::SessionId(_)) | None => {
            fields.refuse("target", "is required: refresh_token or session_id");
            None
        }
    };
    let subject = (!message.subject.is_empty()).then(|| fields.subject("subject", message.subject));
    let reason = reason(&mut fields, message.reason);
    Ok((fields.done_with(target)?, subject, reason))
}

/// Whose sessions to end.
pub(super) struct RevokeSubject {
    pub(super) subject: String,
    pub(super) client_id: Option<String>,
    pub(super) except: Option<SessionId>,
    pub(super) reason: RevokeReason,
}

pub(super) fn revoke_subject(message: pb::RevokeSubjectSessionsRequest) -> Result<RevokeSubject, Failure> {
    let mut fields = Fields::default();
    let revoke = RevokeSubject {
        subject: fields.subject("subject", message.subject),
        client_id: fields.optional_name("client_id", message.client_id),
        except: optional(&message.except_session_id).and_then(|id| session_id(&mut fields, "except_session_id", id)),
        reason: reason(&mut fields, message.reason),
    };
    fields.done(revoke)
}

/// Whom to erase.
pub(super) fn erase_subject(message: pb::EraseSubjectRequest) -> Result<String, Failure> {
    let mut fields = Fields::default();
    let subject = fields.subject("subject", message.subject);
    fields.done(subject)
}

/// Whose sessions to list, and which page.
pub(super) struct List {
    pub(super) subject: String,
    pub(super) client_id: Option<String>,
    pub(super) include_ended: bool,
    pub(super) page_size: u64,
    pub(super) page_token: String,
}

pub(super) fn list(message: pb::ListSessionsRequest) -> Result<List, Failure> {
    const UNSET: u64 = 50;
    const MOST: u64 = 1000;
    let mut fields = Fields::default();
    let page_size = u64::try_from(message.page_size).unwrap_or_else(|_| {
        fields.refuse("page_size", "must not be negative");
        UNSET
    });
    let list = List {
        subject: fields.subject("subject", message.subject),
        client_id: fields.optional_name("client_id", message.client_id),
        include_ended: message.include_ended,
        page_size: if page_size == 0 { UNSET } else { page_size.min(MOST) },
        page_token: message.page_token,
    };
    fields.done(list)
}

/// The one field of several requests.
pub(super) fn required_session_id(id: &str) -> Result<SessionId, Failure> {
    let mut fields = Fields::default();
    let id = session_id(&mut fields, "session_id", id);
    fields.done_with(id)
}

pub(super) fn update(message: pb::UpdateSessionRequest) -> Result<(SessionId, Update), Failure> {
    let mut fields = Fields::default();
    let id = session_id(&mut fields, "session_id", &message.session_id);
    let update = Update {
        claims: message.claims.map(|claims| claims::read(&mut fields, "claims", claims)),
        label: message.label.map(|label| fields.label("label", label)),
    };
    Ok((fields.done_with(id)?, update))
}

/// Where a watch begins; `None` for everything.
pub(super) fn cursor(text: &str) -> Result<Option<Cursor>, Failure> {
    let mut fields = Fields::default();
    let cursor = optional(text).map(Cursor::read);
    if cursor == Some(None) {
        fields.refuse("cursor", "must be the last cursor that was received, as it was");
    }
    fields.done(cursor.flatten())
}

/// Which ring of keys is meant: there is one.
pub(super) fn algorithm(algorithm: i32) -> Result<(), Failure> {
    let mut fields = Fields::default();
    match pb::Algorithm::try_from(algorithm) {
        Ok(pb::Algorithm::Unspecified | pb::Algorithm::Eddsa) => {}
        Ok(pb::Algorithm::Es256) | Err(_) => fields.refuse("algorithm", "must be ALGORITHM_EDDSA or unset"),
    }
    fields.done(())
}

/// The `kid` of a key.
pub(super) fn key_id(key_id: String) -> Result<String, Failure> {
    let mut fields = Fields::default();
    let key_id = fields.name("key_id", key_id);
    fields.done(key_id)
}

fn device(fields: &mut Fields, message: Option<pb::Device>) -> Device {
    let message = message.unwrap_or_default();
    Device {
        user_agent: fields.user_agent("device.user_agent", &message.user_agent),
        ip_address: fields.ip_address("device.ip_address", &message.ip_address),
        label: fields.label("device.label", message.label),
    }
}

fn session_id(fields: &mut Fields, field: &str, id: &str) -> Option<SessionId> {
    let read = SessionId::parse(id);
    if read.is_none() {
        fields.refuse(field, "must be a session's id: a UUID in lower case");
    }
    read
}

fn request_id(fields: &mut Fields, id: &str) -> Option<Uuid> {
    let id = optional(id)?;
    let read = Uuid::try_parse(id).ok().filter(|_| id.len() == 36);
    if read.is_none() {
        fields.refuse("request_id", "must be a UUID");
    }
    read
}

fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn reason(fields: &mut Fields, reason: i32) -> RevokeReason {
    use pb::RevokeReason as R;
    match R::try_from(reason) {
        Ok(R::Unspecified | R::Administrator) => RevokeReason::Administrator,
        Ok(R::SignedOut) => RevokeReason::SignedOut,
        Ok(R::SignedOutElsewhere) => RevokeReason::SignedOutElsewhere,
        Ok(R::CredentialsChanged) => RevokeReason::CredentialsChanged,
        Ok(R::AccountDisabled) => RevokeReason::AccountDisabled,
        Ok(R::Superseded) => RevokeReason::Superseded,
        Ok(R::ReuseDetected | R::SessionLimit | R::RolledBack) | Err(_) => {
            fields.refuse("reason", "must be a RevokeReason that a caller may give");
            RevokeReason::Administrator
        }
    }
}

/// What makes two requests the same: everything but the id that says so and where the call came from. The encoding is
/// deterministic, since every map in the generated code is sorted.
fn digest(message: &pb::IssueTokensRequest) -> [u8; 32] {
    let same = pb::IssueTokensRequest { request_id: String::new(), device: None, ..message.clone() };
    Sha256::digest(same.encode_to_vec()).into()
}
