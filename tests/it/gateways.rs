//! Pages that never see a token, behind each gateway that has a recipe in `deploy/gateways/`, as it stands: one set of
//! assertions for all of them. R-EDGE-09.

mod gateway;
mod lives;
mod upstream;

use std::time::Duration;

use symbolon::pb::auth::Authentication;

use crate::support::front::Front;
use crate::support::http2::{HEADERS, Http2};
use crate::support::{Answer, Ask, claimed};
use gateway::{GATEWAYS, Gated, fetch, page_load};

const IDENTITY: [&str; 5] = ["subject", "session", "client", "scope", "acr"];

/// All values of a header of an answer.
fn all<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    answer.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect()
}

/// Fails unless this is what the upstream says, to alice, who is told of by the exchange alone.
fn assert_alice(gated: &Gated, session: &str, answer: &Answer, context: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (200, "the application"), "{context}: {answer:?}");
    let kept = |name: &str| !name.starts_with("x-symbolon") && name != "authorization";
    assert!(answer.headers.iter().all(|(name, _)| kept(name)), "{context}: {answer:?}");
    let seen = gated.upstream.saw_one();
    let [authorization] = seen.all("authorization").try_into().unwrap();
    let claims = claimed(authorization.strip_prefix("Bearer ").unwrap());
    assert_eq!([&claims["sub"], &claims["sid"]], ["alice", session], "{context}");
    let told = IDENTITY.map(|name| seen.all(&format!("x-symbolon-{name}")).join("|"));
    let claimed = ["sub", "sid", "client_id", "scope", "acr"].map(|name| claims[name].as_str().unwrap_or_default());
    assert_eq!(told, claimed, "{context}");
    let alike = |name: &str| name.replace('_', "-").starts_with("x-symbolon-") && name.contains('_');
    let forged: Vec<_> = seen.headers.keys().filter(|name| alike(name.as_str())).collect();
    assert_eq!(forged.len(), 0, "{context}: {forged:?}");
    assert_no_refresh_token(&seen, context);
}

fn assert_no_refresh_token(seen: &upstream::Seen, context: &str) {
    let headers = format!("{:?}", seen.headers);
    assert!(!headers.contains("sr1_") && !headers.contains("symbolon-1"), "{context}: {headers}");
}

