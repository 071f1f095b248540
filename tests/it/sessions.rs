//! Lists of sessions: whose, in which order, page by page, and without a secret.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use symbolon::pb::auth as pb;
use tonic::{Code, Status};

use crate::support::{Secret, Server, Settings, assert_silent, bad_fields, reason, redeem, seconds, sign_in};

fn of(subject: &str) -> pb::ListSessionsRequest {
    pb::ListSessionsRequest { subject: subject.to_owned(), ..Default::default() }
}

fn ids(answer: &pb::ListSessionsResponse) -> Vec<String> {
    answer.sessions.iter().map(|session| session.session_id.clone()).collect()
}

/// Every page of a list, and how many there were.
async fn walk(server: &Server, query: &pb::ListSessionsRequest) -> (Vec<String>, usize) {
    let (mut all, mut pages, mut page_token) = (Vec::new(), 0, String::new());
    loop {
        let page = server.list(pb::ListSessionsRequest { page_token, ..query.clone() }).await.unwrap();
        all.extend(ids(&page));
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (all, pages);
        }
    }
}

async fn sign_in_often(server: &Server, subject: &str, times: usize) -> Vec<String> {
    let mut made = Vec::new();
    for _ in 0..times {
        made.insert(0, server.issue(subject).await.session.unwrap().session_id);
        server.clock.advance(std::time::Duration::from_millis(1));
    }
    made
}

/// R-RPC-07
#[tokio::test]
async fn pages_of_any_size_show_every_session_once_newest_first() {
    let server = Server::start().await;
    let made = sign_in_often(&server, "alice", 120).await;
    server.issue("bob").await;
    let size = |page_size| pb::ListSessionsRequest { page_size, ..of("alice") };
    for (page_size, pages) in
        [(0, 3), (1, 120), (7, 18), (40, 3), (60, 2), (119, 2), (120, 1), (1000, 1), (i32::MAX, 1)]
    {
        assert_eq!(walk(&server, &size(page_size)).await, (made.clone(), pages), "page_size {page_size}");
    }
    assert_eq!(ids(&server.list(size(0)).await.unwrap()).len(), 50);
}

/// R-RPC-07
#[tokio::test]
async fn a_page_has_a_thousand_sessions_at_the_most() {
    let server = Server::start().await;
    server.issue("alice").await;
    server.watch().await.copy_session(1000).await;
    for page_size in [1000, 1001, i32::MAX] {
        let page = server.list(pb::ListSessionsRequest { page_size, ..of("alice") }).await.unwrap();
        assert_eq!((page.sessions.len(), page.next_page_token.is_empty()), (1000, false), "page_size {page_size}");
    }
}

/// R-RPC-07: what changes between two pages moves nothing that was there.
#[tokio::test]
async fn sign_ins_and_sign_outs_during_a_walk_neither_hide_nor_repeat_a_session() {
    let server = Server::start().await;
    let made = sign_in_often(&server, "alice", 30).await;
    let query = pb::ListSessionsRequest { page_size: 10, ..of("alice") };
    let first = server.list(query.clone()).await.unwrap();
    server.issue("alice").await;
    server.revoke(&made[9]).await;
    server.revoke(&made[10]).await;
    let second = pb::ListSessionsRequest { page_token: first.next_page_token, ..query };
    assert_eq!(ids(&server.list(second).await.unwrap()), made[11..21]);
}

fn assert_no_page(refused: &Status, why: &str) {
    let told = (refused.code(), reason(refused));
    assert_eq!(told, (Code::InvalidArgument, "PAGE_TOKEN_INVALID".to_owned()), "{why}");
}

