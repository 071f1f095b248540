//! TLS of the gRPC listener: who is let in, what is spoken, and that nobody is held up by somebody else's handshake.

use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use symbolon::pb::auth::auth_service_client::AuthServiceClient;
use symbolon::rpc::Limits;
use symbolon::time::Timestamp;
use symbolon::tls::{self, Current, Files, Oldest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::support::{Authority, BEGINNING, Bounded, Issued, Process, sign_in};

const CERT: &str = "SYMBOLON_GRPC_TLS_CERT_FILE";
const KEY: &str = "SYMBOLON_GRPC_TLS_KEY_FILE";
const CLIENT_CA: &str = "SYMBOLON_GRPC_TLS_CLIENT_CA_FILE";
const MIN_VERSION: &str = "SYMBOLON_GRPC_TLS_MIN_VERSION";

/// Long enough for a busy machine; nothing waits that long if all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// `symbolon dev` with this certificate, and what `env` says beside.
async fn dev(dir: &TempDir, issued: &Issued, env: &[(&str, &str)]) -> Process {
    issued.write(dir.path(), "server");
    let env = [&[(CERT, "server.pem"), (KEY, "server.key")], env].concat();
    Process::dev(dir.path(), &env).await
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Signs somebody in, or says why that is not possible.
async fn call(channel: Result<Channel, tonic::transport::Error>) -> Result<(), String> {
    let mut client = AuthServiceClient::new(channel.map_err(|error| format!("{error:?}"))?);
    client.issue_tokens(sign_in("alice")).await.map(drop).map_err(|status| format!("{status:?}"))
}

/// The figure of failed handshakes for this reason.
async fn failed(server: &Process, reason: &str) -> u32 {
    let name = format!("symbolon_tls_handshakes_failed_total{{reason=\"{reason}\"}} ");
    let metrics = server.get("/metrics").await;
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |figure| figure.parse().unwrap())
}

/// Waits until so many, at least, have failed for this reason: the peer may hear of it before it is counted.
async fn until_failed(server: &Process, reason: &str, count: u32) {
    let counted = async {
        while failed(server, reason).await < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted)
        .await
        .unwrap_or_else(|_| panic!("{reason} is not counted {count} times at least"));
}

/// Whether the server ends the handshake of whoever shows this certificate. In TLS 1.3 the client hears of it last.
async fn is_refused(authority: &Authority, server: &Process, shown: &Issued) -> bool {
    match authority.shake(&server.grpc, &[&TLS13], Some(shown)).await {
        Ok(mut stream) => {
            let heard = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut [0])).await;
            heard.is_ok_and(|heard| heard.is_err())
        }
        Err(_) => true,
    }
}

/// What a server listens with in this process.
fn current(dir: &TempDir, issued: &Issued, client_ca: Option<&Authority>) -> Current {
    let [certificate, key] = issued.write(dir.path(), "server");
    let client_ca = client_ca.map(|authority| {
        let path = dir.path().join("clients.pem");
        std::fs::write(&path, authority.pem()).unwrap();
        path
    });
    let files = Files { certificate, key, client_ca, oldest: Oldest::Tls13 };
    let read = tls::read(&files, Timestamp::from_seconds(BEGINNING)).unwrap();
    assert_eq!(read.warnings, []);
    Arc::new(read.config.into())
}

/// R-RPC-06
#[tokio::test]
async fn a_call_is_answered_in_tls_with_h2_and_the_whole_chain_is_shown() {
    let (dir, authority) = (folder(), Authority::new());
    let issued = authority.server_by_another();
    let server = dev(&dir, &issued, &[]).await;
    assert!(server.banner.contains("with TLS") && !server.banner.contains("-plaintext"), "{}", server.banner);
    call(authority.channel(&server.grpc, None).await).await.unwrap();

    let stream = authority.shake(&server.grpc, &[&TLS13, &TLS12], None).await.unwrap();
    let connection = stream.get_ref().1;
    assert_eq!(connection.alpn_protocol(), Some(b"h2".as_slice()));
    assert_eq!(connection.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let shown = connection.peer_certificates().unwrap();
    assert!(shown.len() == 2 && shown == issued.certificates());
}

/// R-AUTHZ-02
#[tokio::test]
async fn a_client_shows_a_certificate_of_the_ca_or_none() {
    let (dir, authority, callers, foreign) = (folder(), Authority::new(), Authority::new(), Authority::new());
    std::fs::write(dir.path().join("callers.pem"), callers.pem()).unwrap();
    let server = dev(&dir, &authority.server(), &[(CLIENT_CA, "callers.pem")]).await;
    let names = ["spiffe://example.org/backend"];
    let call_as = async |issued: Option<&Issued>| call(authority.channel(&server.grpc, issued).await).await;

    call_as(None).await.unwrap();
    call_as(Some(&callers.client(&names))).await.unwrap();
    // The authority of the server's certificate has no say in this, and a server's certificate is no caller's.
    for refused in [foreign.client(&names), authority.client(&names), callers.server()] {
        assert!(call_as(Some(&refused)).await.is_err());
        assert!(is_refused(&authority, &server, &refused).await);
    }
    until_failed(&server, "certificate_refused", 3).await;
    assert_eq!(failed(&server, "certificate_expired").await, 0);
    assert!(is_refused(&authority, &server, &callers.expired_client(&names)).await);
    until_failed(&server, "certificate_expired", 1).await;
    // The other way round: the server is not believed.
    assert!(foreign.shake(&server.grpc, &[&TLS13], None).await.is_err());
    until_failed(&server, "refused_by_peer", 1).await;

    call_as(None).await.unwrap();
    let (_, said) = server.terminate().await;
    assert!(!said.contains(" WARN ") && !said.contains(" ERROR "), "a failed handshake is no news: {said}");
}

#[tokio::test]
async fn without_a_client_ca_no_certificate_is_asked_for() {
    let (dir, authority) = (folder(), Authority::new());
    let server = dev(&dir, &authority.server(), &[]).await;
    let foreign = Authority::new().client(&["backend.example"]);
    call(authority.channel(&server.grpc, Some(&foreign)).await).await.unwrap();
}

/// Whether OpenSSL and the server come to terms in this version.
async fn openssl(server: &Process, version: &str) -> bool {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &server.grpc, "-alpn", "h2", "-cipher", "ALL:@SECLEVEL=0", version]);
    command.stdin(std::process::Stdio::null());
    let output = command.output().await.expect("openssl is needed for this test");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("CONNECTED"), "{said}");
    said.contains("BEGIN CERTIFICATE")
}

