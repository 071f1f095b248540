// The refresh cookie is a public contract of Symbolon's: a name, these attributes, no other. Not response.cookie(), which
// adds Expires and encodes the value.
"use strict";

/**
 * @param edgeUrl what browsers call the edge
 * @param expires the refresh token's expire time, as protobuf has it: {seconds, nanos}
 */
function refreshCookie(edgeUrl, token, expires, now = Date.now()) {
  const https = edgeUrl.protocol === "https:";
  const name = https ? "__Host-Http-symbolon" : `symbolon-${edgeUrl.port || 80}`;
  const left = Math.floor(Number(expires.seconds) + expires.nanos / 1e9 - now / 1000);
  const secure = https ? " Secure;" : "";
  return `${name}=${token}; Path=/; Max-Age=${Math.max(left, 1)}; HttpOnly;${secure} SameSite=Strict`;
}

module.exports = { refreshCookie };
