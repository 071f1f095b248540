// When the module asks the edge for a token, how often, and what it believes of the answer.
import assert from 'node:assert/strict'
import test from 'node:test'
import { World, after, grant, lost, problem, silence } from './world.js'

const HINT = 'symbolon https://auth.example.com/auth signed in'
const returning = (options) => {
  const world = new World(options)
  world.storage.set(HINT, '1')
  return world
}

test('every call to the edge carries the CSRF header and the cookie, and is kept by no cache', async () => {
  const world = new World()
  const tab = await world.signedIn()
  await world.go(0, tab.refresh())
  await world.go(0, tab.sessions())
  await world.go(0, tab.logout())
  assert.deepEqual(world.paths(), ['/login', '/refresh', '/sessions', '/logout'])
  for (const call of world.calls) assert.deepEqual([call.csrf, call.credentials, call.cache], ['1', 'include', 'no-store'])
})

test('no storage ever holds a token', async () => {
  const world = new World()
  const tab = await world.signedIn()
  await world.go(3_600_000)
  assert.ok(world.minted > 3)
  assert.doesNotMatch(JSON.stringify([...world.storage]), /token-/)
  assert.doesNotMatch(JSON.stringify(tab.getSnapshot()), /token-/)
})

test('a page load restores the session if somebody signed in here', async () => {
  const world = returning()
  const tab = await world.tab()
  assert.equal(tab.getSnapshot().status, 'signed_in')
  assert.equal(tab.getSnapshot().session.subject, 'alice')
  assert.deepEqual(world.paths(), ['/refresh'])
})

test('a page load asks nothing if nobody did, unless it is told to always', async () => {
  const world = new World()
  const tab = await world.tab()
  assert.equal(tab.getSnapshot().status, 'signed_out')
  assert.deepEqual(world.calls, [])
  assert.deepEqual(tab.ended, [])
  const always = await world.tab({ restore: 'always' })
  assert.equal(always.getSnapshot().status, 'signed_in')
})

test('many who ask at once cause one refresh', async () => {
  const world = returning()
  world.answers['/refresh'] = [after(50, grant(7))]
  const tab = await world.tab()
  const tokens = await world.go(0, Promise.all(Array.from({ length: 10 }, () => tab.getAccessToken())))
  assert.deepEqual(new Set(tokens), new Set(['token-7']))
  assert.equal(world.count('/refresh'), 1)
})

for (const [dice, seconds] of [[0, 540], [0.9999, 809]]) {
  test(`with the dice at ${dice} the next refresh is after ${seconds} s: between refresh_in and 90 %`, async () => {
    const world = new World({ dice })
    await world.signedIn()
    await world.go((seconds - 1) * 1000)
    assert.equal(world.count('/refresh'), 0)
    await world.go(2_000)
    assert.equal(world.count('/refresh'), 1)
  })
}

test('refresh_in is the edge’s to say', async () => {
  const world = new World({ dice: 0 })
  world.answers['/login'] = [grant(1, { refresh_in: 100 })]
  await world.signedIn()
  await world.go(101_000)
  assert.equal(world.count('/refresh'), 1)
})

test('409 refresh_stale asks again, at most three times', async () => {
  const world = returning()
  const stale = problem(409, 'refresh_stale', { retryable: true })
  world.answers['/refresh'] = [stale, stale, stale]
  const tab = await world.tab()
  await world.go(1_000)
  assert.equal(tab.getSnapshot().status, 'signed_in')
  assert.equal(world.count('/refresh'), 4)
  for (let n = 1; n < 4; n++) assert.ok(world.calls[n].at - world.calls[n - 1].at >= 50, 'the newer cookie is given time to arrive')

  const unlucky = returning()
  unlucky.answers['/refresh'] = [stale, stale, stale, stale]
  const kept = await unlucky.tab()
  await unlucky.go(740)
  assert.equal(unlucky.count('/refresh'), 4)
  assert.deepEqual([kept.getSnapshot().status, kept.getSnapshot().trouble], ['restoring', 'refresh_stale'])
  await unlucky.go(2_000)
  assert.equal(kept.getSnapshot().status, 'signed_in')
})

