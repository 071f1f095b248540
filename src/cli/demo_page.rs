//! The page `symbolon dev` shows at `/`: it signs in, shows where each token lives, and refreshes. It is built from
//! `clients/web` as it stands, the module a real page would take included. Nothing but `dev` has these routes.

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::routing::get;

/// What one file of the page is.
struct Asset {
    path: &'static str,
    kind: &'static str,
    content: &'static str,
}

macro_rules! asset {
    ($path:literal, $kind:literal, $file:literal) => {
        Asset { path: $path, kind: $kind, content: include_str!(concat!("../../clients/web/", $file)) }
    };
}

const ASSETS: [Asset; 5] = [
    asset!("/", "text/html; charset=utf-8", "demo.html"),
    asset!("/demo.css", "text/css; charset=utf-8", "demo.css"),
    asset!("/demo.js", "text/javascript; charset=utf-8", "demo.js"),
    asset!("/demo.svg", "image/svg+xml", "demo.svg"),
    asset!("/symbolon.js", "text/javascript; charset=utf-8", "symbolon.js"),
];

/// A page that may load, call and be framed by nothing but its own origin: what every page with a token in it should say.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-cache"),
];

/// The page's routes.
pub(super) fn routes() -> Router {
    ASSETS.into_iter().fold(Router::new(), |routes, Asset { path, kind, content }| {
        routes.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], HEADERS, content) }))
    })
}
