// Many tabs, one cookie.
import assert from 'node:assert/strict'
import test from 'node:test'
import { World, after, grant, problem, silence } from './world.js'

const HINT = 'symbolon https://auth.example.com/auth signed in'
const returning = (options) => {
  const world = new World(options)
  world.storage.set(HINT, '1')
  return world
}

test('ten tabs that load at once make one refresh, and all are signed in', async () => {
  const world = returning()
  world.answers['/refresh'] = [after(100, grant(1))]
  world.channelDelay = 30
  const tabs = await Promise.all(Array.from({ length: 10 }, () => world.tab()))
  await world.go(1_000)
  for (const tab of tabs) assert.equal(await world.go(0, tab.getAccessToken()), 'token-1')
  assert.equal(world.count('/refresh'), 1)
})

test('ten tabs rotate once a quarter of an hour, not each', async () => {
  const world = new World()
  const tabs = [await world.signedIn()]
  for (let n = 1; n < 10; n++) tabs.push(await world.tab())
  const before = world.count('/refresh')
  world.usual = () => after(20, grant(++world.minted))
  let seed = 1
  world.dice = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  await world.go(10 * 900_000)
  const rotations = world.count('/refresh') - before
  assert.ok(rotations >= 10 && rotations <= 10 * (900 / 540) + 1, `${rotations} rotations`)
  const tokens = await world.go(0, Promise.all(tabs.map((tab) => tab.getAccessToken())))
  assert.equal(new Set(tokens).size, 1)
})

test('sign-in, sign-out and refresh of all tabs go one at a time', async () => {
  const world = returning()
  const slow = () => after(300, grant(++world.minted))
  world.answers = { '/refresh': Array(9).fill(slow), '/login': [slow], '/logout': [after(300, { status: 204 })] }
  const [a, b, c] = await Promise.all([world.tab(), world.tab(), world.tab()])
  const login = b.login({}).catch(() => {})
  const refreshes = [a.refresh(), c.refresh()].map((refresh) => refresh.catch(() => {}))
  await world.go(100)
  await world.go(0, Promise.all([login, ...refreshes, a.logout()]))
  assert.ok(world.calls.length >= 3)
  assert.equal(world.mostAtOnce, 1)
})

test('a stuck page that holds the lock is passed by after a while', async () => {
  const world = returning()
  const stuck = world.locks.request('stuck', {}, () => new Promise(() => {}))
  assert.ok(stuck)
  const tab = await world.tab()
  await world.go(15_000)
  assert.equal(world.count('/refresh'), 0)
  await world.go(10_000)
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('locks that are refused, as to a sandboxed page, are done without', async () => {
  const world = returning()
  world.locks.request = async () => {
    throw new DOMException('no', 'SecurityError')
  }
  assert.equal((await world.tab()).getSnapshot().status, 'signed_in')
})

test('without Web Locks a page still exchanges one cookie at a time', async () => {
  const world = returning({ locks: false })
  world.answers['/refresh'] = [after(300, grant(1))]
  const tab = await world.tab()
  await world.go(0, Promise.all([tab.login({}), tab.refresh(), tab.logout()]).catch(() => {}))
  assert.ok(world.calls.length >= 3)
  assert.equal(world.mostAtOnce, 1)
})

test('without channels each tab looks after itself', async () => {
  const world = returning({ channels: false })
  const tabs = [await world.tab(), await world.tab()]
  for (const tab of tabs) assert.equal(tab.getSnapshot().status, 'signed_in')
  assert.equal(world.count('/refresh'), 2)
})

test('signing out in one tab signs out the others at once, and tells them', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  world.answers['/logout'] = [silence]
  const done = a.logout()
  assert.equal(a.getSnapshot().status, 'signed_out')
  await world.go(0)
  assert.deepEqual([b.getSnapshot().status, b.ended], ['signed_out', ['signed_out']])
  assert.equal(await world.go(0, b.getAccessToken()), null)
  await world.go(0, done)
})

test('a session that has ended, on the word of the edge, has ended in all tabs', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  world.answers['/refresh'] = [problem(401, 'session_reused')]
  await world.go(0, a.refresh())
  assert.deepEqual([a.ended, b.ended], [['session_reused'], ['session_reused']])
})

test('a sign-in, also as somebody else, reaches the other tabs', async () => {
  const world = new World()
  const a = await world.tab()
  const b = await world.tab()
  await world.go(0, a.login({}))
  assert.equal(await world.go(0, b.getAccessToken()), 'token-1')
  world.answers['/login'] = [grant('bob', { session: { session_id: 'session-2', subject: 'bob' } })]
  await world.go(0, b.login({}))
  assert.equal(a.getSnapshot().session.subject, 'bob')
  assert.equal(await world.go(0, a.getAccessToken()), 'token-bob')
  assert.deepEqual(a.ended, [])
  assert.equal(world.count('/refresh'), 0)
})