test('a token that has run out on arrival is refreshed now, and not for ever', async () => {
  const world = returning()
  world.answers['/refresh'] = [grant(1, { expires_in: 0 }), grant(2, { expires_in: -90, refresh_in: -400 }), grant(3)]
  const tab = await world.tab()
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-3')
  assert.equal(world.clock.tick, 1_000)

  const broken = returning()
  broken.answers['/refresh'] = Array(4).fill(grant(1, { expires_in: 0 }))
  const kept = await broken.tab()
  assert.equal(broken.count('/refresh'), 4)
  assert.equal(kept.getSnapshot().status, 'restoring')
})

for (const [name, answer] of [['lost', lost], ['never given', silence], ['cut off', { ...grant(0), cut: true }]]) {
  test(`an answer that is ${name} is asked for again inside the leeway`, async () => {
    const world = returning()
    world.answers['/refresh'] = [answer]
    const tab = await world.tab()
    assert.equal(await world.go(0, tab.getAccessToken()), 'token-1')
    assert.equal(world.count('/refresh'), 2)
    assert.ok(world.calls[1].at - world.calls[0].at < 30_000 * 0.6, 'well inside')
    assert.ok(world.calls[1].at - world.calls[0].at >= 500, 'not in the same breath')
  })
}

for (const code of ['session_expired', 'session_revoked', 'session_reused', 'session_invalid', 'no_session']) {
  test(`401 ${code} signs out and says why`, async () => {
    const world = returning()
    const tab = await world.tab()
    world.answers['/refresh'] = [problem(401, code)]
    assert.equal(await world.go(0, tab.refresh()), null)
    assert.deepEqual([tab.getSnapshot().status, tab.getSnapshot().reason, tab.getSnapshot().session], ['signed_out', code, null])
    assert.deepEqual(tab.ended, [code])
    assert.equal(await world.go(0, tab.getAccessToken()), null)
    assert.equal((await world.tab()).getSnapshot().reason, null)
    assert.equal(world.count('/refresh'), 2, 'the next page load does not ask')
  })
}

for (const [name, answer] of Object.entries({
  '503 issuer_unavailable': problem(503, 'issuer_unavailable', { retryable: true }),
  'a lost network': lost,
  '429 rate_limited': problem(429, 'rate_limited', { retry_after: 7 }),
  "a proxy's 401": { status: 401, text: '<h1>Unauthorized</h1>' },
  "a proxy's 502": { status: 502, text: '<h1>Bad gateway</h1>' },
  "a hotel's 200": { status: 200, text: '<h1>Welcome</h1>' },
  'a code of a later version': problem(401, 'session_bewitched'),
  'a terminal code with another status': problem(403, 'session_revoked'),
  '403 cross_site': problem(403, 'cross_site'),
  'a 200 without a token': { status: 200, body: { expires_in: 900 } },
  'a 404': { status: 404 },
})) {
  test(`${name} ends no session, and it is tried again later`, async () => {
    const world = returning()
    const tab = await world.tab()
    world.answers['/refresh'] = [answer, answer, answer]
    await world.go(0, tab.refresh()).catch(() => {})
    assert.equal(tab.getSnapshot().status, 'signed_in')
    assert.ok(tab.getSnapshot().trouble)
    assert.deepEqual(tab.ended, [])
    await world.go(900_000)
    assert.equal(tab.getSnapshot().status, 'signed_in')
    assert.equal(tab.getSnapshot().trouble, null)
    assert.equal(world.storage.get(HINT), '1')
  })
}

test('the pauses grow to a minute while it fails', async () => {
  const world = returning({ dice: 0.9999 })
  world.answers['/refresh'] = Array(12).fill(problem(503, 'issuer_unavailable'))
  await world.tab()
  await world.go(400_000)
  const pauses = world.calls.slice(1).map((call, n) => Math.round((call.at - world.calls[n].at) / 1000))
  assert.deepEqual(pauses.slice(0, 10), [1, 2, 4, 8, 16, 32, 60, 60, 60, 60])
})

