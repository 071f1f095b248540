// Beginning, ending, and what a component framework sees.
import assert from 'node:assert/strict'
import test from 'node:test'
import { World, after, grant, problem } from './world.js'

const HINT = 'symbolon https://auth.example.com/auth signed in'
const returning = (options) => {
  const world = new World(options)
  world.storage.set(HINT, '1')
  return world
}

test('a double start, as in StrictMode, makes one refresh', async () => {
  const world = returning()
  world.answers['/refresh'] = [after(100, grant(1))]
  const first = await world.tab()
  first.close()
  const second = first.again()
  assert.equal(await world.go(0, second.getAccessToken()), 'token-1')
  assert.equal(world.count('/refresh'), 1)
})

test('two sessions on one page share one refresh and one snapshot', async () => {
  const world = returning()
  world.answers['/refresh'] = [after(100, grant(1))]
  const first = await world.tab()
  const second = first.again()
  const tokens = await world.go(0, Promise.all([first.getAccessToken(), second.getAccessToken()]))
  assert.deepEqual(tokens, ['token-1', 'token-1'])
  assert.equal(world.count('/refresh'), 1)
  assert.equal(first.getSnapshot(), second.getSnapshot())
  assert.equal(world.channels.size, 1)
  first.close()
  await world.go(700_000)
  assert.equal(world.count('/refresh'), 2, 'the other one goes on')
})

test('close() leaves no timer, no channel and no listener, and no token behind', async () => {
  const world = new World()
  const tab = await world.signedIn()
  assert.deepEqual([...world.listening].sort(), ['online', 'pageshow', 'visibilitychange'])
  tab.close()
  tab.close()
  assert.deepEqual([world.clock.timers.size, world.channels.size, world.listening.size], [0, 0, 0])
  world.asleep(3_600_000)
  for (const event of ['visibilitychange', 'pageshow', 'online']) await world.event(event)
  await world.go(3_600_000)
  assert.equal(world.count('/refresh'), 0)
  await assert.rejects(tab.getAccessToken(), { code: 'closed' })
})

test('a refresh that is answered after close() is kept by nobody', async () => {
  const world = returning()
  world.answers['/refresh'] = [after(100, grant(1)), grant(2)]
  const tab = await world.tab()
  tab.close()
  await world.go(1_000)
  assert.equal(world.clock.timers.size, 0)
  await assert.rejects(tab.getAccessToken(), { code: 'closed' })
  assert.equal(await world.go(0, tab.again().getAccessToken()), 'token-2')
})

test('the snapshot is the same object until something changes', async () => {
  const world = new World()
  const tab = await world.signedIn()
  let changes = 0
  const unsubscribe = tab.subscribe(() => changes++)
  const before = tab.getSnapshot()
  await world.go(2_000_000)
  assert.ok(world.count('/refresh') >= 2)
  assert.equal(tab.getSnapshot(), before)
  assert.equal(changes, 0)
  world.answers['/refresh'] = [problem(503, 'issuer_unavailable')]
  await world.go(0, tab.refresh()).catch(() => {})
  assert.equal(changes, 1)
  assert.equal(tab.getSnapshot().trouble, 'issuer_unavailable')
  assert.equal(before.trouble, null)
  unsubscribe()
  await world.go(0, tab.logout())
  assert.equal(changes, 1)
})

test('subscribers see restoring, then signed in', async () => {
  const world = returning()
  world.answers['/refresh'] = [after(100, grant(1))]
  const tab = await world.tab()
  const seen = [tab.getSnapshot().status]
  tab.subscribe(() => seen.push(tab.getSnapshot().status))
  await world.go(1_000)
  assert.deepEqual(seen, ['restoring', 'signed_in'])
  assert.deepEqual(tab.getServerSnapshot(), { status: 'restoring', session: null, reason: null, trouble: null })
  assert.equal(tab.getServerSnapshot(), tab.getServerSnapshot())
})

test('an application that throws when it is told stops nothing', async () => {
  const world = new World()
  const tab = await world.tab({ restore: 'always' })
  const throwing = tab.again({
    onSignedOut: () => {
      throw new Error('from the application')
    },
  })
  throwing.subscribe(() => {
    throw new Error('from the page')
  })
  const thrown = []
  const own = queueMicrotask
  globalThis.queueMicrotask = (task) => {
    try {
      task()
    } catch (error) {
      thrown.push(error.message)
    }
  }
  try {
    assert.equal(await world.go(0, throwing.logout()), true)
  } finally {
    globalThis.queueMicrotask = own
  }
  assert.deepEqual(thrown, ['from the page', 'from the application'])
  assert.deepEqual(tab.ended, ['signed_out'])
})

test('on a server nothing is asked, and nothing breaks', async () => {
  const world = new World({ document: false })
  const tab = await world.tab({ restore: 'always' })
  assert.equal(tab.getSnapshot().status, 'restoring')
  assert.equal(await tab.getAccessToken(), null)
  await world.go(10_000)
  assert.deepEqual(world.calls, [])
  tab.close()
})
