// Verifies an access token with fast-jwt, as its documentation says.
// Reads {"jwks", "token", "issuer", "audience"} from stdin; prints the claims, or fails.

const { createPublicKey } = require("node:crypto");
const { text } = require("node:stream/consumers");
const { createDecoder, createVerifier } = require("fast-jwt");

text(process.stdin).then((asked) => {
  const { jwks, token, issuer, audience } = JSON.parse(asked);
  const { kid } = createDecoder({ complete: true })(token).header;
  const jwk = jwks.keys.find((key) => key.kid === kid);
  const key = createPublicKey({ key: jwk, format: "jwk" }).export({ format: "pem", type: "spki" });
  const verify = createVerifier({
    key,
    algorithms: ["EdDSA"],
    checkTyp: "at+jwt",
    allowedIss: issuer,
    allowedAud: audience,
    requiredClaims: ["exp", "iat", "iss", "aud", "sub", "jti"],
  });
  console.log(JSON.stringify(verify(token)));
});
