// Signing in, signing out, and the sign-out that has to wait for the edge.
import assert from 'node:assert/strict'
import test from 'node:test'
import { World, after, grant, lost, problem, silence } from './world.js'

const HINT = 'symbolon https://auth.example.com/auth signed in'
const down = problem(503, 'issuer_unavailable', { retryable: true })

test('login sends the credentials as they are and answers the session', async () => {
  const world = new World()
  const tab = await world.tab()
  const session = await world.go(0, tab.login({ username: 'alice', password: 'alice', remember: false }))
  assert.equal(session.subject, 'alice')
  assert.deepEqual(world.calls[0].json, { username: 'alice', password: 'alice', remember: false })
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('a refused login says the code, what more is required, and when to try again', async () => {
  const world = new World()
  const tab = await world.tab()
  world.answers['/login'] = [
    problem(401, 'credentials_rejected', { detail: 'Wrong user name or password.' }),
    problem(401, 'more_required', { details: { methods: ['otp'] } }),
    problem(429, 'locked', { retry_after: 30 }),
    problem(503, 'verifier_unavailable', { retryable: true }),
    lost,
    { status: 200, text: '<h1>hotel</h1>' },
  ]
  const refused = async () => world.go(0, tab.login({})).then(assert.fail, (error) => error)
  const rejected = await refused()
  assert.deepEqual([rejected.name, rejected.code, rejected.status, rejected.message], ['SymbolonError', 'credentials_rejected', 401, 'Wrong user name or password.'])
  const more = await refused()
  assert.deepEqual([more.code, more.problem.details], ['more_required', { methods: ['otp'] }])
  const locked = await refused()
  assert.deepEqual([locked.code, locked.retryAfter], ['locked', 30])
  assert.deepEqual([(await refused()).retryable, (await refused()).code, (await refused()).code], [true, 'network', 'unexpected_answer'])
  assert.equal(world.count('/login'), 6, 'a login is never repeated by itself')
  assert.equal(tab.getSnapshot().status, 'signed_out')
})

test('a refused login leaves the session that is there', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/login'] = [problem(401, 'credentials_rejected')]
  await world.go(0, tab.login({})).catch(() => {})
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-1')
})

test('logout drops the token at once, whatever the edge does', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/logout'] = [silence, silence, silence]
  const done = tab.logout()
  assert.equal(tab.getSnapshot().status, 'signed_out')
  assert.equal(await tab.getAccessToken(), null)
  assert.equal(await world.go(0, done), false)
  assert.deepEqual(tab.ended, ['signed_out'])
})

test('logout that reaches the edge says so, and the next page load asks nothing', async () => {
  const world = new World()
  const tab = await world.signedIn()
  assert.equal(await world.go(0, tab.logout()), true)
  await world.tab()
  await world.go(100_000)
  assert.deepEqual(world.paths(), ['/login', '/logout'])
  assert.deepEqual([...world.storage], [])
})

test('a sign-out during an outage is finished by itself when the edge is back', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/logout'] = Array(5).fill(down)
  assert.equal(await world.go(0, tab.logout()), false)
  await world.go(60_000)
  assert.deepEqual(world.paths(), ['/login', ...Array(6).fill('/logout')])
  assert.deepEqual([...world.storage], [])
  assert.equal(tab.getSnapshot().trouble, null)
})

test('a sign-out that was not finished survives the reload and comes before any refresh', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/logout'] = [down, lost, lost, lost]
  await world.go(0, tab.logout())
  tab.close()
  const reloaded = await world.tab({ restore: 'always' })
  assert.equal(reloaded.getSnapshot().status, 'signed_out')
  await world.go(20_000)
  assert.equal(world.count('/refresh'), 0)
  assert.equal(world.count('/logout'), 5)
  assert.equal(reloaded.getSnapshot().status, 'signed_out')
  const next = await world.tab()
  await world.go(100_000)
  assert.equal(next.getSnapshot().status, 'signed_out')
  assert.equal(world.count('/refresh'), 0)
})

test('an application that clears its storage at sign-out does not clear the wish', async () => {
  const world = new World()
  const tab = await world.tab({ restore: 'always', onSignedOut: () => world.storage.clear() })
  const clearing = tab.again({ onSignedOut: () => world.storage.clear() })
  await world.go(0, clearing.login({}))
  world.answers['/logout'] = [down]
  assert.equal(await world.go(0, clearing.logout()), false)
  assert.equal(await world.go(0, clearing.refresh()), null)
  await world.go(20_000)
  assert.equal(world.count('/logout'), 2)
  assert.equal(world.count('/refresh'), 1, 'the one of the page load')
  assert.equal(clearing.getSnapshot().trouble, null)

  await world.go(0, clearing.login({}))
  await world.go(60_000)
  assert.equal(clearing.getSnapshot().status, 'signed_in')
  assert.equal(await world.go(0, clearing.logout()), true)
  assert.equal(world.count('/logout'), 3)
})

test('a sign-out that another tab has finished is not told again', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  world.answers['/logout'] = [down]
  await world.go(0, a.logout())
  await world.go(0, b.refresh().catch(() => null))
  await world.go(100_000)
  assert.equal(world.count('/logout'), 2)
})

