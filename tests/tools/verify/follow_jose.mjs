// Verifies access tokens with jose against a key set it fetches and caches, one a line.
// Arguments: the key set's URL, the issuer, the audience, how many seconds the key set is kept. Says "ok" to each token, or
// why not.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";

// import does not look at NODE_PATH, require does.
const { createRemoteJWKSet, jwtVerify } = createRequire(import.meta.url)("jose");

const [url, issuer, audience, kept] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(url), { cacheMaxAge: kept * 1000, cooldownDuration: kept * 1000 });
for await (const token of createInterface({ input: process.stdin })) {
  try {
    await jwtVerify(token, keys, { algorithms: ["EdDSA"], typ: "at+jwt", issuer, audience });
    console.log("ok");
  } catch (error) {
    console.log(String(error));
  }
}
