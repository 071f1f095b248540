//! How a watch ends before its reader wants it to: the server stops, the caller is not one any more, the reader does not
//! read. Nobody else is kept waiting by it.

use std::time::Duration;

use symbolon::pb::auth as pb;
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{ALL, Process, Server, Watching, after, entry, ids, reason, sign_in};

/// R-REV-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_ends_its_watches_and_waits_for_none() {
    let dir = tempfile::tempdir().unwrap();
    let server = Process::dev(dir.path(), &[]).await;
    let mut watches = Vec::new();
    for _ in 0..20 {
        let mut watching = server.watching("").await;
        watching.caught_up().await;
        watches.push(watching);
    }
    let channel = Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);

    let begun = Instant::now();
    let ends = tokio::spawn(async move {
        for watching in &mut watches {
            let status = watching.end().await;
            assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
        }
        let ended = begun.elapsed();
        // Whoever watches the health is told, and does not leave by itself.
        assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        assert_eq!(health.message().await.unwrap(), None);
        (ended, begun.elapsed())
    });
    let (status, said) = server.terminate().await;
    let stopped = begun.elapsed();
    let (ended, health_ended) = ends.await.unwrap();
    println!("watches ended after {ended:?}, health after {health_ended:?}, the process after {stopped:?}");
    assert!(status.success() && stopped < Duration::from_secs(2), "{status} after {stopped:?}: {said}");
    assert!(!said.contains("did not leave"), "{said}");
}

/// R-REV-02
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_taken_out_of_the_file_watches_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let of_web = |name: &str| entry(name, &format!("{ALL}\nclients = [\"web\"]"));
    let file = dir.path().join("callers.toml");
    std::fs::write(&file, [of_web("sc1_leaves"), of_web("sc1_stays")].concat()).unwrap();
    let server = Process::dev(dir.path(), &[("SYMBOLON_CALLERS_FILE", "callers.toml")]).await;
    let (mut leaving, mut staying) = (server.as_caller("sc1_leaves").await, server.as_caller("sc1_stays").await);
    let issued = staying.issue_tokens(sign_in("alice")).await.unwrap().into_inner();
    let id = issued.session.unwrap().session_id;
    let mut leaves = Watching::of(leaving.watch_revocations(after("")).await);
    let mut stays = Watching::of(staying.watch_revocations(after("")).await);
    leaves.caught_up().await;
    stays.caught_up().await;

    std::fs::write(&file, of_web("sc1_stays")).unwrap();
    let begun = Instant::now();
    while leaving.get_jwks(pb::GetJwksRequest {}).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the file is not read again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What happens now is not for its ears.
    let target = Some(pb::revoke_session_request::Target::SessionId(id.clone()));
    staying.revoke_session(pb::RevokeSessionRequest { target, ..Default::default() }).await.unwrap();
    let refused = leaves.event().await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    assert_eq!(ids(&stays.soon(&[&id]).await), [id.as_str()].into());
    let refused = leaving.watch_revocations(after("")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

/// R-REV-02: a slow reader is cut when it reads on, and told where to go on; nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_lying_what_is_there_is_cut_and_loses_nothing() {
    /// Far more than the window of a connection holds.
    const MANY: i32 = 5000;
    let server = Server::start().await;
    server.issue("alice").await;
    server.watch().await.copy_session(MANY.unsigned_abs() - 1).await;
    // Its window is as small as a window may be.
    let endpoint = Channel::from_shared(format!("http://{}", server.grpc)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let mut client = AuthServiceClient::new(endpoint.connect().await.unwrap());
    let mut slow = Watching::of(client.watch_revocations(after("")).await);
    let mut quick = server.watching("").await;
    slow.caught_up().await;
    quick.caught_up().await;

    let everybody = pb::RevokeSubjectSessionsRequest { subject: "alice".to_owned(), ..Default::default() };
    assert_eq!(server.revoke_subject(everybody).await.unwrap(), MANY);
    let next = server.issue("bob").await.session.unwrap().session_id;
    let begun = Instant::now();
    assert!(server.revoke(&next).await);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(quick.soon(&[&next]).await.len(), usize::try_from(MANY).unwrap() + 1);

    server.pass(31);
    let mut told = Vec::new();
    let cut = loop {
        match slow.event().await {
            Ok((pb::watch_revocations_response::Event::Revocations(some), _)) => told.extend(some.sessions),
            Ok((event, _)) => panic!("{event:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!((cut.code(), reason(&cut).as_str()), (Code::Unavailable, "WATCHER_TOO_SLOW"));
    assert!(told.len() < 4000, "{} were in flight", told.len());
    let mut back = Watching::of(client.watch_revocations(after(&slow.cursor)).await);
    told.extend(back.caught_up().await);
    assert_eq!(ids(&told).len(), usize::try_from(MANY).unwrap() + 1);
}