#[tokio::test]
async fn who_is_signed_in_is_told_to_the_upstream_by_the_exchange_alone() {
    for gateway in GATEWAYS {
        let gated = Gated::start(gateway, "15m").await;
        let (session, cookie) = gated
            .sign_in(|request| {
                request.scope = vec!["read".to_owned(), "write".to_owned()];
                request.authentication = Some(Authentication { acr: "aal2".to_owned(), ..Authentication::default() });
            })
            .await;
        let said = format!("{gateway:?}");
        let ask = async |ask: Ask| gated.ask(&ask.header("cookie", &cookie)).await;

        assert_alice(&gated, &session, &ask(page_load("/orders?x=1", "same-origin")).await, &said);
        assert_alice(&gated, &session, &ask(fetch("GET", "/orders", "same-origin")).await, &said);
        // A link in a mail.
        assert_alice(&gated, &session, &ask(page_load("/orders", "cross-site")).await, &said);
        assert_alice(&gated, &session, &ask(page_load("/orders", "none")).await, &said);

        let posted = ask(fetch("POST", "/orders?a=%2F", "same-origin").body("two of them")).await;
        assert_eq!(posted.status, 200, "{gateway:?}: {posted:?}");
        let seen = gated.upstream.saw_one();
        let arrived = [seen.method.as_str(), &seen.target, &seen.body];
        assert_eq!(arrived, ["POST", "/orders?a=%2F", "two of them"], "{gateway:?}");
        assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"], "{gateway:?}");

        // The client's own, in every spelling, and twice.
        let spellings = [('-', '-'), ('-', '_'), ('_', '-'), ('_', '_')];
        let forge = |ask: Ask| {
            let names =
                IDENTITY.iter().flat_map(|name| spellings.map(|(one, two)| format!("X{one}Symbolon{two}{name}")));
            names.fold(ask, |ask, name| ask.header(&name, "mallory").header(&name.to_uppercase(), "mallory"))
        };
        assert_alice(&gated, &session, &ask(forge(page_load("/orders", "same-origin"))).await, &said);
        let bearing = page_load("/orders", "same-origin").bearer("eyJ.mallory.1");
        assert_alice(&gated, &session, &ask(bearing.clone()).await, &said);
        // A client may call headers ones for this connection only, which a proxy drops: then there is nobody, not somebody else.
        let dropping = forge(fetch("GET", "/orders", "same-origin")).bearer("eyJ.mallory.1");
        ask(dropping.header("connection", "keep-alive, X-Symbolon-Subject, Authorization, X-Forwarded-Method")).await;
        for seen in gated.upstream.saw() {
            let told = format!("{:?}", seen.headers);
            assert!(!told.contains("mallory"), "{gateway:?}: {told}");
            assert_no_refresh_token(&seen, &said);
        }
        // What the upstream refuses by itself stays as it is.
        for status in [400, 401, 403, 404, 500, 503] {
            let answer = ask(page_load(&format!("/status/{status}"), "same-origin")).await;
            assert_eq!((answer.status, answer.body.as_str()), (status, "the application"), "{gateway:?}");
            gated.upstream.saw_one();
        }
        // Two of them nginx does not even ask about.
        let twice = ask(bearing.bearer("eyJ.mallory.2")).await;
        if twice.status == 400 {
            assert_eq!(gated.upstream.saw().len(), 0, "{gateway:?}");
        } else {
            assert_alice(&gated, &session, &twice, &said);
        }
        for path in ["/public/a.css", "/healthz", "/sign-in"] {
            let answer = ask(forge(Ask::get(path)).header("cookie", "theme=dark")).await;
            assert_eq!(answer.status, 200, "{gateway:?} {path}: {answer:?}");
            let seen = gated.upstream.saw_one();
            let told =
                seen.headers.iter().filter(|(name, value)| name.as_str().contains("symbolon") && !value.is_empty());
            assert_eq!(told.count(), 0, "{gateway:?} {path}: {:?}", seen.headers);
            assert_no_refresh_token(&seen, &said);
            // Traefik cannot leave the others.
            let left: &[&str] = if gateway == Front::Traefik { &[] } else { &["theme=dark"] };
            assert_eq!(seen.all("cookie"), left, "{gateway:?} {path}");
        }
    }
}

