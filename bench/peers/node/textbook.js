// Refreshing as tutorials have it: a row a token, a transaction that locks it, and a family that ends when a spent token
// comes back.

import { createHash, randomBytes, randomUUID } from 'node:crypto';

export const tables = `CREATE TABLE IF NOT EXISTS refresh_tokens (id uuid PRIMARY KEY, family_id uuid NOT NULL,
  user_id text NOT NULL, token_hash bytea NOT NULL UNIQUE, used_at timestamptz, expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX IF NOT EXISTS refresh_tokens_family_id ON refresh_tokens (family_id)`;

const INSERT = `INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at)
  VALUES ($1, $2, $3, $4, now() + interval '30 days')`;
const SELECT = `SELECT id, family_id, user_id, used_at IS NOT NULL AS used, expires_at <= now() AS expired
  FROM refresh_tokens WHERE token_hash = $1 FOR UPDATE`;
const MARK = 'UPDATE refresh_tokens SET used_at = now() WHERE id = $1';
const END_FAMILY = 'DELETE FROM refresh_tokens WHERE family_id = $1';

const hash = (token) => createHash('sha256').update(token).digest();

async function insert(db, family, user) {
  const token = randomBytes(32).toString('base64url');
  await db.query({ name: 'insert', text: INSERT, values: [randomUUID(), family, user, hash(token)] });
  return { subject: user, token };
}

export function login(pool, user) {
  return insert(pool, randomUUID(), user);
}

export async function refresh(pool, presented) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query({ name: 'select', text: SELECT, values: [hash(presented)] });
    const [row] = rows;
    let refreshed;
    if (row?.used) {
      await client.query({ name: 'end_family', text: END_FAMILY, values: [row.family_id] });
    } else if (row && !row.expired) {
      await client.query({ name: 'mark', text: MARK, values: [row.id] });
      refreshed = await insert(client, row.family_id, row.user_id);
    }
    await client.query('COMMIT');
    return refreshed;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}