/// R-RPC-07
#[tokio::test]
async fn a_page_token_of_another_query_or_with_any_other_bytes_is_refused() {
    let clients = "[clients.web]\naudience = [\"api\"]\n\n[clients.ios]\naudience = [\"api\"]\n";
    let server = Server::with(Settings::default().clients(clients)).await;
    for _ in 0..3 {
        let request = pb::IssueTokensRequest { client_id: "web".to_owned(), ..sign_in("alice") };
        server.issue_tokens(request).await.unwrap();
        server.pass(1);
    }
    let query = pb::ListSessionsRequest { page_size: 1, ..of("alice") };
    let page_token = server.list(query.clone()).await.unwrap().next_page_token;
    let query = pb::ListSessionsRequest { page_token: page_token.clone(), ..query };
    server.list(query.clone()).await.unwrap();
    // The size may change from page to page.
    server.list(pb::ListSessionsRequest { page_size: 2, ..query.clone() }).await.unwrap();

    let others = [
        pb::ListSessionsRequest { subject: "bob".to_owned(), ..query.clone() },
        pb::ListSessionsRequest { client_id: "web".to_owned(), ..query.clone() },
        pb::ListSessionsRequest { include_ended: true, ..query.clone() },
    ];
    for other in others {
        assert_no_page(&server.list(other).await.unwrap_err(), "another query");
    }
    let bytes = URL_SAFE_NO_PAD.decode(&page_token).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let page_token = URL_SAFE_NO_PAD.encode(flipped);
            let refused = server.list(pb::ListSessionsRequest { page_token, ..query.clone() }).await.unwrap_err();
            assert_no_page(&refused, &format!("bit {bit} of byte {at}"));
        }
    }
    let garbage = [
        "x",
        "====",
        "ÿ",
        " ",
        &page_token[1..],
        &format!("{page_token}A"),
        &format!("{page_token}="),
        &"A".repeat(9999),
    ];
    for garbage in garbage {
        let request = pb::ListSessionsRequest { page_token: garbage.to_owned(), ..query.clone() };
        assert_no_page(&server.list(request).await.unwrap_err(), garbage);
    }
}

/// R-RPC-07
#[tokio::test]
async fn a_negative_page_size_is_a_bad_field() {
    let server = Server::start().await;
    for page_size in [-1, i32::MIN] {
        let refused = server.list(pb::ListSessionsRequest { page_size, ..of("") }).await.unwrap_err();
        assert_eq!(bad_fields(&refused), ["page_size", "subject"]);
    }
}

/// R-SES-01
#[tokio::test]
async fn a_list_shows_what_a_person_recognises_and_never_a_secret() {
    let server = Server::start().await;
    let device = pb::Device { user_agent: "Firefox".to_owned(), ..Default::default() };
    let request = pb::IssueTokensRequest { device: Some(device.clone()), ..sign_in("alice") };
    let issued = server.issue_tokens(request).await.unwrap();
    let first = issued.tokens.unwrap();
    server.pass(60);
    let second = server.pair(&first.refresh_token).await;
    let session_id = issued.session.unwrap().session_id;

    let listed = server.list(of("alice")).await.unwrap();
    assert_eq!(listed.sessions.len(), 1);
    let session = &listed.sessions[0];
    assert_eq!((&session.session_id, session.generation, session.state()), (&session_id, 2, pb::SessionState::Active));
    assert_eq!((&session.device, session.last_refresh_time.is_some()), (&Some(device), true));
    assert_eq!(server.session(&session_id).await.unwrap(), *session);

    let explained = server.explain(&session_id).await;
    let mut secrets = Vec::new();
    for (name, pair) in [("the first", first), ("the second", second)] {
        secrets.extend(Secret::refresh_token(name, &pair.refresh_token));
        secrets.extend(Secret::access_token(name, &pair.access_token));
    }
    assert_silent("a list", &listed.encode_to_vec(), &secrets);
    assert_silent("an explanation", &explained.encode_to_vec(), &secrets);
}