test('a token that was asked for before a sign-out is nobody’s: not here, not in another tab', async () => {
  for (const signer of ['here', 'there']) {
    const world = new World()
    const a = await world.signedIn()
    const b = await world.tab()
    world.answers['/refresh'] = [after(500, grant('late'))]
    const late = a.refresh()
    await world.go(100)
    const done = (signer === 'here' ? a : b).logout()
    assert.equal(await world.go(0, late), null)
    assert.equal(await world.go(0, done), true)
    for (const tab of [a, b]) {
      assert.equal(tab.getSnapshot().status, 'signed_out')
      assert.equal(await world.go(0, tab.getAccessToken()), null)
    }
    assert.equal(world.paths().at(-1), '/logout')
  }
})

test('a refresh that waited while the user signed out finishes the sign-out and asks for no token', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  world.answers['/refresh'] = [after(2_000, grant('late'))]
  world.deaf = true
  const late = b.refresh().catch(() => {})
  const waiting = a.refresh()
  await world.go(100)
  assert.equal(await world.go(0, a.logout()), true)
  await world.go(5_000, Promise.all([late, waiting]))
  assert.deepEqual(world.paths().slice(-2), ['/refresh', '/logout'])
})

test('a message about a token that comes after the sign-out signs nobody in', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  await world.go(0, a.logout())
  const [channel] = [...world.channels]
  const own = new BroadcastChannel(channel.name)
  own.postMessage({ grant: grant('late').body, at: Date.now() })
  await world.go(0)
  assert.equal(b.getSnapshot().status, 'signed_out')
})

// A page passes a stuck lock by, so it may be overtaken; and an edge's answers may arrive in any order.
test('answers in the wrong order: what the edge says of an old session does not touch the new one', async () => {
  for (const answer of [problem(401, 'session_revoked'), grant('old')]) {
    const world = new World({ locks: false })
    const a = await world.signedIn()
    const b = await world.tab()
    world.answers['/refresh'] = [after(2_000, answer)]
    world.answers['/login'] = [after(100, grant('new', { session: { session_id: 'session-2', subject: 'bob' } }))]
    const late = a.refresh().catch(() => {})
    await world.go(10)
    await world.go(0, b.login({}))
    await world.go(0, late)
    for (const tab of [a, b]) {
      assert.equal(tab.getSnapshot().session?.subject, 'bob')
      assert.equal(await world.go(0, tab.getAccessToken()), 'token-new')
    }
    assert.equal(world.storage.get(HINT), '1')
  }
})

test('a refresh that passed a stuck lock by, and was overtaken by a sign-in, is nobody’s', async () => {
  const world = new World()
  const tab = await world.signedIn()
  let unstick
  world.locks.request('stuck', {}, () => new Promise((done) => (unstick = done)))
  world.answers['/refresh'] = [after(8_000, grant('old'))]
  world.answers['/login'] = [grant('new')]
  const late = tab.refresh()
  await world.go(21_000)
  assert.equal(world.count('/refresh'), 1)
  unstick()
  await world.go(0, tab.login({}))
  await world.go(0, late)
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-new')
})

test('without the lock a dead-session answer is asked for twice: a sign-in may have overtaken it unheard', async () => {
  const world = returning({ locks: false, channels: false })
  const tab = await world.tab()
  world.answers['/refresh'] = [problem(401, 'session_revoked')]
  await world.go(0, tab.refresh())
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('the end of another session is not the end of this one', async () => {
  const world = new World()
  const a = await world.signedIn()
  const own = new BroadcastChannel([...world.channels][0].name)
  own.postMessage({ out: 'session_revoked', id: 'session-0' })
  await world.go(0)
  assert.equal(a.getSnapshot().status, 'signed_in')
})

test('a page from the back-forward cache that missed the sign-out learns of it', async () => {
  const world = new World()
  const a = await world.signedIn()
  const b = await world.tab()
  world.deaf = true
  await world.go(0, b.logout())
  assert.equal(a.getSnapshot().status, 'signed_in')
  world.answers['/refresh'] = [silence, problem(401, 'no_session')]
  await world.event('pageshow')
  assert.equal(a.getSnapshot().status, 'restoring', 'it shows no account while it asks')
  await world.go(20_000)
  assert.deepEqual([a.getSnapshot().status, a.ended], ['signed_out', ['no_session']])
})

test('an application that clears the storage signs nobody out', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.storage.clear()
  await world.event('pageshow')
  await world.go(0)
  assert.equal(tab.getSnapshot().status, 'signed_in')
  assert.equal(world.storage.get(HINT), '1')
})

test('an older token from another tab does not replace a newer one', async () => {
  const world = new World()
  const tab = await world.signedIn()
  await world.go(0, tab.refresh())
  const own = new BroadcastChannel([...world.channels][0].name)
  own.postMessage({ grant: grant('old').body, at: Date.now() - 600_000 })
  await world.go(0)
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-2')
})
