use crate::forge::{AUDIENCE, HEADER, ISSUER, NOW, PAYLOAD, honest, jwks, token};
use crate::testing::TestIssuer;
use crate::{COOL_DOWN, Issuer, KeySet, Refusal, Rejection, StartError, Verifier};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// What an issuer answers to one fetch after another; the last goes on.
type Answers = Vec<Result<String, &'static str>>;

/// An issuer that publishes these, and the number of fetches.
fn publishing(answers: Answers) -> (Issuer, Arc<AtomicU32>) {
    let fetches = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&fetches);
    let issuer = Issuer::new(ISSUER).fetched_by(move || {
        let number = counted.fetch_add(1, Ordering::SeqCst) as usize;
        let answer = answers[number.min(answers.len() - 1)].clone();
        async move { Ok((KeySet::from_json(answer?.as_bytes())?, Duration::from_secs(300))) }
    });
    (issuer, fetches)
}

async fn started(issuer: Issuer) -> Verifier {
    Verifier::new(issuer, AUDIENCE).clock(|| NOW).start().await.unwrap()
}

#[tokio::test]
async fn each_issuer_is_believed_by_its_own_keys_only() {
    let [old, new, foreign] =
        ["https://old.example", "https://new.example", "https://foreign.example"].map(TestIssuer::new);
    let verifier = old.builder(AUDIENCE).or_issuer(Issuer::new("https://new.example").keys(new.jwks()));
    let verifier = verifier.or_audience("https://alias.example").start().await.unwrap();
    for issuer in [&old, &new] {
        for audience in [AUDIENCE, "https://alias.example"] {
            let claims = issuer.claims(audience, "alice");
            assert_eq!(verifier.verify(&issuer.sign(&claims)).await.as_ref(), Ok(&claims));
        }
    }
    let claimed = |issuer: &TestIssuer, iss: &TestIssuer| issuer.sign(&iss.claims(AUDIENCE, "alice"));
    assert_eq!(verifier.verify(&claimed(&old, &new)).await, Err(Rejection::Issuer.into()));
    assert_eq!(verifier.verify(&claimed(&new, &old)).await, Err(Rejection::Issuer.into()));
    assert_eq!(verifier.verify(&claimed(&foreign, &old)).await, Err(Rejection::UnknownKey.into()));
    assert_eq!(verifier.verify(&claimed(&foreign, &foreign)).await, Err(Rejection::UnknownKey.into()));
}

#[tokio::test]
async fn nothing_starts_that_could_not_work() {
    let fails = async |issuer: Issuer, audience: &str| Verifier::new(issuer, audience).start().await.unwrap_err();
    let known = || Issuer::new(ISSUER).keys(jwks());
    assert!(matches!(fails(Issuer::new("").keys(jwks()), AUDIENCE).await, StartError::Unnamed));
    assert!(matches!(fails(known(), "").await, StartError::Unnamed));
    assert!(matches!(fails(Issuer::new(ISSUER).keys("{}"), AUDIENCE).await, StartError::Keys { .. }));
    assert!(matches!(fails(known().caller_secret("a\nb"), AUDIENCE).await, StartError::CallerSecret { .. }));
    let feed = known().revocations(crate::WhenStale::Open);
    assert!(matches!(fails(feed, AUDIENCE).await, StartError::NoEndpoint { .. }));
    let url = |issuer| fails(Issuer::new(issuer), AUDIENCE);
    #[cfg(feature = "https")]
    assert!(
        matches!(url("http://id.example").await, StartError::Url { url } if url.ends_with(".example/.well-known/jwks.json"))
    );
    #[cfg(not(feature = "https"))]
    assert!(matches!(url(ISSUER).await, StartError::NoKeys { .. }));
}

