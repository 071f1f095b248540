//! A token newer than its row: the database has lost its last commits. A little is healed, more ends the session.

use symbolon::pb::auth as pb;
use symbolon::pb::auth::RevokeReason;

use crate::support::{Server, reason};

/// A session with that many refresh tokens handed out, and all of them, oldest first.
async fn session(server: &Server, generations: usize) -> (String, Vec<String>) {
    let issued = server.issue("alice").await;
    let mut tokens = vec![issued.tokens.unwrap().refresh_token];
    while tokens.len() < generations {
        tokens.push(server.rotate(tokens.last().unwrap()).await);
        server.pass(600);
    }
    (issued.session.unwrap().session_id, tokens)
}

async fn lose(server: &Server, generation: usize) {
    server.watch().await.execute(&format!("UPDATE sessions SET generation = {generation}")).await;
}

/// DESIGN section 5, row 5.
#[tokio::test]
async fn up_to_two_lost_generations_are_healed_and_the_session_goes_on() {
    for lost in [1, 2] {
        let server = Server::start().await;
        let (session_id, tokens) = session(&server, 5).await;
        lose(&server, 5 - lost).await;
        let answer = server.refresh(&tokens[4]).await.unwrap();
        assert_eq!(answer.session.unwrap().generation, 6);
        let sixth = answer.tokens.unwrap().refresh_token;
        assert_eq!(server.rotate(&tokens[4]).await, sixth, "a retry gets the same");
        server.rotate(&sixth).await;
        let explained = server.explain(&session_id).await;
        let healed = explained.decisions.last().unwrap();
        assert_eq!(healed.kind(), pb::DecisionKind::RolledBack);
        assert_eq!((healed.presented_generation, healed.current_generation), (5, 5 - lost as u64));
    }
}

/// DESIGN section 5, row 6: else every old token of the lost time line would live again.
#[tokio::test]
async fn more_than_two_lost_generations_end_the_session() {
    let server = Server::start().await;
    let (session_id, tokens) = session(&server, 5).await;
    lose(&server, 2).await;
    assert_eq!(reason(&server.refresh(&tokens[4]).await.unwrap_err()), "SESSION_REVOKED");
    for token in &tokens {
        assert_eq!(reason(&server.refresh(token).await.unwrap_err()), "SESSION_REVOKED");
    }
    let explained = server.explain(&session_id).await;
    let because = "refresh token 5 was presented when 2 was current, so the database had gone back in time";
    assert!(explained.summary.ends_with(because), "{}", explained.summary);
    assert_eq!(explained.session.unwrap().revoke_reason(), RevokeReason::RolledBack);
}
