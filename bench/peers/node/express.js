// Express, pg and jsonwebtoken with a shared secret, in one process and with the transaction, as most tutorials have it.

import { randomBytes, randomUUID } from 'node:crypto';
import express from 'express';
import jwt from 'jsonwebtoken';
import pg from 'pg';

import { login, refresh, tables } from './textbook.js';

const TTL = 900;
const secret = randomBytes(32);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.POOL ?? 10) });
// A connection that breaks while nobody uses it is replaced: without a listener it would end the process.
pool.on('error', (error) => console.error(error.message));
await pool.query(tables);

const pair = ({ subject, token }) => ({
  access_token: jwt.sign({ client_id: 'web' }, secret, {
    algorithm: 'HS256',
    header: { typ: 'at+jwt' },
    issuer: 'https://auth.example',
    subject,
    audience: 'api',
    jwtid: randomUUID(),
    expiresIn: TTL,
  }),
  refresh_token: token,
  expires_in: TTL,
});

const app = express();
app.use(express.json());

app.post('/login', async (request, response) => {
  response.json(pair(await login(pool, String(request.body.subject))));
});

app.post('/refresh', async (request, response) => {
  const refreshed = await refresh(pool, String(request.body.refresh_token));
  if (!refreshed) return response.status(401).json({ error: 'invalid_token' });
  return response.json(pair(refreshed));
});

const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening on 127.0.0.1:${server.address().port}`);
});
process.on('SIGTERM', () => process.exit(0));
