//! The page with the form. Once somebody is signed in it talks to the edge, which has the cookie.

use axum::response::Html;
use url::Url;

/// The page, which says `says`: a sentence of ours, never what somebody sent.
pub(crate) fn page(edge: &Url, says: &str) -> Html<String> {
    let edge = edge.origin().ascii_serialization();
    Html(format!(
        r#"<!doctype html>
<title>Sign in</title>
<p>{says}</p>
<form method="post" action="/sign-in">
  <input name="username" autocomplete="username" placeholder="carol">
  <input name="password" type="password" autocomplete="current-password" placeholder="carol">
  <button>Sign in</button>
</form>
<button id="who">Who am I?</button> <button id="out">Sign out</button>
<script>
  const ask = (path) => fetch("{edge}" + path, {{
    method: "POST", credentials: "include", headers: {{ "X-Symbolon-CSRF": "1" }},
  }});
  who.onclick = async () => alert(JSON.stringify((await (await ask("/auth/refresh")).json()).session ?? "nobody"));
  out.onclick = async () => alert((await ask("/auth/logout")).status === 204 ? "signed out" : "try again");
</script>"#
    ))
}
