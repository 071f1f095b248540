//! The page `symbolon dev` shows at `/`: it signs in, shows where each token lives and what goes over the wire, and has a
//! button for everything interesting that can happen. It uses the module that a real page would take, as it stands.

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

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 9] = [
    Asset { path: "/", kind: HTML, content: include_str!("page/index.html") },
    Asset { path: "/page.css", kind: "text/css; charset=utf-8", content: include_str!("page/page.css") },
    Asset { path: "/page.js", kind: SCRIPT, content: include_str!("page/page.js") },
    Asset { path: "/scenes.js", kind: SCRIPT, content: include_str!("page/scenes.js") },
    Asset { path: "/wire.js", kind: SCRIPT, content: include_str!("page/wire.js") },
    Asset { path: "/icon.svg", kind: "image/svg+xml", content: include_str!("page/icon.svg") },
    Asset { path: TAB, kind: HTML, content: include_str!("page/tab.html") },
    Asset { path: "/tab.js", kind: SCRIPT, content: include_str!("page/tab.js") },
    Asset { path: "/symbolon.js", kind: SCRIPT, content: include_str!("../../../clients/web/symbolon.js") },
];

/// One of ten tabs, which the page shows in a frame.
const TAB: &str = "/tab";

/// A page that may load and call nothing but its own origin: what every page with a token in it should say.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors";

/// Beside the policy.
const HEADERS: [(HeaderName, &str); 3] =
    [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer"), (CACHE_CONTROL, "no-cache")];

/// Where the edge's routes begin, as the pages have it.
const AUTH: &str = "data-auth=\"/auth\"";

/// The page's routes, for an edge whose own begin at this path.
pub(super) fn routes(base_path: &str) -> Router {
    let auth = format!("data-auth=\"{base_path}\"");
    ASSETS.into_iter().fold(Router::new(), |routes, Asset { path, kind, content }| {
        let content = content.replace(AUTH, &auth);
        let framed_by = if path == TAB { "'self'" } else { "'none'" };
        let policy = [(CONTENT_SECURITY_POLICY, format!("{POLICY} {framed_by}"))];
        routes.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], policy, HEADERS, content) }))
    })
}
