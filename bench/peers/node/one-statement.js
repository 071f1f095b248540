// Sessions, a row each: a refresh is one prepared statement, and the row that it does not find is the refusal.

import { createHash, randomBytes, randomUUID } from 'node:crypto';

const SESSION_TTL = 30 * 24 * 3600;

// Nothing that changes is in an index and half of each page is free, so PostgreSQL updates in place (HOT).
export const tables = `CREATE TABLE IF NOT EXISTS sessions (id uuid PRIMARY KEY, subject text NOT NULL,
  client_id text NOT NULL, token_hash bytea NOT NULL, expires_at bigint NOT NULL) WITH (fillfactor = 50)`;

const insert = 'INSERT INTO sessions (id, subject, client_id, token_hash, expires_at) VALUES ($1, $2, $3, $4, $5)';
const update = `UPDATE sessions SET token_hash = $1, expires_at = $2
  WHERE id = $3 AND token_hash = $4 AND expires_at > $5 RETURNING subject`;

const form = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.([\w-]{43})$/;
const hash = (secret) => createHash('sha256').update(secret).digest();
const now = () => Math.floor(Date.now() / 1000);

export async function login(pool, subject) {
  const sid = randomUUID();
  const secret = randomBytes(32).toString('base64url');
  const values = [sid, subject, 'web', hash(secret), now() + SESSION_TTL];
  await pool.query({ name: 'login', text: insert, values });
  return { subject, sid, token: `${sid}.${secret}` };
}

export async function refresh(pool, presented) {
  const [, sid, was] = form.exec(presented) ?? [];
  if (!sid) return undefined;
  const secret = randomBytes(32).toString('base64url');
  const at = now();
  const values = [hash(secret), at + SESSION_TTL, sid, hash(was), at];
  const { rows } = await pool.query({ name: 'refresh', text: update, values });
  return rows[0] && { subject: rows[0].subject, sid, token: `${sid}.${secret}` };
}
