//! The upstream of `symbolon dev --bff`: a page behind a gateway that shows who it is told you are. It never sees a refresh
//! token, and its page never sees any.

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

const PAGE: &str = include_str!("page/upstream.html");
const SCRIPT: &str = include_str!("page/upstream.js");
const STYLE: &str = include_str!("page/page.css");

/// What is shown of a request: that a token came, never the token.
const SHOWN: [&str; 5] =
    ["x-symbolon-subject", "x-symbolon-session", "x-symbolon-client", "x-symbolon-scope", "x-symbolon-acr"];

/// Beside the edge's routes: whatever is not the edge's is the upstream's.
pub(super) fn beside(edge: Router) -> Router {
    let script = [(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"))];
    let style = [(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))];
    let shown = get(async |headers: HeaderMap| page("Behind the gateway", &told(&headers), is_signed_in(&headers)));
    edge.route("/sign-in", get(async || page("Sign in", "<p>Nobody is signed in.</p>", false)))
        .route("/public/upstream.js", get(async move || (script, SCRIPT)))
        .route("/public/page.css", get(async move || (style, STYLE)))
        .route("/", shown.clone())
        .route("/{*path}", shown)
}

fn page(title: &str, told: &str, signed_in: bool) -> impl IntoResponse + use<> {
    let [inside, outside] = if signed_in { ["", "hidden"] } else { ["hidden", ""] };
    let policy = HeaderValue::from_static("default-src 'self'; base-uri 'none'; frame-ancestors 'none'");
    let html = PAGE.replace("{title}", title).replace("{inside}", inside).replace("{outside}", outside);
    let html = html.replace("{told}", told);
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html))
}

fn is_signed_in(headers: &HeaderMap) -> bool {
    headers.get(SHOWN[0]).is_some_and(|subject| !subject.is_empty())
}

/// What the gateway says of the user, as a list.
fn told(headers: &HeaderMap) -> String {
    let lines = SHOWN.map(|name| {
        let values = headers.get_all(HeaderName::from_static(name)).iter().map(HeaderValue::as_bytes);
        let values: Vec<_> = values.map(|value| escape(&String::from_utf8_lossy(value))).collect();
        format!("<dt>{name}</dt><dd>{}</dd>", values.join(", "))
    });
    let jar = headers.get_all(header::COOKIE).iter().map(|cookie| String::from_utf8_lossy(cookie.as_bytes()));
    let jar = jar.collect::<Vec<_>>().join(";");
    let names: Vec<_> =
        jar.split(';').filter_map(|cookie| cookie.split('=').next()).map(|name| escape(name.trim())).collect();
    let token = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"Bearer ey"));
    let authorization = if token { "an access token" } else { "nothing" };
    format!(
        "<dl>{}<dt>authorization</dt><dd>{authorization}</dd><dt>cookies</dt><dd>{}</dd></dl>",
        lines.concat(),
        names.join(", ")
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
