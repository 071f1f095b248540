//! `ExplainSession`: why a session is as it is, in one sentence and as a list of what was decided.

use symbolon::pb::auth as pb;
use symbolon::pb::auth::RevokeReason;
use symbolon::pb::auth::revoke_session_request::Target;
use tonic::Code;

use crate::support::{BEGINNING, Server, reason, redeem, seconds, sign_in};

/// What was decided, when (seconds from the beginning), and about which generations.
fn told(explained: &pb::ExplainSessionResponse) -> Vec<(&str, i64, u64, u64)> {
    let decisions = explained.decisions.iter().map(|decision| {
        assert_eq!(decision.caller, "local");
        let kind = decision.kind().as_str_name().strip_prefix("DECISION_KIND_").unwrap();
        let at = decision.time.unwrap().seconds - BEGINNING;
        (kind, at, decision.presented_generation, decision.current_generation)
    });
    decisions.collect()
}

/// R-SES-03
#[tokio::test]
async fn a_whole_life_is_told_in_order_with_the_generations_involved() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let (session_id, first) = (issued.session.unwrap().session_id, issued.tokens.unwrap().refresh_token);
    assert_eq!(told(&server.explain(&session_id).await), [("ISSUED", 0, 0, 1)]);
    server.pass(60);
    let second = server.rotate(&first).await;
    server.pass(40);
    let device =
        pb::Device { user_agent: "Firefox".to_owned(), ip_address: "192.0.2.7".to_owned(), ..Default::default() };
    let again = pb::RefreshTokensRequest { device: Some(device.clone()), ..redeem(&first) };
    server.refresh_tokens(again).await.unwrap();
    server.pass(20);
    let label = Some("laptop".to_owned());
    server.update(pb::UpdateSessionRequest { session_id: session_id.clone(), label, claims: None }).await.unwrap();
    let third = server.rotate(&second).await;
    server.pass(10);
    server.rotate(&third).await;
    server.pass(600);
    server.refresh(&second).await.unwrap_err();

    let explained = server.explain(&session_id).await;
    let life = [("ISSUED", 0, 0, 1), ("RECOVERED", 100, 1, 2), ("UPDATED", 120, 0, 2), ("REUSE_DETECTED", 730, 2, 4)];
    assert_eq!(told(&explained), life);
    assert_eq!(explained.decisions[1].device, Some(device));
    assert_eq!(explained.summary, "ended at 2026-06-01 12:12:10 UTC: refresh token 2 was presented when 4 was current");
    let session = explained.session.unwrap();
    assert_eq!(session, server.session(&session_id).await.unwrap());
    assert_eq!((session.state(), session.revoke_reason()), (pb::SessionState::Revoked, RevokeReason::ReuseDetected));
    assert_eq!(session.revoke_time.unwrap().seconds, BEGINNING + 730);
}

/// R-SES-03
#[tokio::test]
async fn each_reason_to_end_has_its_sentence() {
    let server = Server::start().await;
    for (reason, expected) in [
        (RevokeReason::Unspecified, "an administrator or an automatic control ended it (told by local)"),
        (RevokeReason::SignedOut, "the user signed out (told by local)"),
        (RevokeReason::SignedOutElsewhere, "the user ended it from another session (told by local)"),
        (RevokeReason::CredentialsChanged, "the user's credentials changed (told by local)"),
        (RevokeReason::AccountDisabled, "the account was disabled (told by local)"),
        (RevokeReason::Administrator, "an administrator or an automatic control ended it (told by local)"),
        (RevokeReason::Superseded, "the same browser signed in again (told by local)"),
    ] {
        let session_id = server.issue("alice").await.session.unwrap().session_id;
        let target = Some(Target::SessionId(session_id.clone()));
        let request = pb::RevokeSessionRequest { target, reason: reason.into(), ..Default::default() };
        server.client().revoke_session(request).await.unwrap();
        let explained = server.explain(&session_id).await;
        assert_eq!(explained.summary, format!("ended at 2026-06-01 12:00:00 UTC: {expected}"));
        assert_eq!(told(&explained), [("ISSUED", 0, 0, 1), ("REVOKED", 0, 0, 1)]);
    }
}

/// R-SES-03
#[tokio::test]
async fn a_session_that_ended_by_itself_says_which_of_its_two_ends_it_reached() {
    let server = Server::start().await;
    for (session_ttl, idle_ttl, expected) in [
        (60, 120, "ended at 2026-06-01 12:01:00 UTC: it reached its longest life"),
        (240, 60, "it was not refreshed in time"),
    ] {
        let request = pb::IssueTokensRequest {
            session_ttl: seconds(session_ttl),
            idle_ttl: seconds(idle_ttl),
            ..sign_in("alice")
        };
        let session_id = server.issue_tokens(request).await.unwrap().session.unwrap().session_id;
        server.pass(60);
        let explained = server.explain(&session_id).await;
        assert!(explained.summary.ends_with(expected), "{}", explained.summary);
        assert_eq!(explained.session.unwrap().state(), pb::SessionState::Expired);
    }
}

/// R-SES-03
#[tokio::test]
async fn a_long_life_is_told_by_its_last_sixteen_decisions() {
    let server = Server::start().await;
    let issued = server.issue("alice").await;
    let (session_id, mut token) = (issued.session.unwrap().session_id, issued.tokens.unwrap().refresh_token);
    for round in 0..30 {
        let next = server.rotate(&token).await;
        if round % 2 == 0 {
            server.pass(31);
            assert_eq!(server.rotate(&token).await, next);
        } else {
            let label = Some(format!("round {round}"));
            server
                .update(pb::UpdateSessionRequest { session_id: session_id.clone(), label, claims: None })
                .await
                .unwrap();
        }
        token = next;
        server.pass(600);
    }
    assert!(server.revoke(&session_id).await);
    let explained = server.explain(&session_id).await;
    let told = told(&explained);
    assert_eq!(told.len(), 16);
    assert!(told.is_sorted_by_key(|(_, at, ..)| *at));
    let kinds: Vec<_> = told.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds[13..], ["RECOVERED", "UPDATED", "REVOKED"]);
    assert_eq!(told[13], ("RECOVERED", told[13].1, 29, 30));
}

/// R-SES-03
#[tokio::test]
async fn a_session_nobody_started_has_no_explanation() {
    let server = Server::start().await;
    let request = pb::ExplainSessionRequest { session_id: "00000000-0000-8000-8000-000000000000".to_owned() };
    let refused = server.client().explain_session(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "SESSION_NOT_FOUND"));
}
