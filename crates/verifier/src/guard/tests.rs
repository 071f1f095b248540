use crate::forge::{HEADER, NOW, PAYLOAD, honest, token};
use crate::layer::tests::verifier;
use crate::{Claims, Guard, Refusal};
use http::{Request, Response, StatusCode, header};
use std::convert::Infallible;
use std::time::Duration;
use tower::{ServiceBuilder, ServiceExt, service_fn};

fn claims(more: &str) -> Claims {
    serde_json::from_str(&PAYLOAD.replace(r#""jti""#, &format!(r#"{more},"jti""#))).unwrap()
}

fn scope_refused(guard: &Guard, claims: &Claims) -> bool {
    matches!(guard.check(claims), Err(Refusal::InsufficientScope { .. }))
}

fn sign_in_refused(guard: &Guard, claims: &Claims) -> bool {
    matches!(guard.check(claims), Err(Refusal::InsufficientAuthentication { .. }))
}

#[test]
fn all_scopes_are_needed_and_no_part_of_one_is_one() {
    let guard = verifier().guard().scope("orders:read").scope("orders:write");
    assert!(guard.check(&claims(r#""scope":"a orders:write orders:read""#)).is_ok());
    for scope in ["orders:read", "orders:write", "orders:rea orders:write", "orders", "ORDERS:READ ORDERS:WRITE", ""] {
        assert!(scope_refused(&guard, &claims(&format!(r#""scope":"{scope}""#))), "{scope}");
    }
    assert!(scope_refused(&guard, &serde_json::from_str(PAYLOAD).unwrap()), "none");
    assert!(scope_refused(&verifier().guard().scope(""), &claims(r#""scope":"a b""#)), "an empty one is had by nobody");
}

#[test]
fn one_class_is_enough_and_none_is_not() {
    let guard = verifier().guard().acr("urn:mfa").acr("urn:hardware");
    for acr in ["urn:mfa", "urn:hardware"] {
        assert!(guard.check(&claims(&format!(r#""acr":"{acr}""#))).is_ok());
    }
    assert!(sign_in_refused(&guard, &claims(r#""acr":"urn:pwd""#)));
    assert!(sign_in_refused(&guard, &claims(r#""acr":"urn:mfa urn:hardware""#)));
    assert!(sign_in_refused(&guard, &serde_json::from_str(PAYLOAD).unwrap()));
}

#[test]
fn an_authentication_is_fresh_until_its_age_and_unknown_is_not_fresh() {
    let guard = verifier().guard().max_age(Duration::from_secs(300));
    let at = |time: i64| claims(&format!(r#""auth_time":{time}"#));
    assert!(guard.check(&at(NOW)).is_ok() && guard.check(&at(NOW - 300)).is_ok());
    assert!(guard.check(&at(NOW + 20)).is_ok(), "the issuer's clock may be ahead");
    assert!(sign_in_refused(&guard, &at(NOW - 301)) && sign_in_refused(&guard, &at(0)));
    assert!(sign_in_refused(&guard, &serde_json::from_str(PAYLOAD).unwrap()), "no auth_time");
}

#[test]
fn what_no_sign_in_would_mend_comes_first() {
    let guard = verifier().guard().scope("x").acr("y").max_age(Duration::ZERO);
    assert!(scope_refused(&guard, &serde_json::from_str(PAYLOAD).unwrap()));
}

async fn ask(guard: Guard, authorization: Option<String>, kind: &str) -> Response<()> {
    let reached = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let service = ServiceBuilder::new().layer(verifier().optional()).layer(guard).service(reached);
    let mut request = Request::get("/").header(header::CONTENT_TYPE, kind);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    service.oneshot(request.body(()).unwrap()).await.unwrap().map(drop)
}

#[tokio::test]
async fn a_guard_says_what_is_missing() {
    let bearer = |more: &str| {
        let payload = PAYLOAD.replace(r#""jti""#, &format!(r#"{more},"jti""#));
        Some(format!("Bearer {}", token(HEADER, payload)))
    };
    let guard = verifier().guard().scope("a").scope("b");
    assert_eq!(ask(guard.clone(), bearer(r#""scope":"b a""#), "").await.status(), StatusCode::OK);
    let answer = ask(guard.clone(), bearer(r#""scope":"a""#), "").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], r#"Bearer error="insufficient_scope", scope="a b""#);
    let answer = ask(guard, bearer(r#""scope":"a""#), "application/grpc").await;
    assert_eq!(answer.headers()["grpc-status"], "7");

    let guard = verifier().guard().acr("urn:mfa").acr("\"x\\").max_age(Duration::from_secs(60));
    let answer = ask(guard.clone(), bearer(r#""acr":"pwd""#), "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.headers()[header::WWW_AUTHENTICATE],
        r#"Bearer error="insufficient_user_authentication", acr_values="urn:mfa \"x\\", max_age="60""#
    );
    assert_eq!(ask(guard, bearer(r#""acr":"pwd""#), "application/grpc").await.headers()["grpc-status"], "16");
}

#[tokio::test]
async fn even_an_empty_guard_asks_for_a_token() {
    let answer = ask(verifier().guard(), None, "").await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()[header::WWW_AUTHENTICATE], "Bearer");
    let good = Some(format!("Bearer {}", honest()));
    assert_eq!(ask(verifier().guard(), good, "").await.status(), StatusCode::OK);
}