#[tokio::test]
async fn whoever_is_signed_out_is_sent_to_the_sign_in_or_told() {
    for gateway in GATEWAYS {
        let gated = Gated::start(gateway, "15m").await;
        let (session, cookie) = gated.sign_in(|_| ()).await;
        let name = &gated.name;
        for jar in [None, Some("theme=dark".to_owned()), Some(format!("{name}=")), Some(format!("{name}=sr1_nonsense"))]
        {
            let with = |ask: Ask| jar.iter().fold(ask, |ask, jar| ask.header("cookie", jar));
            let sent = gated.ask(&with(page_load("/orders?x=1&y=%2F", "none"))).await;
            let to = Some("/sign-in?return_to=%2Forders%3Fx%3D1%26y%3D%252F");
            assert_eq!((sent.status, sent.header("location")), (302, to), "{gateway:?} {jar:?}: {sent:?}");
            assert!(sent.header("cache-control").unwrap().contains("no-store"), "{gateway:?}: {sent:?}");
            for ask in [fetch("GET", "/orders", "same-origin"), fetch("POST", "/orders", "same-origin")] {
                let told = gated.ask(&with(ask)).await;
                let code =
                    if jar.as_ref().is_some_and(|jar| jar.contains("sr1_")) { "session_invalid" } else { "no_session" };
                assert_eq!(told.problem(), (401, code.to_owned()), "{gateway:?} {jar:?}: {told:?}");
                assert!(told.header("cache-control").unwrap().contains("no-store"), "{gateway:?}: {told:?}");
            }
        }

        // Two of the name, in one header and in two; the others stay.
        for jar in [&[format!("{cookie}; {cookie}")][..], &[cookie.clone(), format!("{name}=sr1_x; theme=dark")]] {
            let twice = jar.iter().fold(fetch("GET", "/", "same-origin"), |ask, jar| ask.header("cookie", jar));
            assert_eq!(gated.ask(&twice).await.problem(), (400, "duplicate_cookie".to_owned()), "{gateway:?} {jar:?}");
        }
        // What another site has a browser do.
        for site in ["cross-site", "same-site", "none"] {
            let form = Ask::new("POST", "/orders").header("sec-fetch-mode", "navigate").header("sec-fetch-site", site);
            let form = form.header("cookie", &cookie).header("origin", "https://evil.example").body("amount=1");
            let form = form.header("x-forwarded-method", "GET").header("x-forwarded-uri", "/public/a");
            assert_eq!(gated.ask(&form).await.problem(), (403, "cross_site".to_owned()), "{gateway:?} {site}");
            let upgrade =
                fetch("GET", "/feed", site).header("origin", "https://evil.example").header("cookie", &cookie);
            let (_, refused) = gated.upgrade(upgrade).await;
            assert_eq!(refused.problem(), (403, "cross_site".to_owned()), "{gateway:?} {site}");
        }
        let (_, refused) = gated.upgrade(Ask::get("/feed").header("sec-fetch-site", "same-origin")).await;
        assert_eq!(refused.status, 401, "{gateway:?}");
        assert_eq!(gated.upstream.saw().len(), 0, "{gateway:?}: it was asked");
        // Nobody is signed out by mistake of the gateway.
        assert!(!gated.log().contains("unexpected status"), "{gateway:?}: {}", gated.log());

        let lines = fetch("GET", "/", "same-origin").header("cookie", "a=1").header("cookie", format!("b=2; {cookie}"));
        let last = format!("c={{env.PATH}}; d=$1; e=\"{}\"", "e".repeat(7000));
        let answer = gated.ask(&lines.header("cookie", &last)).await;
        assert_eq!(answer.status, 200, "{gateway:?}: {answer:?}");
        let seen = gated.upstream.saw_one();
        assert_eq!(seen.all("cookie"), [format!("a=1; b=2; {last}")], "{gateway:?}");
        assert_eq!(seen.all("x-symbolon-session"), [session], "{gateway:?}");

        let upgrade = Ask::get("/feed").header("sec-fetch-site", "same-origin").header("cookie", &cookie);
        let (mut connection, answer) = gated.upgrade(upgrade).await;
        assert_eq!(answer.status, 101, "{gateway:?}: {answer:?}");
        connection.write(&Ask::get("/echo").bytes()).await;
        assert_eq!(connection.text(9).await, "GET /echo", "{gateway:?}");
        assert_no_refresh_token(&gated.upstream.saw_one(), "an upgrade");
    }
}

/// By HTTP/2 a browser sends each cookie in a header of its own (RFC 9113 section 8.2.3).
#[tokio::test]
async fn a_cookie_in_crumbs_is_found_and_two_of_it_are_refused() {
    // nginx speaks HTTP/2 by TLS only.
    let plain = |text: String| text.replace("admin off", "admin off\nservers {\nprotocols h1 h2 h2c\n}");
    for gateway in [Front::Caddy, Front::Envoy, Front::Traefik] {
        let gated = Gated::start_with(gateway, "15m", plain).await;
        let (session, cookie) = gated.sign_in(|_| ()).await;
        let own = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
        for (more, expected) in [(("cookie", "b=2"), vec![session]), (("cookie", cookie.as_str()), Vec::new())] {
            let mut connection = Http2::connect(&gated.address).await;
            connection.begin_at(1, "/orders", &[&[("cookie", "a=1"), more], &own[..]].concat()).await;
            connection.finish(1, b"").await;
            connection.wait_for(HEADERS, Duration::from_secs(20)).await.expect("no answer");
            let seen = gated.upstream.saw();
            let told: Vec<_> = seen.iter().flat_map(|seen| seen.all("x-symbolon-session")).collect();
            assert_eq!(told, expected, "{gateway:?} {more:?}");
            for seen in seen {
                assert_no_refresh_token(&seen, "crumbs");
                assert_eq!(seen.all("cookie").join("; "), "a=1; b=2", "{gateway:?}");
            }
        }
    }
}

