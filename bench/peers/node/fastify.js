// Fastify, pg and jose in a cluster of two: POST /login and POST /refresh with JSON, by the one statement or, with
// --textbook, by the transaction that tutorials have.

import cluster from 'node:cluster';
import { randomUUID } from 'node:crypto';
import Fastify from 'fastify';
import { SignJWT, exportJWK, generateKeyPair, importJWK } from 'jose';
import pg from 'pg';

import * as oneStatement from './one-statement.js';
import * as textbook from './textbook.js';

const WORKERS = 2;
const TTL = 900;
const sessions = process.argv.includes('--textbook') ? textbook : oneStatement;

if (cluster.isPrimary) {
  const client = new pg.Client(process.env.DATABASE_URL);
  await client.connect();
  await client.query(sessions.tables);
  await client.end();
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const SIGNING_KEY = JSON.stringify(await exportJWK(privateKey));
  for (let worker = 0; worker < WORKERS; worker += 1) cluster.fork({ SIGNING_KEY });
  let listening = 0;
  cluster.on('listening', (_, { address, port }) => {
    listening += 1;
    if (listening === WORKERS) console.log(`listening on ${address}:${port}`);
  });
  cluster.on('exit', () => process.exit(1));
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.kill();
    process.exit(0);
  });
} else {
  await serve();
}

async function serve() {
  const key = await importJWK(JSON.parse(process.env.SIGNING_KEY), 'EdDSA');
  // Of the connections each worker has its share.
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.POOL ?? 32) / WORKERS });
  // A connection that breaks while nobody uses it is replaced: without a listener it would end the process.
  pool.on('error', (error) => console.error(error.message));
  const app = Fastify();

  const pair = async ({ subject, sid, token }) => ({
    access_token: await new SignJWT({ client_id: 'web', sid })
      .setProtectedHeader({ typ: 'at+jwt', alg: 'EdDSA' })
      .setIssuer('https://auth.example')
      .setSubject(subject)
      .setAudience('api')
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${TTL}s`)
      .sign(key),
    refresh_token: token,
    expires_in: TTL,
  });

  // With schemas Fastify checks what comes, and writes what goes without looking for its members.
  const text = { type: 'string' };
  const response = {
    200: { type: 'object', properties: { access_token: text, refresh_token: text, expires_in: { type: 'integer' } } },
    401: { type: 'object', properties: { error: text } },
  };
  const body = (member) => ({ type: 'object', required: [member], properties: { [member]: text } });

  app.post('/login', { schema: { body: body('subject'), response } }, async (request) =>
    pair(await sessions.login(pool, request.body.subject)),
  );
  app.post('/refresh', { schema: { body: body('refresh_token'), response } }, async (request, reply) => {
    const refreshed = await sessions.refresh(pool, request.body.refresh_token);
    if (!refreshed) return reply.code(401).send({ error: 'invalid_token' });
    return pair(refreshed);
  });

  await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) });
}