#[tokio::test]
async fn tls_1_3_is_spoken_and_1_2_if_told_to_and_nothing_older() {
    let (dir, authority) = (folder(), Authority::new());
    let server = dev(&dir, &authority.server(), &[]).await;
    let shakes = async |server: &Process, version: &'static SupportedProtocolVersion| {
        authority.shake(&server.grpc, &[version], None).await.is_ok()
    };
    assert!(shakes(&server, &TLS13).await && !shakes(&server, &TLS12).await);
    until_failed(&server, "version_or_cipher", 1).await;
    assert!(openssl(&server, "-tls1_3").await && !openssl(&server, "-tls1_2").await);
    server.kill().await;

    let server = dev(&dir, &authority.server(), &[(MIN_VERSION, "1.2")]).await;
    assert!(shakes(&server, &TLS13).await && shakes(&server, &TLS12).await);
    assert!(
        openssl(&server, "-tls1_2").await && !openssl(&server, "-tls1_1").await && !openssl(&server, "-tls1").await
    );
}

#[tokio::test]
async fn plaintext_gets_nothing_and_harms_nothing() {
    let (dir, authority) = (folder(), Authority::new());
    let server = dev(&dir, &authority.server(), &[]).await;
    for said in ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut stream = TcpStream::connect(&server.grpc).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(4), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "it waits for more of what is no TLS");
        // At most an alert: type 21, and two bytes.
        assert!(answer.is_empty() || answer.len() == 7 && answer[0] == 21, "{answer:?}");
    }
    until_failed(&server, "no_tls", 2).await;
    let plain = Channel::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await;
    assert!(call(plain).await.is_err());
    call(authority.channel(&server.grpc, None).await).await.unwrap();
}

#[tokio::test]
async fn a_handshake_without_end_is_dropped_and_delays_nobody() {
    let (dir, authority) = (folder(), Authority::new());
    let greeting = Duration::from_secs(3);
    let limits = Limits { connections: 8, greeting, ..Limits::default() };
    let bounded = Bounded::with(limits, Some(current(&dir, &authority.server(), None))).await;
    let mut stalled = Vec::new();
    // The beginning of a ClientHello, and nothing.
    for begun in [[].as_slice(), &[22, 3, 1, 2, 0], &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]] {
        for _ in 0..2 {
            let mut stream = TcpStream::connect(&bounded.grpc).await.unwrap();
            stream.write_all(begun).await.unwrap();
            stalled.push(stream);
        }
    }
    let began = Instant::now();
    for _ in 0..5 {
        call(authority.channel(&bounded.grpc, None).await).await.unwrap();
    }
    assert!(began.elapsed() < greeting, "others' handshakes held them up for {:?}", began.elapsed());
    for mut stream in stalled {
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a handshake without end is waited for");
    }
    assert!(began.elapsed() + Duration::from_millis(500) >= greeting, "it is given {:?} only", began.elapsed());
}

#[tokio::test]
async fn a_stalled_handshake_has_a_place_and_gives_it_back() {
    let (dir, authority) = (folder(), Authority::new());
    let limits = Limits { connections: 1, greeting: Duration::from_millis(500), ..Limits::default() };
    let bounded = Bounded::with(limits, Some(current(&dir, &authority.server(), None))).await;
    let began = Instant::now();
    let _stalled = TcpStream::connect(&bounded.grpc).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    call(authority.channel(&bounded.grpc, None).await).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(400), "two have the place of one");
}

#[tokio::test]
async fn a_peer_that_shakes_hands_and_says_nothing_is_dropped() {
    let (dir, authority) = (folder(), Authority::new());
    let limits = Limits { greeting: Duration::from_millis(500), ..Limits::default() };
    let bounded = Bounded::with(limits, Some(current(&dir, &authority.server(), None))).await;
    for said in ["", "PRI * HTTP/2.0\r\n"] {
        let mut stream = authority.shake(&bounded.grpc, &[&TLS13], None).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "{said:?} keeps a connection for ever");
    }
    // Whoever began stays.
    let mut client = AuthServiceClient::new(authority.channel(&bounded.grpc, None).await.unwrap());
    client.issue_tokens(sign_in("alice")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(800)).await;
    client.issue_tokens(sign_in("alice")).await.unwrap();
}

/// A resumed session would not show its certificate again: revoked by its CA, it would be believed for hours.
#[tokio::test]
async fn no_session_is_resumed() {
    let (dir, authority) = (folder(), Authority::new());
    let current = current(&dir, &authority.server(), Some(&authority));
    let config: Arc<ServerConfig> = current.load_full();
    assert_eq!((config.send_tls13_tickets, config.max_early_data_size), (0, 0));
    assert!(!config.ticketer.enabled() && !config.session_storage.can_cache());
}
