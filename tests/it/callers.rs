//! Callers: who is let in, to which methods, and what each may ask for.

use std::collections::BTreeSet;

use prost_reflect::Value;
use serde_json::json;
use symbolon::pb::auth as pb;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::pb::auth::revoke_session_request::Target;
use symbolon::rpc::methods::{Methods, Needs};
use symbolon::service::caller::Permission;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::support::http2::Http2;
use crate::support::{
    ALL, Authority, PACKAGE, Process, Server, Settings, bad_fields, claimed, claims, contract, entry, hash, reason,
    redeem, seconds, sign_in,
};

const CLIENTS: &str = r#"
[clients.web]
audience = ["api"]
scope = ["read"]
[clients.ios]
audience = ["app"]
"#;

async fn serving(callers: &[String]) -> Server {
    Server::with(Settings::default().serving().clients(CLIENTS).callers(&callers.concat())).await
}

/// A backend of the client `web`, and of it alone.
fn backend() -> String {
    let limits = r#"
        clients = ["web"]
        audience = ["api", "files"]
        scope = ["read", "write"]
        claims = ["role"]
        acr = ["aal1"]
        access_token_ttl = "10m"
        session_ttl = "1d"
        idle_ttl = "1h""#;
    entry("backend", &format!("{ALL}{limits}"))
}

/// A caller of both clients with the clients' own defaults.
fn both() -> String {
    entry("both", &format!("{ALL}\nclients = [\"web\", \"ios\"]"))
}

fn methods() -> Vec<(String, Needs)> {
    let methods = Methods::of_the_contract().unwrap();
    methods.iter().map(|(path, method)| (path.to_owned(), method.needs)).collect()
}

/// Calls a method with an empty message of its kind; of a stream only the beginning is waited for.
async fn call(server: &Server, path: &str, credential: Option<&str>) -> Result<(), Status> {
    let mut grpc = Grpc::new(server.channel());
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(credential) = credential {
        request.metadata_mut().insert("authorization", credential.parse().unwrap());
    }
    let path = PathAndQuery::try_from(path.to_owned()).unwrap();
    grpc.server_streaming(request, path, ProstCodec::<(), ()>::default()).await.map(drop)
}

fn is_unauthenticated(status: &Status) -> bool {
    (status.code(), reason(status).as_str()) == (Code::Unauthenticated, "CALLER_UNAUTHENTICATED")
}

#[track_caller]
fn assert_denied(refused: Result<impl std::fmt::Debug, Status>, field: &str) {
    let refused = refused.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "GRANT_NOT_PERMITTED"));
    let info = refused.get_details_error_info().unwrap();
    assert_eq!((info.metadata["field"].as_str(), info.metadata["caller"].as_str()), (field, "backend"));
}

/// R-AUTHZ-01: what the program obeys is what the contract says, option and comment.
#[test]
fn every_method_of_the_contract_has_the_permission_its_comment_names() {
    let contract = contract();
    let option = contract.get_extension_by_name("symbolon.auth.v1.permission").unwrap();
    let mut seen = 0;
    for method in
        contract.services().filter(|it| it.package_name() == PACKAGE).flat_map(|it| it.methods().collect::<Vec<_>>())
    {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let (_, needs) = methods().into_iter().find(|(known, _)| *known == path).unwrap();
        let Value::EnumNumber(number) = *method.options().get_extension(&option) else { panic!("{path}") };
        let name = pb::Permission::try_from(number).unwrap().as_str_name().strip_prefix("PERMISSION_").unwrap();
        let expected = match name {
            "DECLARED" => Needs::Declared,
            name => Needs::Permission(Permission::named(&name.to_lowercase()).unwrap()),
        };
        assert_eq!(needs, expected, "{path}");
        let comment = crate::support::comment(&method.parent_service().parent_file(), method.path());
        let told = format!("Needs the permission `{}`", name.to_lowercase());
        assert_eq!(comment.contains(&told), expected != Needs::Declared, "{path}: {comment}");
        seen += 1;
    }
    assert!(seen >= 10);
}

