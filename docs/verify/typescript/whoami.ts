// A service that verifies Symbolon's access tokens itself and follows revocations: one Ed25519 verification a request,
// and no call. What it checks and why is in ../README.md.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose";
import { Revocations } from "./revocations.js";

function env(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`); // without an issuer or an audience jose would not check them
  return value;
}

const issuer = env("ISSUER");
const audience = env("AUDIENCE");
const revocations = new Revocations(env("SYMBOLON_URL"), process.env.SYMBOLON_CALLER_TOKEN);

// What cannot be told now is not the user's fault: 503, never 401, which would sign people out.
class Undecided extends Error {}

// Kept while the issuer is away: jose would forget them after cacheMaxAge and fail. A new key is published a day before it
// signs; a kid that is not known is looked for at most every 5 s, so that forged ones do not become calls.
const published = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), {
  cacheMaxAge: Infinity,
  cooldownDuration: 5_000,
});
setInterval(() => published.reload().catch((cause) => console.error("the keys were not fetched:", cause)), 300_000);

const key: JWTVerifyGetKey = async (header, token) => {
  // A token that names no key would get past the keys that were revoked.
  if (!header.kid || revocations.has(header.kid)) throw new errors.JWKSNoMatchingKey();
  return published(header, token).catch((cause) => {
    throw cause instanceof errors.JWKSNoMatchingKey ? cause : new Undecided("the issuer's keys are not known", { cause });
  });
};

/** The claims of a good token. Throws a JOSEError if it is not, Undecided if that cannot be told now. */
async function verify(token: string): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, key, {
    algorithms: ["EdDSA"],
    typ: "at+jwt",
    issuer,
    audience,
    requiredClaims: ["exp", "sub", "sid"],
    clockTolerance: 5, // for clocks that differ
  });
  if (revocations.has(payload.sid as string)) throw new errors.JWTInvalid("revoked");
  if (!revocations.upToDate()) throw new Undecided("the issuer's revocations are not known");
  return payload;
}

type Handler = (claims: JWTPayload, request: IncomingMessage, response: ServerResponse) => void;

function answer(response: ServerResponse, status: number, headers: Record<string, string>, body: string): void {
  response.statusCode = status;
  response.setHeaders(new Headers(headers)).end(body);
}

/** Lets through whom a good token with this scope names; "" asks for none. */
function guard(scope: string, next: Handler) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, token = ""] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "") ?? [];
    let claims: JWTPayload;
    try {
      claims = await verify(token);
    } catch (error) {
      if (error instanceof errors.JOSEError) {
        return answer(response, 401, { "www-authenticate": "Bearer" }, "a good access token is needed\n");
      }
      console.error(error);
      return answer(response, 503, { "retry-after": "1" }, "it cannot be told now whether this token is good\n");
    }
    if (scope && !String(claims.scope ?? "").split(" ").includes(scope)) {
      const challenge = `Bearer error="insufficient_scope", scope="${scope}"`;
      return answer(response, 403, { "www-authenticate": challenge }, "the token does not allow this\n");
    }
    next(claims, request, response);
  };
}

const whoami: Handler = (claims, _request, response) => {
  answer(response, 200, { "content-type": "application/json" }, JSON.stringify(claims));
};
const routes: Record<string, ReturnType<typeof guard>> = {
  "GET /whoami": guard("", whoami),
  "GET /orders": guard("orders:read", whoami),
};

const server = createServer((request, response) => {
  const route = routes[`${request.method} ${request.url}`];
  route ? void route(request, response) : answer(response, 404, {}, "there is nothing here\n");
});
server.listen(Number(env("PORT")), "localhost", () => {
  console.log(`listening on localhost:${(server.address() as AddressInfo).port}`);
});
