// An edge in memory, for working on the browser module and its scenarios without a server: the routes, codes and cookie
// of DESIGN section 9 and the refresh rule of section 5 in few lines. Its access tokens have the shape of a JWT and the
// signature of nobody. It has no faults to switch on: the stage's proxy makes those, for any edge.
//
//     node tests/browser/fake-edge.js [port]      TTL=2 (seconds)  ORIGINS=http://localhost:5173

import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'

const LEEWAY = 30_000
const BURST = 120_000
const RECOVERY_LIMIT = 2
const IDLE = 30 * 86_400
const PASSWORDS = { alice: 'alice', bob: 'bob' }

class Problem extends Error {
  constructor(status, code, more = {}) {
    super(code)
    this.status = status
    this.body = { title: code, status, code, detail: code.replaceAll('_', ' '), retryable: [409, 429, 503].includes(status), ...more }
  }
}

export const fakeEdge = ({ port = 0, ttl = 900, origins = [] } = {}) =>
  new Promise((listening) => {
    const sessions = new Map()
    const server = createServer(async (request, response) => {
      const chunks = []
      for await (const chunk of request) chunks.push(chunk)
      const { origin } = request.headers
      response.setHeader('Cache-Control', 'no-store')
      if (origins.includes(origin)) {
        response.setHeader('Access-Control-Allow-Origin', origin)
        response.setHeader('Access-Control-Allow-Credentials', 'true')
        response.setHeader('Vary', 'Origin')
      }
      try {
        await answer(request, response, Buffer.concat(chunks).toString())
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        response.writeHead(error.status, { 'Content-Type': 'application/problem+json' }).end(JSON.stringify(error.body))
      }
    })
    const name = () => `symbolon-${server.address().port}`

    const answer = async (request, response, text) => {
      const path = request.url.split('?')[0]
      if (request.method === 'OPTIONS') {
        response.setHeader('Access-Control-Allow-Methods', 'GET, POST, DELETE')
        response.setHeader('Access-Control-Allow-Headers', 'authorization, content-type, x-symbolon-csrf')
        return response.writeHead(204).end()
      }
      if (request.method !== 'GET') gate(request, text)
      const route = `${request.method} ${path}`
      if (route === 'POST /auth/login') return login(request, response, JSON.parse(text))
      if (route === 'POST /auth/refresh') return refresh(request, response)
      if (route === 'POST /auth/logout') {
        const token = cookie(request)
        if (token) sessions.get(token.id)?.end('session_revoked')
        return signedOut(response)
      }
      const own = bearer(request)
      if (route === 'GET /auth/sessions') {
        const live = [...sessions.values()].filter((session) => !session.ended && session.subject === own.subject)
        return json(response, 200, { sessions: live.map((session) => ({ session_id: session.id, client_id: 'web', current: session === own, create_time: time(session.created), expire_time: time(session.created + IDLE * 1000) })) })
      }
      if (route === 'POST /auth/logout-all') {
        for (const session of sessions.values()) if (session.subject === own.subject) session.end('session_revoked')
        return signedOut(response)
      }
      const [, id] = route.match(/^DELETE \/auth\/sessions\/([\w-]+)$/) ?? []
      if (!id) throw new Problem(404, 'not_found')
      if (sessions.get(id)?.subject === own.subject) sessions.get(id).end('session_revoked')
      return id === own.id ? signedOut(response) : response.writeHead(204).end()
    }

    const gate = ({ headers }, text) => {
      const site = headers['sec-fetch-site']
      const listed = origins.includes(headers.origin) || headers.origin === `http://localhost:${server.address().port}`
      if (site === 'cross-site' || site === 'none') throw new Problem(403, 'cross_site')
      if (site !== 'same-origin' && !listed) throw new Problem(403, 'origin_not_allowed')
      if (headers['x-symbolon-csrf'] !== '1') throw new Problem(403, 'csrf_header_missing')
      if (text && headers['content-type'] !== 'application/json') throw new Problem(415, 'bad_request')
    }

    const cookie = ({ headers }) => {
      const found = (headers.cookie ?? '').split(';').map((pair) => pair.trim()).filter((pair) => pair.startsWith(`${name()}=`))
      if (found.length > 1) throw new Problem(400, 'duplicate_cookie')
      const [, id, generation] = found[0]?.match(/=sr1_([\w-]+)\.(\d+)$/) ?? []
      return found.length ? { id, generation: Number(generation) } : null
    }

    const login = (request, response, { username, password }) => {
      if (!password || PASSWORDS[username] !== password) throw new Problem(401, 'credentials_rejected')
      const old = cookie(request)
      const session = { id: randomUUID(), subject: username, generation: 1, created: Date.now(), rotated: Date.now(), minted: Date.now(), recovered: 0, streak: 0, burst: 1, burstAt: Date.now(), ended: null }
      session.end = (code) => (session.ended ??= code)
      sessions.set(session.id, session)
      if (old) sessions.get(old.id)?.end('session_revoked')
      grant(response, session, 0)
    }

    const refresh = (request, response) => {
      const token = cookie(request)
      if (!token) throw new Problem(401, 'no_session')
      if (!token.id) throw new Problem(401, 'session_invalid')
      const session = sessions.get(token.id)
      if (!session) throw new Problem(401, 'session_expired')
      if (session.ended) throw new Problem(401, session.ended)
      redeem(session, token.generation, Date.now())
      grant(response, session, token.generation)
    }

    const redeem = (session, presented, now) => {
      const age = now - session.rotated
      if (presented === session.generation) {
        if (age >= BURST || now - session.burstAt >= 5 * BURST) {
          session.burst = age < BURST || session.recovered === session.generation ? session.generation - 1 : session.generation
          session.burstAt = now
        }
        session.generation++
        session.rotated = session.minted = now
      } else if (presented === session.generation - 1) {
        if (session.recovered === session.generation || age < LEEWAY) return
        const streak = session.recovered === session.generation - 1 ? session.streak + 1 : 1
        if (streak > RECOVERY_LIMIT) throw new Problem(401, session.end('session_reused'))
        Object.assign(session, { recovered: session.generation, streak, minted: now })
      } else if (presented >= session.burst && age < BURST && now - session.burstAt < 5 * BURST) {
        throw new Problem(409, 'refresh_stale')
      } else {
        throw new Problem(401, session.end('session_reused'))
      }
    }

    const grant = (response, session, presented) => {
      const { id, subject, generation, minted, created } = session
      const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const claims = { iss: 'http://localhost', sub: subject, aud: 'api', iat: Math.floor(minted / 1000), exp: Math.floor(minted / 1000) + ttl, sid: id, jti: `${id}/${generation}` }
      const left = claims.exp * 1000 - Date.now()
      if (presented !== generation) response.setHeader('Set-Cookie', `${name()}=sr1_${id}.${generation}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${IDLE}`)
      json(response, 200, {
        access_token: `${part({ alg: 'EdDSA', typ: 'at+jwt', kid: 'fake' })}.${part(claims)}.${Buffer.from(id).toString('base64url')}`,
        token_type: 'Bearer',
        expires_in: Math.floor(left / 1000),
        refresh_in: Math.max(0, Math.floor((left - ttl * 400) / 1000)),
        session: { session_id: id, subject, client_id: 'web', create_time: time(created), expire_time: time(created + IDLE * 1000), idle_expire_time: time(session.rotated + IDLE * 1000), auth_time: time(created) },
      })
    }

    const bearer = ({ headers }) => {
      try {
        const claims = JSON.parse(Buffer.from(headers.authorization.split(' ')[1].split('.')[1], 'base64url'))
        const session = sessions.get(claims.sid)
        if (claims.exp * 1000 > Date.now() && !session.ended) return session
      } catch {}
      throw new Problem(401, 'access_token_invalid')
    }

    const signedOut = (response) => response.writeHead(204, { 'Set-Cookie': `${name()}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0` }).end()
    const json = (response, status, body) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    const time = (ms) => new Date(ms).toISOString()

    server.listen(port, 'localhost', () => listening({ url: `http://localhost:${server.address().port}`, close: () => server.closeAllConnections() || server.close() }))
  })

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const edge = await fakeEdge({ port: Number(process.argv[2] ?? 8080), ttl: Number(process.env.TTL ?? 900), origins: (process.env.ORIGINS ?? '').split(',') })
  process.stdout.write(`${edge.url}\n`)
}