test('asking for a token does not go past a sign-out that waits', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/logout'] = [down, down]
  await world.go(0, tab.logout())
  assert.equal(await world.go(0, tab.getAccessToken()), null)
  assert.equal(await world.go(0, tab.refresh().catch(() => null)), null)
  assert.equal(tab.getSnapshot().status, 'signed_out')
  assert.equal(world.count('/refresh'), 0)
})

test('another tab finishes the sign-out of one that was closed', async () => {
  const world = new World()
  const a = await world.signedIn()
  await world.tab()
  world.answers['/logout'] = [down]
  await world.go(0, a.logout())
  a.close()
  await world.go(20_000)
  assert.equal(world.count('/logout'), 2)
  assert.deepEqual([...world.storage], [])
})

test('a sign-in after a sign-out that waits: first the old session is ended, and the new one stays', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/logout'] = [down]
  await world.go(0, tab.logout())
  await world.go(0, tab.login({}))
  assert.deepEqual(world.paths(), ['/login', '/logout', '/logout', '/login'])
  await world.go(60_000)
  assert.equal(tab.getSnapshot().status, 'signed_in')
  assert.equal(world.count('/logout'), 2)

  const unlucky = new World()
  const kept = await unlucky.signedIn()
  unlucky.answers['/logout'] = [down, down]
  await unlucky.go(0, kept.logout())
  await unlucky.go(0, kept.login({}))
  await unlucky.go(900_000)
  assert.equal(kept.getSnapshot().status, 'signed_in')
  assert.equal(unlucky.count('/logout'), 2, 'the edge has ended the old session with the sign-in')
})

test('signing out while signing in is signed out', async () => {
  const world = new World()
  const tab = await world.tab()
  world.answers['/login'] = [after(500, grant(1))]
  const login = tab.login({}).then(assert.fail, (error) => error.code)
  await world.go(100)
  const done = tab.logout()
  assert.equal(await world.go(0, login), 'signed_out')
  assert.equal(await world.go(0, done), true)
  assert.deepEqual(world.paths(), ['/login', '/logout'])
  assert.equal(tab.getSnapshot().status, 'signed_out')
})

test('a second sign-out is not taken for done because the first one is', async () => {
  const world = new World({ locks: false })
  const a = await world.signedIn()
  const b = await world.tab()
  world.answers['/logout'] = [after(3_000, { status: 204 }), ...Array(5).fill(down)]
  const first = a.logout()
  await world.go(100)
  await world.go(0, b.login({}))
  assert.equal(await world.go(0, b.logout()), false)
  await world.go(0, first)
  await world.go(90_000)
  assert.equal(world.paths().at(-1), '/logout')
  assert.equal(world.count('/logout'), 7)
  assert.deepEqual([...world.storage], [])
})

test('a sign-out goes out even if the page leaves at once', async () => {
  const world = new World()
  let keepalive
  const tab = await world.signedIn({
    fetch: (url, init) => {
      if (url.endsWith('/logout')) keepalive = init.keepalive
      return world.fetch(url, init)
    },
  })
  await world.go(0, tab.logout())
  assert.equal(keepalive, true)
})

test('logoutAll ends this session too, here and in the other tabs', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  const restored = world.minted
  await world.go(0, a.logoutAll())
  assert.equal(world.calls.at(-1).token, `Bearer token-${restored}`)
  assert.deepEqual([a.getSnapshot().status, b.getSnapshot().status], ['signed_out', 'signed_out'])
  assert.equal(world.storage.get(HINT), undefined)
})

test('what may delete the cookie waits for its turn', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  world.answers['/refresh'] = [after(300, grant('b'))]
  world.answers['/logout-all'] = [after(300, { status: 204 })]
  const refresh = b.refresh()
  await world.go(0, Promise.all([a.logoutAll(), refresh]))
  assert.equal(world.mostAtOnce, 1)
})

test('logoutAll that failed says so and signs nobody out', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/logout-all'] = [down]
  await assert.rejects(world.go(0, tab.logoutAll()), { code: 'issuer_unavailable', retryable: true })
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('sessions() lists them, with a new token if the old one is refused, once', async () => {
  const world = new World()
  const tab = await world.signedIn()
  const refused = problem(401, 'access_token_invalid')
  world.answers['/sessions'] = [refused]
  assert.deepEqual((await world.go(0, tab.sessions())).map((one) => one.session_id), ['session-1', 'session-2'])
  assert.deepEqual(world.paths(), ['/login', '/sessions', '/refresh', '/sessions'])
  world.answers['/sessions'] = [refused, refused]
  await assert.rejects(world.go(0, tab.sessions()), { code: 'access_token_invalid' })
  assert.equal(world.count('/refresh'), 2)
})

test("endSession ends another one, and one's own with everything that belongs to it", async () => {
  const world = new World()
  const tab = await world.signedIn()
  await world.go(0, tab.endSession('session-2'))
  assert.deepEqual([world.calls.at(-1).method, world.calls.at(-1).path], ['DELETE', '/sessions/session-2'])
  assert.equal(tab.getSnapshot().status, 'signed_in')
  await world.go(0, tab.endSession('session-1'))
  assert.equal(tab.getSnapshot().status, 'signed_out')
  await assert.rejects(world.go(0, tab.sessions()), { code: 'no_session' })
})