test('retry_after is obeyed, by callers and by a page that comes back too', async () => {
  const world = returning()
  world.answers['/refresh'] = [problem(429, 'rate_limited', { retry_after: 40 })]
  const tab = await world.tab()
  await world.go(20_000)
  await assert.rejects(world.go(0, tab.getAccessToken()), { code: 'rate_limited', retryAfter: 40 })
  await world.event('online')
  await world.event('visibilitychange')
  await world.go(19_000)
  assert.equal(world.count('/refresh'), 1)
  await world.go(6_000)
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('during an outage callers do not storm the edge, and are served soon after it', async () => {
  const world = returning()
  world.answers['/refresh'] = Array(8).fill(problem(503, 'issuer_unavailable'))
  const tab = await world.tab()
  let served
  for (let second = 0; second < 60 && !served; second++) served = await world.go(1_000, tab.getAccessToken()).catch(() => null)
  assert.ok(served)
  assert.ok(world.calls.at(-1).at - world.calls[0].at >= 20_000, 'eight failures are spread')
})

test('a failed refresh does not take away a token that is still good', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.answers['/refresh'] = Array(99).fill(problem(503, 'issuer_unavailable'))
  await world.go(893_000)
  const failed = world.count('/refresh')
  assert.ok(failed > 0)
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-1', 'asking on the way')
  tab.close()

  const again = new World()
  again.visibility = 'hidden'
  const kept = await again.signedIn()
  again.answers['/refresh'] = Array(99).fill(problem(503, 'issuer_unavailable'))
  await again.go(893_000)
  assert.equal(again.count('/refresh'), 0)
  assert.equal(await again.go(0, kept.getAccessToken()), 'token-1', 'asking just now')
  assert.equal(await again.go(0, kept.getAccessToken()), 'token-1', 'asking again, too soon for another refresh')
  assert.equal(again.count('/refresh'), 1)
})

for (const event of ['visibilitychange', 'pageshow', 'online']) {
  test(`after sleep, when timers are late, ${event} refreshes`, async () => {
    const world = new World()
    await world.signedIn()
    world.asleep(3_600_000)
    assert.equal(world.count('/refresh'), 0)
    await world.event(event)
    assert.equal(world.count('/refresh'), 1)
  })
}

test('the network coming back ends a pause', async () => {
  const world = returning()
  world.answers['/refresh'] = Array(8).fill(problem(503, 'issuer_unavailable'))
  const tab = await world.tab()
  await world.go(70_000)
  world.answers['/refresh'] = []
  assert.equal(tab.getSnapshot().status, 'restoring')
  await world.event('online')
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('a clock that is set back makes no token live longer', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.clock.now -= 86_400_000
  world.visibility = 'hidden'
  await world.go(901_000)
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-2')
})

test('a page nobody looks at does not refresh by itself, and does when asked or looked at', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.visibility = 'hidden'
  await world.event('visibilitychange')
  await world.go(7_200_000)
  assert.equal(world.count('/refresh'), 0)
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-2')
  await world.go(7_200_000)
  world.visibility = 'visible'
  await world.event('visibilitychange')
  assert.equal(world.count('/refresh'), 2)
})

test('refresh() finds a session that began by other means', async () => {
  const world = new World()
  const tab = await world.tab()
  assert.equal(tab.getSnapshot().status, 'signed_out')
  assert.equal(await world.go(0, tab.refresh()), 'token-1')
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('where storage is forbidden the page works, and forgets', async () => {
  const world = new World()
  world.storageForbidden = true
  const tab = await world.signedIn()
  await world.go(900_000)
  assert.equal(tab.getSnapshot().status, 'signed_in')
  world.answers['/logout'] = [problem(503, 'issuer_unavailable')]
  assert.equal(await world.go(0, tab.logout()), false)
  await world.go(2_000)
  assert.equal(world.count('/logout'), 2)
})