/// What is public by its path stays so however it is spelled, and nothing else becomes it.
#[tokio::test]
async fn no_spelling_of_a_path_leads_past_the_exchange() {
    for gateway in GATEWAYS {
        let gated = Gated::start(gateway, "15m").await;
        let (_, cookie) = gated.sign_in(|_| ()).await;
        for path in [
            "/public/../orders",
            "/public/%2e%2e/orders",
            "/public/..%2forders",
            "/public/..%2Forders",
            "/public%2f..%2forders",
            "/public/..%5corders",
            "/public/..\\orders",
            "/public/..;/orders",
            "/public/.;/../orders",
            "/public/%2e%2e%2forders",
            "/public/%252e%252e/orders",
            "/public/a/../../orders",
            "//public/../orders",
            "/orders/..%2fpublic/a",
            "/orders/..%2f..%2fpublic/a",
            "/orders/%2e%2e%2fpublic/a",
            "/orders;/../public/a",
            "/orders%3f/../public/a",
            "/auth/../orders",
            "/auth/..%2forders",
            "/auth/%2e%2e/orders",
            "/healthz/../orders",
            "/healthz/..%2forders",
            "/healthz%2f..%2forders",
            "/PUBLIC/a",
            "/public",
            "/publication",
            "/healthzz",
            "/sign-in/..%2forders",
            "/_exchange",
            "/exchange",
        ] {
            let ask = fetch("GET", path, "same-origin").header("x-symbolon-subject", "mallory");
            let answer = gated.ask(&ask).await;
            for seen in gated.upstream.saw() {
                // Public all the same: then by a path that nobody reads as another.
                let plain = seen.target.starts_with("/public/") && !seen.target.contains(['%', ';', '\\']);
                let plain = plain && !seen.target.contains("/.");
                assert!(plain, "{gateway:?}: {path} led to {}: {answer:?}", seen.target);
            }
            // Signed in, it is whatever it is, but never with the cookie.
            gated.ask(&fetch("GET", path, "same-origin").header("cookie", &cookie)).await;
            gated.upstream.saw().iter().for_each(|seen| assert_no_refresh_token(seen, path));
        }
    }
}

#[tokio::test]
async fn a_route_may_ask_for_another_audience_for_a_scope_and_for_an_acr() {
    for gateway in GATEWAYS {
        for (more, name) in [("audience", "billing"), ("scope", "admin"), ("acr", "aal3")] {
            let of_query = |text: String| match more {
                "audience" => text.replace("/exchange?audience=api", &format!("/exchange?audience={name}")),
                _ => text.replace("/exchange?audience=api", &format!("/exchange?audience=api&{more}={name}")),
            };
            let change = |text: String| match more {
                "audience" => of_query(text).replace("{ audience: api }", &format!("{{ audience: {name} }}")),
                _ => of_query(text).replace("{ audience: api }", &format!("{{ audience: api, {more}: {name} }}")),
            };
            let gated = Gated::start_with(gateway, "15m", change).await;
            let (_, cookie) = gated.sign_in(|_| ()).await;
            let refused = gated.ask(&fetch("GET", "/orders", "same-origin").header("cookie", &cookie)).await;
            let expected = (403, "access_token_insufficient".to_owned());
            assert_eq!(refused.problem(), expected, "{gateway:?} {more}: {refused:?}");
            assert_eq!(gated.upstream.saw().len(), 0, "{gateway:?} {more}: it was asked");
        }
    }
}