#[tokio::test(start_paused = true)]
async fn tokens_pass_while_the_issuer_is_away() {
    let (issuer, fetches) = publishing(vec![Ok(jwks()), Err("away")]);
    let verifier = started(issuer).await;
    sleep(Duration::from_secs(7 * 24 * 3600)).await;
    assert!(fetches.load(Ordering::SeqCst) > 1000);
    assert_eq!(verifier.verify(&honest()).await.unwrap().sub, "alice");
    assert!(verifier.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_was_never_heard_of_leaves_good_tokens_undecided_and_bad_ones_refused() {
    let (issuer, _) = publishing(vec![Err("away")]);
    let verifier = started(issuer).await;
    assert!(!verifier.is_ready());
    assert_eq!(verifier.verify(&honest()).await, Err(Refusal::Undecided));
    for (token, rejection) in
        [("undefined", Rejection::Structure), ("", Rejection::Structure), ("a b", Rejection::Charset)]
    {
        assert_eq!(verifier.verify(token).await, Err(rejection.into()), "{token}");
    }
    let none = token(HEADER.replace("EdDSA", "none"), PAYLOAD);
    assert_eq!(verifier.verify(&none).await, Err(Rejection::Algorithm.into()));
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_set_does_not_replace_a_good_one() {
    let weak = crate::forge::base64url(crate::forge::weak_key().as_bytes());
    let poisoned = jwks().replace("}]", &format!(r#"}},{{"kty":"OKP","crv":"Ed25519","kid":"weak","x":"{weak}"}}]"#));
    let doubled = jwks().replace('[', &format!("[{},", &jwks()[9..jwks().len() - 2]));
    let empty = r#"{"keys":[]}"#.to_owned();
    let bad = [poisoned, doubled, empty, "<html>".to_owned(), " ".repeat(crate::MAX_JWKS_BYTES + 1)];
    for bad in bad {
        assert!(KeySet::from_json(bad.as_bytes()).is_err());
        let (issuer, fetches) = publishing(vec![Ok(jwks()), Ok(bad)]);
        let verifier = started(issuer).await;
        sleep(Duration::from_secs(3600)).await;
        assert!(fetches.load(Ordering::SeqCst) > 10);
        assert!(verifier.verify(&honest()).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_by_the_first_token_that_names_it() {
    let new = jwks().replace("2026-01", "2026-02");
    let (issuer, fetches) = publishing(vec![Ok(jwks()), Ok(new)]);
    let verifier = started(issuer).await;
    sleep(COOL_DOWN + Duration::from_secs(1)).await;
    let token = token(HEADER.replace("2026-01", "2026-02"), PAYLOAD);
    assert_eq!(verifier.verify(&token).await.unwrap().sub, "alice");
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
}

/// R-JWS-01, R-JWS-06: whatever is sent, only an unknown key is looked for, and for ten thousand of them once a cool-down.
#[tokio::test(start_paused = true)]
async fn ten_thousand_random_keys_are_one_fetch_and_other_forgeries_none() {
    let (issuer, fetches) = publishing(vec![Ok(jwks())]);
    let verifier = started(issuer).await;
    sleep(COOL_DOWN + Duration::from_secs(1)).await;
    let header = |change: (&str, &str)| token(HEADER.replace(change.0, change.1), PAYLOAD);
    let unsigned = format!("{}.{}", honest().rsplit_once('.').unwrap().0, "A".repeat(86));
    let others = [
        unsigned,
        header(("EdDSA", "none")),
        header(("at+jwt", "JWT")),
        header(("{", r#"{"jku":"https://evil.example/jwks.json","#)),
        token(HEADER, PAYLOAD.replace("https://id.example", "https://evil.example")),
        "undefined".to_owned(),
    ];
    for other in &others {
        assert!(verifier.verify(other).await.is_err());
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    let mut all = tokio::task::JoinSet::new();
    for n in 0..10_000 {
        let verifier = verifier.clone();
        let forged = header(("2026-01", &format!("random-{n}")));
        all.spawn(async move { verifier.verify(&forged).await });
    }
    assert!(all.join_all().await.iter().all(|outcome| *outcome == Err(Rejection::UnknownKey.into())));
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
    assert!(verifier.verify(&honest()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_it_does_in_the_background_ends_with_it() {
    let (issuer, fetches) = publishing(vec![Ok(jwks())]);
    let verifier = started(issuer).await;
    drop(verifier.clone());
    sleep(Duration::from_secs(301)).await;
    assert_eq!(fetches.load(Ordering::SeqCst), 2, "a clone is not the last");
    drop(verifier);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(fetches.load(Ordering::SeqCst), 2);
}