#[tokio::test]
async fn ended_sessions_are_listed_when_asked_for_and_say_how_they_ended() {
    let server = Server::start().await;
    let live = server.issue("alice").await.session.unwrap().session_id;
    let revoked = server.issue("alice").await.session.unwrap().session_id;
    let short = pb::IssueTokensRequest { session_ttl: seconds(60), ..sign_in("alice") };
    let expired = server.issue_tokens(short).await.unwrap().session.unwrap().session_id;
    assert!(server.revoke(&revoked).await);
    server.pass(60);
    assert_eq!(ids(&server.list(of("alice")).await.unwrap()), std::slice::from_ref(&live));
    let all = server.list(pb::ListSessionsRequest { include_ended: true, ..of("alice") }).await.unwrap();
    let states: BTreeSet<_> =
        all.sessions.iter().map(|session| (session.session_id.clone(), session.state().as_str_name())).collect();
    let expected =
        [(live, "SESSION_STATE_ACTIVE"), (revoked, "SESSION_STATE_REVOKED"), (expired, "SESSION_STATE_EXPIRED")];
    assert_eq!(states, BTreeSet::from(expected));
}

/// DESIGN section 8: only what writes anyway stores where it came from.
#[tokio::test]
async fn a_refresh_replaces_what_it_says_of_the_device_and_a_replay_nothing() {
    let server = Server::start().await;
    let device = |user_agent: &str, ip_address: &str, label: &str| pb::Device {
        user_agent: user_agent.to_owned(),
        ip_address: ip_address.to_owned(),
        label: label.to_owned(),
    };
    let request = pb::IssueTokensRequest { device: Some(device("Firefox", "", "desk")), ..sign_in("alice") };
    let issued = server.issue_tokens(request).await.unwrap();
    let (first, session_id) = (issued.tokens.unwrap().refresh_token, issued.session.unwrap().session_id);
    let refresh = async |token: &str, device: pb::Device, slow: bool| {
        // Whoever names an audience goes the slow way.
        let audience = if slow { vec!["api".to_owned()] } else { Vec::new() };
        let request = pb::RefreshTokensRequest { device: Some(device), audience, ..redeem(token) };
        let answer = server.refresh_tokens(request).await.unwrap();
        let shown = server.session(&session_id).await.unwrap().device;
        assert_eq!(answer.session.unwrap().device, shown);
        (answer.tokens.unwrap().refresh_token, shown.unwrap())
    };
    let (second, shown) = refresh(&first, device("", "192.0.2.1", ""), false).await;
    assert_eq!(shown, device("Firefox", "192.0.2.1", "desk"));
    for slow in [false, true] {
        let (_, shown) = refresh(&first, device("Chrome", "192.0.2.2", "phone"), slow).await;
        assert_eq!(shown, device("Firefox", "192.0.2.1", "desk"), "a replay");
    }
    let (_, shown) = refresh(&second, device("Chrome", "", ""), true).await;
    assert_eq!(shown, device("Chrome", "192.0.2.1", "desk"));
}

#[tokio::test]
async fn a_list_of_one_client_leaves_the_others_out() {
    let clients = "[clients.web]\naudience = [\"api\"]\n\n[clients.ios]\naudience = [\"api\"]\n";
    let server = Server::with(Settings::default().clients(clients)).await;
    for client_id in ["web", "ios", "web"] {
        let request = pb::IssueTokensRequest { client_id: client_id.to_owned(), ..sign_in("alice") };
        server.issue_tokens(request).await.unwrap();
    }
    for (client_id, count) in [("", 3), ("web", 2), ("ios", 1), ("android", 0)] {
        let request = pb::ListSessionsRequest { client_id: client_id.to_owned(), ..of("alice") };
        assert_eq!(server.list(request).await.unwrap().sessions.len(), count, "{client_id}");
    }
    assert!(server.list(of("Alice")).await.unwrap().sessions.is_empty());
}

#[tokio::test]
async fn a_session_nobody_started_is_not_found() {
    let server = Server::start().await;
    let unknown = "00000000-0000-8000-8000-000000000000";
    let refused = server.session(unknown).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "SESSION_NOT_FOUND"));
    for session_id in ["", "x", &unknown.to_uppercase().replace('8', "A"), &unknown.replace('-', "")] {
        assert_eq!(bad_fields(&server.session(session_id).await.unwrap_err()), ["session_id"], "{session_id}");
    }
}
