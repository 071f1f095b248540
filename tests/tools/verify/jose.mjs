// Verifies an access token with jose, as its documentation says.
// Reads {"jwks", "token", "issuer", "audience"} from stdin; prints the claims, or fails.

import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

// import does not look at NODE_PATH, require does.
const { createLocalJWKSet, jwtVerify } = createRequire(import.meta.url)("jose");

const { jwks, token, issuer, audience } = JSON.parse(await text(process.stdin));
const { payload } = await jwtVerify(token, createLocalJWKSet(jwks), {
  algorithms: ["EdDSA"],
  typ: "at+jwt",
  issuer,
  audience,
  requiredClaims: ["exp", "iat", "sub", "jti"],
});
console.log(JSON.stringify(payload));