/// R-RPC-02
#[tokio::test]
async fn where_it_is_served_nobody_without_a_credential_calls_anything_but_health() {
    let server = serving(&[backend()]).await;
    let (mut refused, mut open) = (0, 0);
    for (path, needs) in methods() {
        for credential in
            [None, Some("Bearer nobody"), Some("Bearer undefined"), Some("Bearer "), Some("Basic backend")]
        {
            let answer = call(&server, &path, credential).await;
            if needs == Needs::Nothing {
                assert!(!answer.is_err_and(|status| is_unauthenticated(&status)), "{path}");
                open += 1;
            } else {
                assert!(is_unauthenticated(&answer.unwrap_err()), "{path} {credential:?}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 50 && open == 10, "{refused} {open}");
}

/// R-AUTHZ-01: every role against every method.
#[tokio::test]
async fn a_caller_calls_what_its_permissions_name_and_nothing_else() {
    let entries: Vec<_> = Permission::ALL
        .iter()
        .map(|it| entry(it.name(), &format!("permissions = [\"{}\"]\nclients = [\"web\"]", it.name())))
        .collect();
    let server = serving(&entries).await;
    let mut denied = 0;
    for role in Permission::ALL {
        for (path, needs) in methods() {
            let answer = call(&server, &path, Some(&format!("Bearer {}", role.name()))).await;
            let refused = answer.err().filter(|status| reason(status) == "CALLER_NOT_PERMITTED");
            let needed = match needs {
                Needs::Permission(needed) if needed != role => Some(needed),
                Needs::Permission(_) | Needs::Declared | Needs::Nothing => None,
            };
            assert_eq!(refused.is_some(), needed.is_some(), "{} calls {path}", role.name());
            if let (Some(status), Some(needed)) = (refused, needed) {
                assert_eq!(status.code(), Code::PermissionDenied);
                let info = status.get_details_error_info().unwrap();
                assert_eq!(info.metadata["caller"], role.name());
                assert_eq!(info.metadata["permission"], needed.name());
                denied += 1;
            }
        }
    }
    assert!(denied >= 60, "{denied}");
}

/// R-RPC-02: neither what is wrong with a request nor what exists is told to who may not ask.
#[tokio::test]
async fn permission_is_checked_before_anything_of_a_request_is_looked_at() {
    let server = serving(&[entry("watcher", r#"permissions = ["watch"]"#), backend()]).await;
    let session =
        server.as_caller("backend").issue_tokens(sign_in("alice")).await.unwrap().into_inner().session.unwrap();
    let mut watcher = server.as_caller("watcher");
    for session_id in [session.session_id, "no id".to_owned(), String::new()] {
        let refused = watcher.get_session(pb::GetSessionRequest { session_id }).await.unwrap_err();
        assert_eq!(reason(&refused), "CALLER_NOT_PERMITTED");
        assert!(bad_fields(&refused).is_empty());
    }
    // Not even whether it is a message at all.
    let mut grpc = Grpc::new(server.channel());
    grpc.ready().await.unwrap();
    let mut rubbish = Request::new(vec![0xFF_u8; 100]);
    rubbish.metadata_mut().insert("authorization", "Bearer watcher".parse().unwrap());
    let path = PathAndQuery::from_static("/symbolon.auth.v1.AuthService/IssueTokens");
    let refused = grpc.unary(rubbish, path, ProstCodec::<Vec<u8>, ()>::default()).await.unwrap_err();
    assert_eq!(reason(&refused), "CALLER_NOT_PERMITTED");
}

/// CVE-2026-33186: a path that a router takes and a rule does not.
#[tokio::test]
async fn a_path_spelled_otherwise_is_unimplemented_and_reaches_no_handler() {
    let server = Server::start().await;
    let path = "/symbolon.auth.v1.AuthService/IssueTokens";
    let odd = [
        "//symbolon.auth.v1.AuthService/IssueTokens",
        "/symbolon.auth.v1.AuthService//IssueTokens",
        "/symbolon.auth.v1.AuthService/IssueTokens/",
        "/symbolon.auth.v1.AuthService/issuetokens",
        "/symbolon.auth.v1.AuthService/Issue%54okens",
        "/symbolon.auth.v1.AuthService/./IssueTokens",
        "/x/../symbolon.auth.v1.AuthService/IssueTokens",
        "/symbolon.auth.v1.AuthService",
        "/symbolon.auth.v2.AuthService/IssueTokens",
        "/",
    ];
    for path in odd {
        let mut grpc = Grpc::new(server.channel());
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<pb::IssueTokensRequest, pb::IssueTokensResponse>::default();
        let refused = grpc.unary(Request::new(sign_in("mallory")), PathAndQuery::from_static(path), codec).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
    // What no proper client sends, in single frames.
    let message = prost::Message::encode_to_vec(&sign_in("mallory"));
    for path in odd.into_iter().chain([&path[1..], "*", "IssueTokens", "http://localhost", "?/symbolon.auth.v1"]) {
        let mut connection = Http2::connect(&server.grpc).await;
        connection.begin_at(1, path, &[]).await;
        connection.finish(1, &message).await;
        let ended = async { while connection.frame().await.is_some_and(|frame| frame.stream != 1) {} };
        tokio::time::timeout(std::time::Duration::from_secs(5), ended).await.expect("no answer at all");
    }
    let list = pb::ListSessionsRequest { subject: "mallory".to_owned(), ..pb::ListSessionsRequest::default() };
    assert!(server.list(list.clone()).await.unwrap().sessions.is_empty());
    // The same frames at the right path do it.
    let mut connection = Http2::connect(&server.grpc).await;
    connection.begin_at(1, path, &[]).await;
    connection.finish(1, &message).await;
    while connection.frame().await.is_some_and(|frame| frame.stream != 1) {}
    assert_eq!(server.list(list).await.unwrap().sessions.len(), 1);
}

#[tokio::test]
async fn what_a_caller_asks_for_beyond_its_entry_is_denied_by_name() {
    let server = serving(&[backend()]).await;
    let mut backend = server.as_caller("backend");
    let asking = |change: &dyn Fn(&mut pb::IssueTokensRequest)| {
        let mut request = sign_in("alice");
        change(&mut request);
        request
    };
    let acr = |acr: &str| Some(pb::Authentication { acr: acr.to_owned(), ..pb::Authentication::default() });
    let good = asking(&|it| {
        it.client_id = "web".to_owned();
        it.audience = vec!["files".to_owned()];
        it.scope = vec!["write".to_owned()];
        it.claims = Some(claims(json!({ "role": "admin" })));
        it.authentication = acr("aal1");
    });
    assert_eq!(
        claimed(&backend.issue_tokens(good).await.unwrap().into_inner().tokens.unwrap().access_token)["acr"],
        "aal1"
    );
    for (field, request) in [
        ("client_id", asking(&|it| it.client_id = "ios".to_owned())),
        ("client_id", asking(&|it| it.client_id = "nowhere".to_owned())),
        ("audience", asking(&|it| it.audience = vec!["api".to_owned(), "billing".to_owned()])),
        ("scope", asking(&|it| it.scope = vec!["read".to_owned(), "admin".to_owned()])),
        ("claims", asking(&|it| it.claims = Some(claims(json!({ "role": "x", "tenant": 7 }))))),
        ("authentication.acr", asking(&|it| it.authentication = acr("aal3"))),
    ] {
        assert_denied(backend.issue_tokens(request).await, field);
    }
    let session = backend.issue_tokens(sign_in("alice")).await.unwrap().into_inner().session.unwrap();
    let update = |names: serde_json::Value| pb::UpdateSessionRequest {
        session_id: session.session_id.clone(),
        claims: Some(claims(names)),
        label: None,
    };
    assert_denied(backend.update_session(update(json!({ "tenant": 7 }))).await, "claims");
    assert!(backend.update_session(update(json!({ "role": "user" }))).await.is_ok());
}

/// What is not in an entry is the client's own default, or nothing.
#[tokio::test]
async fn a_caller_that_is_given_nothing_gets_the_clients_defaults_and_no_more() {
    let server = serving(&[entry("backend", &format!("{ALL}\nclients = [\"web\"]"))]).await;
    let mut backend = server.as_caller("backend");
    let mut plain = sign_in("alice");
    plain.audience = vec!["api".to_owned()];
    let token = claimed(&backend.issue_tokens(plain).await.unwrap().into_inner().tokens.unwrap().access_token);
    assert_eq!((&token["aud"], &token["scope"]), (&json!("api"), &json!("read")));
    let mut wide = sign_in("alice");
    wide.audience = vec!["files".to_owned()];
    assert_denied(backend.issue_tokens(wide).await, "audience");
    let mut wide = sign_in("alice");
    wide.scope = vec!["write".to_owned()];
    assert_denied(backend.issue_tokens(wide).await, "scope");
    let mut long = sign_in("alice");
    (long.access_token_ttl, long.session_ttl, long.idle_ttl) =
        (seconds(3600), seconds(90 * 86_400), seconds(80 * 86_400));
    let issued = backend.issue_tokens(long).await.unwrap().into_inner();
    assert_eq!(lives(&issued), (900, 30 * 86_400, 30 * 86_400));
}

/// How long access token, session and idle session live, in seconds.
fn lives(issued: &pb::IssueTokensResponse) -> (i64, i64, i64) {
    let (tokens, session) = (issued.tokens.as_ref().unwrap(), issued.session.as_ref().unwrap());
    let begin = session.create_time.unwrap().seconds;
    let until = |time: Option<prost_types::Timestamp>| time.unwrap().seconds - begin;
    (until(tokens.access_token_expire_time), until(session.expire_time), until(session.idle_expire_time))
}

/// R-TOK-03
#[tokio::test]
async fn lifetimes_beyond_the_callers_are_shortened_asked_for_or_not() {
    let server = serving(&[backend()]).await;
    let mut long = sign_in("alice");
    (long.access_token_ttl, long.session_ttl, long.idle_ttl) =
        (seconds(3600), seconds(90 * 86_400), seconds(80 * 86_400));
    for request in [sign_in("alice"), long] {
        let issued = server.as_caller("backend").issue_tokens(request).await.unwrap().into_inner();
        assert_eq!(lives(&issued), (600, 86_400, 3600));
    }
    let mut short = sign_in("alice");
    (short.access_token_ttl, short.session_ttl, short.idle_ttl) = (seconds(60), seconds(600), seconds(300));
    let issued = server.as_caller("backend").issue_tokens(short).await.unwrap().into_inner();
    assert_eq!(lives(&issued), (60, 600, 300));
}

/// The confused deputy: a backend of one client that holds what belongs to another.
#[tokio::test]
async fn a_session_of_a_client_that_is_not_ones_own_is_out_of_reach() {
    let server = serving(&[backend(), both()]).await;
    let (mut backend, mut both) = (server.as_caller("backend"), server.as_caller("both"));
    let ios = pb::IssueTokensRequest { client_id: "ios".to_owned(), ..sign_in("alice") };
    let issued = both.issue_tokens(ios).await.unwrap().into_inner();
    let (tokens, session) = (issued.tokens.unwrap(), issued.session.unwrap());
    let id = session.session_id.clone();
    let web = backend.issue_tokens(sign_in("alice")).await.unwrap().into_inner().session.unwrap().session_id;

    assert_denied(backend.refresh_tokens(redeem(&tokens.refresh_token)).await, "client_id");
    let revoke = |target| pb::RevokeSessionRequest { target: Some(target), ..pb::RevokeSessionRequest::default() };
    assert_denied(
        backend.revoke_session(revoke(Target::RefreshToken(tokens.refresh_token.clone()))).await,
        "client_id",
    );
    let by_id = backend.revoke_session(revoke(Target::SessionId(id.clone()))).await.unwrap().into_inner();
    assert!(!by_id.revoked);
    for token in [&tokens.refresh_token, &tokens.access_token] {
        let asked = backend.introspect_token(pb::IntrospectTokenRequest { token: token.clone() }).await.unwrap();
        assert_eq!(asked.into_inner(), pb::IntrospectTokenResponse::default());
    }
    let list = pb::ListSessionsRequest { subject: "alice".to_owned(), ..pb::ListSessionsRequest::default() };
    let listed = backend.list_sessions(list.clone()).await.unwrap().into_inner().sessions;
    assert_eq!(listed.iter().map(|it| it.session_id.as_str()).collect::<Vec<_>>(), [web.as_str()]);
    let get = pb::GetSessionRequest { session_id: id.clone() };
    assert_eq!(backend.get_session(get).await.unwrap_err().code(), Code::NotFound);
    let explain = pb::ExplainSessionRequest { session_id: id.clone() };
    assert_eq!(backend.explain_session(explain).await.unwrap_err().code(), Code::NotFound);
    let update = pb::UpdateSessionRequest { session_id: id.clone(), label: Some("mine".to_owned()), claims: None };
    assert_eq!(backend.update_session(update).await.unwrap_err().code(), Code::NotFound);
    let everything = pb::RevokeSubjectSessionsRequest { subject: "alice".to_owned(), ..Default::default() };
    assert_eq!(backend.revoke_subject_sessions(everything).await.unwrap().into_inner().revoked_count, 1);
    // It stands as it stood, and whoever has the right does all of it; who issued it does not matter.
    let refreshed = both.refresh_tokens(redeem(&tokens.refresh_token)).await.unwrap().into_inner();
    assert_eq!(refreshed.session.unwrap().generation, 2);
    let ended = both.revoke_session(revoke(Target::SessionId(id))).await.unwrap().into_inner();
    assert!(ended.revoked);
}

/// R-RT-15 (B7), R-RT-08: rights are each member's own, also when all of them meet in one statement.
#[tokio::test]
async fn of_many_refreshes_at_once_each_has_its_own_callers_rights() {
    let server = serving(&[backend(), both()]).await;
    let mut tokens = Vec::new();
    for at in 0..60 {
        let client_id = ["web", "ios"][at % 2].to_owned();
        let request = pb::IssueTokensRequest { client_id, ..sign_in("alice") };
        tokens.push(server.as_caller("both").issue_tokens(request).await.unwrap().into_inner().tokens.unwrap());
    }
    let refreshes = tokens.iter().enumerate().map(|(at, pair)| {
        let mut client = server.as_caller(["backend", "both"][at / 2 % 2]);
        async move { client.refresh_tokens(redeem(&pair.refresh_token)).await }
    });
    let answers = futures_util::future::join_all(refreshes).await;
    let mut denied = BTreeSet::new();
    for (at, answer) in answers.into_iter().enumerate() {
        if at % 2 == 1 && at / 2 % 2 == 0 {
            assert_denied(answer, "client_id");
            denied.insert(at);
        } else {
            assert_eq!(answer.unwrap().into_inner().session.unwrap().generation, 2, "{at}");
        }
    }
    assert_eq!(denied.len(), 15);
}

/// R-REV-01: a service asks about tokens for itself, whatever client they are of.
#[tokio::test]
async fn a_service_introspects_tokens_for_its_own_audience() {
    let orders = entry("orders", "permissions = [\"introspect\"]\naudience = [\"api\"]");
    let billing = entry("billing", "permissions = [\"introspect\"]\naudience = [\"billing\"]");
    let server = serving(&[backend(), orders, billing]).await;
    let tokens = server.as_caller("backend").issue_tokens(sign_in("alice")).await.unwrap().into_inner().tokens.unwrap();
    for (caller, active) in [("orders", true), ("billing", false), ("backend", true)] {
        let request = pb::IntrospectTokenRequest { token: tokens.access_token.clone() };
        let answer = server.as_caller(caller).introspect_token(request).await.unwrap().into_inner();
        assert_eq!(answer.active, active, "{caller}");
        assert!(active || answer == pb::IntrospectTokenResponse::default());
    }
    let request = pb::IntrospectTokenRequest { token: tokens.refresh_token };
    assert!(!server.as_caller("orders").introspect_token(request).await.unwrap().into_inner().active);
}

#[tokio::test]
async fn both_secrets_are_good_while_one_is_changed() {
    let two = format!("[callers.backend]\ntoken_sha256 = [\"{}\", \"{}\"]\n", hash("old"), hash("new"));
    let server = serving(&[format!("{two}permissions = [\"issue\"]\nclients = [\"web\"]\n")]).await;
    for secret in ["old", "new"] {
        assert!(server.as_caller(secret).issue_tokens(sign_in("alice")).await.is_ok());
    }
    assert!(is_unauthenticated(&server.as_caller("older").issue_tokens(sign_in("alice")).await.unwrap_err()));
}

#[tokio::test]
async fn in_a_dry_run_nothing_is_refused_but_what_destroys() {
    let server = serving(&[entry("newcomer", "permissions = []\ndry_run = true"), both()]).await;
    let mut newcomer = server.as_caller("newcomer");
    let mut wide = sign_in("alice");
    (wide.client_id, wide.audience) = ("ios".to_owned(), vec!["anything".to_owned()]);
    wide.claims = Some(claims(json!({ "tenant": 7 })));
    let issued = newcomer.issue_tokens(wide).await.unwrap().into_inner();
    let refreshed = newcomer.refresh_tokens(redeem(&issued.tokens.unwrap().refresh_token)).await.unwrap().into_inner();
    let session_id = refreshed.session.unwrap().session_id;
    let erased = newcomer.erase_subject(pb::EraseSubjectRequest { subject: "alice".to_owned() }).await;
    assert_eq!(reason(&erased.unwrap_err()), "CALLER_NOT_PERMITTED");
    assert!(newcomer.get_session(pb::GetSessionRequest { session_id }).await.is_ok());
    let revoked = call(&server, "/symbolon.auth.v1.KeyService/RevokeSigningKey", Some("Bearer newcomer")).await;
    assert_eq!(reason(&revoked.unwrap_err()), "CALLER_NOT_PERMITTED");
    // A credential it needs all the same.
    assert!(is_unauthenticated(&server.as_caller("nobody").issue_tokens(sign_in("alice")).await.unwrap_err()));
}

/// `dev`: the declared are who they are, whoever shows nothing is `local`, and a wrong secret is nobody's.
#[tokio::test]
async fn where_it_is_developed_a_declared_caller_has_its_own_rights_beside_the_local_one() {
    let server = Server::with(Settings::default().clients(CLIENTS).callers(&backend())).await;
    let ios = || pb::IssueTokensRequest { client_id: "ios".to_owned(), ..sign_in("alice") };
    assert!(server.client().issue_tokens(ios()).await.is_ok());
    assert_denied(server.as_caller("backend").issue_tokens(ios()).await, "client_id");
    assert!(is_unauthenticated(&server.as_caller("sc1_typo").issue_tokens(ios()).await.unwrap_err()));
}

/// What stands in the file now.
fn write(dir: &std::path::Path, file: &str, text: &str) {
    std::fs::write(dir.join(file), text).unwrap();
}

/// A file that changes, is broken and is mended while the service runs.
#[tokio::test]
async fn callers_and_clients_follow_their_files_and_a_faulty_file_keeps_the_old() {
    let dir = tempfile::tempdir().unwrap();
    let web = "[clients.web]\naudience = [\"api\"]\n";
    let of_web = |name: &str| entry(name, &format!("{ALL}\nclients = [\"web\"]"));
    write(dir.path(), "clients.toml", web);
    write(dir.path(), "callers.toml", &of_web("sc1_one"));
    let files = [("SYMBOLON_CALLERS_FILE", "callers.toml"), ("SYMBOLON_CLIENTS_FILE", "clients.toml")];
    let server = Process::dev(dir.path(), &files).await;
    let (mut one, mut two) = (server.as_caller("sc1_one").await, server.as_caller("sc1_two").await);
    one.issue_tokens(sign_in("alice")).await.unwrap();
    assert!(is_unauthenticated(&two.issue_tokens(sign_in("alice")).await.unwrap_err()));

    write(dir.path(), "callers.toml", &of_web("sc1_two"));
    until(async || two.clone().issue_tokens(sign_in("alice")).await.is_ok()).await;
    assert!(is_unauthenticated(&one.issue_tokens(sign_in("alice")).await.unwrap_err()), "it is gone at once");

    // A caller of a client that is not there: neither file is taken, and the log says why.
    write(dir.path(), "clients.toml", "[clients.ios]\naudience = [\"app\"]\n");
    let said = async || String::from_utf8_lossy(&server.output()).into_owned();
    until(async || said().await.contains("no client `web` is declared")).await;
    let issued = two.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    assert_eq!(issued.session.unwrap().client_id, "web");
    let figures = server.get("/metrics").await;
    assert!(figures.contains(r#"symbolon_reloads_total{what="declarations",outcome="refused"} 1"#), "{figures}");

    write(dir.path(), "clients.toml", &web.replace("api", "orders"));
    until(async || {
        let issued = two.clone().issue_tokens(sign_in("alice")).await.unwrap().into_inner();
        issued.session.unwrap().audience == ["orders"]
    })
    .await;
}

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let patience = std::time::Duration::from_secs(20);
    let seen = async {
        while !is_so().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(patience, seen).await.expect("it never came to be");
}

/// mTLS: the certificate is the credential.
#[tokio::test]
async fn a_certificate_makes_a_caller_and_a_foreign_one_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, foreign) = (Authority::new(), Authority::new());
    authority.server().write(dir.path(), "server");
    write(dir.path(), "ca.pem", &authority.pem());
    let by_certificate =
        |name: &str, san: &str| format!("[callers.{name}]\nsan = [\"{san}\"]\n{ALL}\nclients = [\"web\"]\n");
    let callers = by_certificate("bff", "spiffe://example.org/bff") + &by_certificate("edge", "Edge.Internal");
    write(dir.path(), "callers.toml", &callers);
    let mut command = Process::command(dir.path());
    command.arg("serve").envs([
        ("SYMBOLON_ISSUER", "https://auth.example.com"),
        ("SYMBOLON_DATABASE_URL", "sqlite:symbolon.db"),
        ("SYMBOLON_MASTER_KEYS", crate::support::MASTER_KEY),
        ("SYMBOLON_CALLERS_FILE", "callers.toml"),
        ("SYMBOLON_GRPC_TLS_CERT_FILE", "server.pem"),
        ("SYMBOLON_GRPC_TLS_KEY_FILE", "server.key"),
        ("SYMBOLON_GRPC_TLS_CLIENT_CA_FILE", "ca.pem"),
    ]);
    let migrated = Process::command(dir.path())
        .args(["migrate", "up"])
        .env("SYMBOLON_DATABASE_URL", "sqlite:symbolon.db")
        .output()
        .await
        .unwrap();
    assert!(migrated.status.success());
    let server = Process::start(command).await;
    let issue = async |shown: Option<&crate::support::Issued>| {
        let channel = authority.channel(&server.grpc, shown).await.unwrap();
        AuthServiceClient::new(channel).issue_tokens(sign_in("alice")).await
    };
    for names in [&["spiffe://example.org/bff"][..], &["edge.internal"], &["other.internal", "edge.internal"]] {
        let caller = issue(Some(&authority.client(names))).await.unwrap().into_inner();
        assert_eq!(caller.session.unwrap().subject, "alice");
    }
    for names in
        [&["spiffe://example.org/bff2"][..], &["nobody.internal"], &["edge.internal", "spiffe://example.org/bff"]]
    {
        assert!(is_unauthenticated(&issue(Some(&authority.client(names))).await.unwrap_err()), "{names:?}");
    }
    assert!(is_unauthenticated(&issue(None).await.unwrap_err()), "no certificate");
    let forged = issue(Some(&foreign.client(&["spiffe://example.org/bff"]))).await;
    assert!(forged.is_err_and(|status| reason(&status).is_empty()), "the handshake ends it");
}
