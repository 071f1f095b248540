use super::{Url, is_safe, max_age};
use crate::forge::{AUDIENCE, NOW, honest, jwks};
use crate::{Issuer, KeySet, KeySetError, MAX_JWKS_BYTES, StartError, Verifier};
use http::{HeaderMap, header};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers every request with these bytes and closes; where it is, and what it was asked.
async fn answering(answer: impl Into<Vec<u8>>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = tokio::sync::mpsc::unbounded_channel();
    let answer = answer.into();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let _ = tell.send(String::from_utf8_lossy(&request[..read]).into_owned());
            // The reader may have had enough before the end.
            let _ = stream.write_all(&answer).await;
        }
    });
    (url, asked)
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn fetch(answer: impl Into<Vec<u8>>) -> Result<(KeySet, Duration), tonic::codegen::StdError> {
    Url::new(answering(answer).await.0).unwrap().fetch().await
}

#[tokio::test]
async fn three_lines_are_enough_and_ask_the_well_known_url() {
    let (issuer, mut asked) = answering(ok("cache-control: public, max-age=300\r\n", &jwks())).await;
    let verifier = Verifier::new(issuer.as_str(), AUDIENCE).clock(|| NOW).start().await.unwrap();
    assert!(asked.recv().await.unwrap().starts_with("GET /.well-known/jwks.json HTTP/1.1\r\n"));
    // The forge's tokens are of another issuer, whose keys are here too.
    let elsewhere = Issuer::new(crate::forge::ISSUER).jwks_url(format!("{issuer}/keys"));
    let other = Verifier::new(elsewhere, AUDIENCE).clock(|| NOW).start().await.unwrap();
    assert!(asked.recv().await.unwrap().starts_with("GET /keys HTTP/1.1\r\n"));
    assert!(other.verify(&honest()).await.is_ok());
    assert_eq!(verifier.verify(&honest()).await, Err(crate::Rejection::Issuer.into()));
}

#[tokio::test]
async fn a_set_is_kept_for_as_long_as_it_says() {
    assert_eq!(fetch(ok("cache-control: max-age=77\r\n", &jwks())).await.unwrap().1, Duration::from_secs(77));
    let said = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, value.parse().unwrap());
        max_age(&headers).as_secs()
    };
    assert_eq!(max_age(&HeaderMap::new()), Duration::from_secs(300));
    assert_eq!((said("public"), said("max-age=x"), said("max-age=-1"), said("s-maxage=7")), (300, 300, 300, 300));
    assert_eq!((said("Public , Max-Age=\"60\""), said("no-store"), said("max-age=0")), (60, 0, 0));
    assert_eq!(said(&format!("max-age={}", u64::MAX)), u64::MAX);
}

/// Bad input: a set that is huge, endless, malformed or elsewhere is no set.
#[tokio::test]
async fn what_is_not_a_set_at_this_url_is_none() {
    let huge = ok("", &format!("{}{}", jwks(), " ".repeat(MAX_JWKS_BYTES)));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", " ".repeat(4 * MAX_JWKS_BYTES));
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{}", jwks());
    let (elsewhere, mut asked_elsewhere) = answering(ok("", &jwks())).await;
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}/\r\ncontent-length: 0\r\n\r\n");
    let not_ok = ok("", &jwks()).replace("200 OK", "203 Non-Authoritative Information");
    for answer in [huge, endless, short, redirect, not_ok, "garbage\r\n\r\n".to_owned(), String::new()] {
        assert!(fetch(answer.clone()).await.is_err(), "{answer:.60}");
    }
    assert!(asked_elsewhere.try_recv().is_err(), "a redirect was followed");
    let error = fetch(ok("", "<html>")).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&KeySetError::Malformed));
    assert!(Url::new("http://localhost:1".to_owned()).unwrap().fetch().await.is_err(), "nobody is there");
}

#[tokio::test]
async fn a_certificate_that_this_machine_does_not_trust_is_not_talked_to() {
    let (plain, _asked) = answering(ok("", &jwks())).await;
    let url = Url::new(plain.replace("http:", "https:")).unwrap();
    assert!(url.fetch().await.is_err(), "it does not even speak TLS");
}

#[test]
fn keys_come_over_tls_or_from_this_machine() {
    let safe = |url: &str| url.parse().is_ok_and(|uri| is_safe(&uri));
    for url in ["https://id.example/jwks", "http://localhost:8080/", "http://127.0.0.1/x", "http://[::1]:1/"] {
        assert!(safe(url), "{url}");
    }
    let unsafe_urls = [
        "http://id.example/jwks",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "/jwks",
        "",
        "http://10.0.0.1/",
        "https:///x",
        "localhost",
    ];
    for url in unsafe_urls {
        assert!(!safe(url), "{url}");
        assert!(matches!(Url::new(url.to_owned()), Err(StartError::Url { .. })), "{url}");
    }
}
