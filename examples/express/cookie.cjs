// The refresh cookie is a public contract of Symbolon's: a name, these attributes, no other. Not response.cookie(), which
// adds Expires and encodes the value.
"use strict";

/** @param edgeUrl what browsers call the edge */
const nameOf = (edgeUrl) =>
  edgeUrl.protocol === "https:" ? "__Host-Http-symbolon" : `symbolon-${edgeUrl.port || 80}`;

/**
 * @param expires the refresh token's expire time, as protobuf has it: {seconds, nanos}
 */
function refreshCookie(edgeUrl, token, expires, now = Date.now()) {
  const https = edgeUrl.protocol === "https:";
  const left = Math.floor(Number(expires.seconds) + expires.nanos / 1e9 - now / 1000);
  const secure = https ? " Secure;" : "";
  return `${nameOf(edgeUrl)}=${token}; Path=/; Max-Age=${Math.max(left, 1)}; HttpOnly;${secure} SameSite=Strict`;
}

/**
 * The refresh token a browser brought along, if any. Nothing if there are two: which is the edge's cannot be told.
 *
 * @param jar the Cookie header; Node joins several
 */
function refreshTokenIn(edgeUrl, jar = "") {
  const cookies = jar.split(";").filter((cookie) => cookie.includes("="));
  const halves = (cookie) => [cookie.slice(0, cookie.indexOf("=")), cookie.slice(cookie.indexOf("=") + 1)];
  const ours = cookies.map(halves).filter(([name]) => name.trim() === nameOf(edgeUrl));
  return ours.length === 1 ? ours[0][1].trim() : undefined;
}

module.exports = { refreshCookie, refreshTokenIn };
