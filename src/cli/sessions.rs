//! `symbolon sessions`: a gRPC client of a running service, so that it works beside it.

use clap::{Subcommand, ValueEnum};

use super::Failure;
use super::client::Server;
use super::output::{Output, json, print, shown, table};
use crate::pb::auth::auth_service_client::AuthServiceClient;
use crate::pb::auth::{
    EraseSubjectRequest, EraseSubjectResponse, ExplainSessionRequest, ExplainSessionResponse, ListSessionsRequest,
    ListSessionsResponse, RevokeReason, RevokeSessionRequest, RevokeSessionResponse, Session, SessionState,
    revoke_session_request,
};

#[derive(Subcommand)]
pub(super) enum Sessions {
    /// Lists the sessions of a subject, newest first
    List {
        /// Whose
        subject: String,
        /// Expired and revoked ones too, until they are swept
        #[arg(long)]
        include_ended: bool,
        /// Only sessions of this client
        #[arg(long, default_value = "", hide_default_value = true)]
        client: String,
        #[arg(long, value_enum, default_value = "table")]
        output: Output,
        #[command(flatten)]
        server: Server,
    },
    /// Says why a session is as it is
    Explain {
        /// As `list` shows it
        session_id: String,
        #[arg(long, value_enum, default_value = "table")]
        output: Output,
        #[command(flatten)]
        server: Server,
    },
    /// Erases what is known of a subject: ends its sessions, and forgets whose they were
    Erase {
        /// Whose
        subject: String,
        #[command(flatten)]
        server: Server,
    },
    /// Ends a session
    Revoke {
        /// As `list` shows it
        session_id: String,
        #[arg(long, value_enum, default_value = "administrator")]
        reason: Reason,
        /// Only if it belongs to this subject
        #[arg(long, default_value = "", hide_default_value = true)]
        subject: String,
        #[command(flatten)]
        server: Server,
    },
}

/// Why a session ends.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Reason {
    SignedOut,
    SignedOutElsewhere,
    CredentialsChanged,
    AccountDisabled,
    Administrator,
    Superseded,
}

pub(super) async fn sessions(command: Sessions) -> Result<(), Failure> {
    match command {
        Sessions::List { subject, include_ended, client, output, server } => {
            let request = ListSessionsRequest {
                subject,
                include_ended,
                client_id: client,
                page_size: 100,
                ..ListSessionsRequest::default()
            };
            list(server, request, output).await
        }
        Sessions::Explain { session_id, output, server } => {
            let request = ExplainSessionRequest { session_id };
            let mut client = AuthServiceClient::new(server.connect().await?);
            let explained = server.answered(client.explain_session(request).await)?;
            print(&match output {
                Output::Json => json("ExplainSessionResponse", &explained)?,
                Output::Table => explanation(&explained),
            })
        }
        Sessions::Erase { subject, server } => erase(server, subject).await,
        Sessions::Revoke { session_id, reason, subject, server } => {
            let request = RevokeSessionRequest {
                target: Some(revoke_session_request::Target::SessionId(session_id)),
                reason: reason.into(),
                subject,
            };
            let mut client = AuthServiceClient::new(server.connect().await?);
            let RevokeSessionResponse { revoked } = server.answered(client.revoke_session(request).await)?;
            print(if revoked { "revoked" } else { "there was nothing left to end" })
        }
    }
}

async fn erase(server: Server, subject: String) -> Result<(), Failure> {
    let mut client = AuthServiceClient::new(server.connect().await?);
    let EraseSubjectResponse { erased_count, ended_count } =
        server.answered(client.erase_subject(EraseSubjectRequest { subject }).await)?;
    print(&told_of_erasing(erased_count, ended_count))
}

/// Ended ones are more than erased ones where another call erased what this one has ended.
fn told_of_erasing(erased: i32, ended: i32) -> String {
    match (erased, ended) {
        (0, 0) => "there was nothing left to erase".to_owned(),
        _ => format!("{erased} sessions are erased, {ended} were live until now"),
    }
}

async fn list(server: Server, mut request: ListSessionsRequest, output: Output) -> Result<(), Failure> {
    let mut client = AuthServiceClient::new(server.connect().await?);
    let mut all = ListSessionsResponse::default();
    loop {
        let page = server.answered(client.list_sessions(request.clone()).await)?;
        all.sessions.extend(page.sessions);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    print(&match output {
        Output::Json => json("ListSessionsResponse", &all)?,
        Output::Table => {
            let head = ["SESSION", "CLIENT", "STATE", "GENERATION", "SIGNED IN", "LAST REFRESH", "DEVICE"];
            table(&head, &all.sessions.iter().map(row).collect::<Vec<_>>())
        }
    })
}

impl From<Reason> for i32 {
    fn from(reason: Reason) -> i32 {
        match reason {
            Reason::SignedOut => RevokeReason::SignedOut,
            Reason::SignedOutElsewhere => RevokeReason::SignedOutElsewhere,
            Reason::CredentialsChanged => RevokeReason::CredentialsChanged,
            Reason::AccountDisabled => RevokeReason::AccountDisabled,
            Reason::Administrator => RevokeReason::Administrator,
            Reason::Superseded => RevokeReason::Superseded,
        }
        .into()
    }
}

fn row(session: &Session) -> Vec<String> {
    let device = session.device.clone().unwrap_or_default();
    let named = [device.label, device.user_agent, device.ip_address];
    vec![
        session.session_id.clone(),
        session.client_id.clone(),
        state(session.state()).to_owned(),
        session.generation.to_string(),
        session.create_time.map(shown).unwrap_or_default(),
        session.last_refresh_time.map_or_else(|| "never".to_owned(), shown),
        named.into_iter().find(|name| !name.is_empty()).unwrap_or_default(),
    ]
}

fn explanation(explained: &ExplainSessionResponse) -> String {
    let rows = explained.decisions.iter().map(|decision| {
        vec![
            decision.time.map(shown).unwrap_or_default(),
            decision.kind().as_str_name().trim_start_matches("DECISION_KIND_").to_lowercase(),
            decision.caller.clone(),
            decision.presented_generation.to_string(),
            decision.current_generation.to_string(),
        ]
    });
    let head = ["TIME", "DECISION", "CALLER", "PRESENTED", "CURRENT"];
    format!("{}\n\n{}", explained.summary, table(&head, &rows.collect::<Vec<_>>()))
}

fn state(state: SessionState) -> &'static str {
    match state {
        SessionState::Active => "active",
        SessionState::Expired => "expired",
        SessionState::Revoked => "revoked",
        SessionState::Unspecified => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ended_is_told_even_if_another_call_erased_it() {
        assert_eq!(told_of_erasing(0, 0), "there was nothing left to erase");
        assert_eq!(told_of_erasing(0, 2), "0 sessions are erased, 2 were live until now");
        assert_eq!(told_of_erasing(3, 2), "3 sessions are erased, 2 were live until now");
    }
}
