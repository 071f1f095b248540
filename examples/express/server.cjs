// A backend that signs users in by itself, here with a form, and has Symbolon issue the session: the page then goes on
// with the edge on the same host (/auth/refresh, /auth/logout). It sees the refresh token once and keeps it nowhere.
"use strict";

const { randomBytes, randomUUID, scrypt, timingSafeEqual } = require("node:crypto");
const { promisify } = require("node:util");
const express = require("express");
const { issueTokens, supersede } = require("./symbolon.cjs");
const { refreshCookie, refreshTokenIn } = require("./cookie.cjs");

const setting = (name, otherwise) => process.env[name] ?? otherwise;
/** What browsers call the edge: the same host as this backend's, which on a machine of one's own has two ports. */
const edgeUrl = new URL(setting("EDGE_URL", "http://localhost:8080"));
/** What browsers call this backend. */
const publicUrl = new URL(setting("PUBLIC_URL", "http://localhost:3000"));

/** One of the settings OWASP recommends for scrypt; what Node takes by itself is a fifth of it. */
const cost = { N: 2 ** 14, r: 8, p: 5 };
const slowly = promisify(scrypt);
const derive = (password, salt) => slowly(password, salt, 32, cost);

async function hashed(password) {
  const salt = randomBytes(16);
  return { salt, hash: await derive(password, salt) };
}

/** Name to id and password. A real backend has a table, and limits how often somebody may guess. */
async function demoUsers() {
  return new Map([["carol", { id: "user-1", ...(await hashed("carol")) }]]);
}

/** Whose credentials these are. Takes as long for an unknown user as for a wrong password. */
async function authenticate(users, nobody, username, password) {
  const user = users.get(username) ?? nobody;
  const right = timingSafeEqual(await derive(password, user.salt), user.hash);
  return right && user !== nobody ? user : undefined;
}

const page = (says) => `<!doctype html>
<title>Sign in</title>
<p>${says}</p>
<form method="post" action="/sign-in">
  <input name="username" autocomplete="username" placeholder="carol">
  <input name="password" type="password" autocomplete="current-password" placeholder="carol">
  <button>Sign in</button>
</form>
<button id="who">Who am I?</button> <button id="out">Sign out</button>
<script>
  const ask = (path) => fetch(${JSON.stringify(edgeUrl.origin)} + path, {
    method: "POST", credentials: "include", headers: { "X-Symbolon-CSRF": "1" },
  });
  who.onclick = async () => alert(JSON.stringify((await (await ask("/auth/refresh")).json()).session ?? "nobody"));
  out.onclick = async () => alert((await ask("/auth/logout")).status === 204 ? "signed out" : "try again");
</script>`;

async function main() {
  const users = await demoUsers();
  const nobody = await hashed(randomUUID());
  const app = express();
  app.disable("x-powered-by");

  app.get("/", (_request, response) => response.send(page("Sign in as carol/carol.")));

  app.post("/sign-in", express.urlencoded({ extended: false, limit: "8kb" }), async (request, response) => {
    // A form of another site must not sign somebody in here as somebody else.
    if (request.get("origin") !== publicUrl.origin) {
      return response.status(403).send(page("Sign in on this page only."));
    }
    const { username, password } = request.body ?? {};
    const known = typeof username === "string" && typeof password === "string";
    const user = known && (await authenticate(users, nobody, username, password));
    if (!user) {
      return response.status(401).send(page("That is not right."));
    }
    const { tokens } = await issueTokens({
      subject: user.id,
      client_id: setting("SYMBOLON_CLIENT_ID", "web"),
      // So that a call whose answer was lost can be made again.
      request_id: randomUUID(),
      authentication: { amr: ["pwd"] },
      device: { user_agent: request.get("user-agent") ?? "", ip_address: request.ip },
    });
    // Only now, so that nothing is lost if the new session fails; whether it succeeds is the old session's business.
    const old = refreshTokenIn(edgeUrl, request.get("cookie"));
    if (old) await supersede(old).catch((error) => console.error("could not end the session before:", error.code));
    response.set("Cache-Control", "no-store");
    response.append("Set-Cookie", refreshCookie(edgeUrl, tokens.refresh_token, tokens.refresh_token_expire_time));
    response.redirect(303, "/");
  });

  // Says nothing of what happened: an error of gRPC may quote what was asked.
  app.use((error, _request, response, _next) => {
    console.error("could not sign in:", error.code ?? error.name);
    response.status(error.status ?? 503).send(page("Try again later."));
  });

  const listening = app.listen(Number(setting("PORT", "3000")), "localhost", (error) => {
    if (error) throw error;
    console.log(`sign in at http://localhost:${listening.address().port}/`);
  });
}

main();
