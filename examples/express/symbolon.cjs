// AuthService over gRPC, read from the .proto files as they are: copy the folder proto/symbolon/auth.
"use strict";

const path = require("node:path");
const { promisify } = require("node:util");
const { Metadata, credentials, loadPackageDefinition } = require("@grpc/grpc-js");
const { loadSync } = require("@grpc/proto-loader");

const contract = loadSync("symbolon/auth/v1/auth_service.proto", {
  includeDirs: [process.env.SYMBOLON_PROTO ?? path.join(__dirname, "../../proto")],
  keepCase: true,
  longs: String,
  defaults: true,
});
const { AuthService } = loadPackageDefinition(contract).symbolon.auth.v1;

// https://host:port in production: the caller's secret must not cross a network in plaintext.
const url = new URL(process.env.SYMBOLON_URL ?? "http://localhost:50051");
const channel = url.protocol === "https:" ? credentials.createSsl() : credentials.createInsecure();
const client = new AuthService(url.host, channel);

/** Who is calling: `symbolon caller new` makes the secret. `symbolon dev` asks for none. */
function caller() {
  const metadata = new Metadata();
  if (process.env.SYMBOLON_CALLER_TOKEN) {
    metadata.set("authorization", `Bearer ${process.env.SYMBOLON_CALLER_TOKEN}`);
  }
  return metadata;
}

const issue = promisify(client.IssueTokens.bind(client));
const revoke = promisify(client.RevokeSession.bind(client));

/** Begins a session. */
const issueTokens = (request) => issue(request, caller(), { deadline: Date.now() + 5000 });

/** Ends the session that a new one took the place of, which waits for it no longer than so. */
const supersede = (refreshToken) =>
  revoke({ refresh_token: refreshToken, reason: "REVOKE_REASON_SUPERSEDED" }, caller(), { deadline: Date.now() + 2000 });

module.exports = { issueTokens, supersede };
