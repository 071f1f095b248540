// R-EDGE-08 and R-EDGE-10 as a person would live them, each in a browser profile of its own.

import assert from 'node:assert/strict'
import { pageElsewhere, until } from './stage.js'

export const scenarios = {
  'sign in, reload: the session is restored': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab()
    assert.equal(await page.status(), 'signed_out')
    assert.equal(stage.calls.length, 0, 'a page that nobody signed in to asks nothing')
    assert.equal((await page.signIn()).subject, 'alice')
    const { session } = await page.snapshot()
    await (await page.reload()).ready()
    const restored = await page.snapshot()
    assert.equal(restored.status, 'signed_in')
    assert.equal(restored.session.session_id, session.session_id)
    assert.deepEqual(await page.ask(), [200])
  },

  'wrong credentials are refused, and nobody is signed in': async (stage) => {
    const { tab, cookies } = await stage.profile()
    const page = await tab()
    const code = await page.page.evaluate(() => session.login({ username: 'alice', password: 'wrong' }).then(() => 'none', (error) => error.code))
    assert.equal(code, 'credentials_rejected')
    assert.equal(await page.status(), 'signed_out')
    assert.deepEqual(await cookies(), [])
  },

  'the cookie is invisible to scripts, and no body and no storage has it': async (stage) => {
    const { tab, cookies } = await stage.profile()
    const page = await tab()
    await page.signIn()
    await page.refresh()
    const jar = await cookies()
    assert.equal(jar.length, 1, 'one cookie')
    const [{ name, value, httpOnly, sameSite, path, expires }] = jar
    assert.deepEqual([httpOnly, sameSite, path], [true, 'Strict', '/'])
    assert.match(value, /^sr1_/)
    assert.ok(expires > Date.now() / 1000 + 86_400, `${name} outlives the browser`)
    const seen = await page.page.evaluate(async () => ({
      cookie: document.cookie,
      storage: JSON.stringify([{ ...localStorage }, { ...sessionStorage }, await indexedDB.databases(), await caches.keys()]),
    }))
    assert.equal(seen.cookie, '')
    assert.doesNotMatch(seen.storage, /sr1_|eyJ/)
    for (const call of stage.calls) assert.ok(!call.body.includes('sr1_'), `${call.path} shows a refresh token`)
  },

  'tokens run out and the user notices nothing': Object.assign(
    async (stage) => {
      const { tab } = await stage.profile()
      const page = await tab()
      await page.signIn()
      const life = JSON.parse(stage.calls.find((call) => call.path === '/auth/login').body).expires_in
      assert.ok(life <= 10, `give SYMBOLON_EDGE_SHORT an edge whose access tokens live two seconds, not ${life}`)
      const tokens = new Set()
      await until('three tokens in a row', async () => {
        assert.deepEqual(await page.ask(), [200])
        assert.equal(await page.status(), 'signed_in')
        tokens.add(await page.token())
        return tokens.size >= 3
      }, life * 10_000)
      // A page that slept: its timers did not run, and what it holds has run out.
      await page.page.clock.install()
      await page.page.clock.fastForward(life * 2_000)
      assert.deepEqual(await page.ask(), [200])
      assert.equal(await page.status(), 'signed_in')
    },
    { life: 'short' },
  ),

  'ten tabs at once make one refresh, and all are signed in': async (stage) => {
    const { tab } = await stage.profile()
    const first = await tab()
    await first.signIn()
    await first.page.close()
    // All ten are there before the edge answers the first.
    let answer
    stage.fault('/auth/refresh', { keep: new Promise((now) => (answer = now)) })
    const tabs = await Promise.all(Array.from({ length: 10 }, () => tab()))
    answer()
    await Promise.all(tabs.map((one) => one.ready()))
    for (const one of tabs) assert.equal(await one.status(), 'signed_in')
    assert.equal(stage.count('/auth/refresh'), 1)
    assert.equal(new Set(await Promise.all(tabs.map((one) => one.token()))).size, 1)
    await Promise.all(tabs.map((one) => one.refresh()))
    for (const one of tabs) assert.equal(await one.status(), 'signed_in')
  },

  'ten tabs without Web Locks and channels: nobody is signed out': async (stage) => {
    const { tab, context } = await stage.profile({ locks: false })
    await context.addInitScript(() => delete window.BroadcastChannel)
    const first = await tab()
    await first.signIn()
    const tabs = await Promise.all(Array.from({ length: 10 }, () => tab()))
    for (let round = 0; round < 3; round++) {
      await Promise.all(tabs.map((one) => one.ready()))
      await Promise.all(tabs.map((one) => one.refresh()))
      for (const one of tabs) assert.equal(await one.status(), 'signed_in')
    }
  },

  'signing out in one tab reaches the others': async (stage) => {
    const { tab, cookies } = await stage.profile()
    const a = await tab()
    await a.signIn()
    const b = await (await tab()).ready()
    assert.equal(await b.status(), 'signed_in')
    assert.equal(await a.signOut(), true)
    await until('the other tab is signed out', async () => (await b.status()) === 'signed_out')
    assert.deepEqual(await b.ended(), ['signed_out'])
    assert.equal(await b.token(), null)
    assert.deepEqual(await cookies(), [])
    await b.reload()
    assert.equal(await b.status(), 'signed_out')
  },

  'a double start, as in StrictMode, makes one refresh': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab({ twice: true })
    await page.signIn()
    await (await page.reload()).ready()
    assert.equal(await page.status(), 'signed_in')
    assert.equal(stage.count('/auth/refresh'), 1)
  },

  'twenty parallel 401s make one refresh': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab()
    await page.signIn()
    const old = await page.token()
    stage.accepts = (token) => token !== null && token !== old
    assert.deepEqual(await page.ask(undefined, 20), Array(20).fill(200))
    assert.equal(stage.count('/auth/refresh'), 1)
    assert.ok(stage.asked.filter(({ status }) => status === 401).length >= 1)
  },

  'a second 401 stops': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab()
    await page.signIn()
    stage.accepts = () => false
    assert.deepEqual(await page.ask(), [401])
    assert.equal(stage.asked.length, 2)
    assert.equal(stage.count('/auth/refresh'), 1)
    for (let n = 0; n < 5; n++) assert.deepEqual(await page.ask(), [401])
    assert.equal(stage.count('/auth/refresh'), 1, 'a service that refuses every token causes no refresh a request')
    assert.equal(await page.status(), 'signed_in')
  },

  'a sign-out during an outage is finished before any later refresh': async (stage) => {
    const { tab, cookies } = await stage.profile()
    const page = await tab()
    await page.signIn()
    const [stolen] = await cookies()
    stage.fault('/auth/logout', 'refuse', 3)
    assert.equal(await page.signOut(), false)
    assert.equal(await page.status(), 'signed_out')
    assert.equal(await page.token(), null)
    assert.equal((await cookies()).length, 1, 'the cookie is still there')
    await page.reload()
    assert.equal(await page.status(), 'signed_out')
    const another = await tab({ restore: 'always' })
    assert.equal(await another.status(), 'signed_out')
    await until('the edge is told', async () => (await cookies()).length === 0)
    assert.equal(await another.status(), 'signed_out')
    assert.equal(stage.count('/auth/refresh'), 0)
    // Revoked: even a copy of the cookie is worth nothing.
    const elsewhere = await stage.profile()
    await elsewhere.context.addCookies([stolen])
    const thief = await (await elsewhere.tab({ restore: 'always' })).ready()
    assert.deepEqual([await thief.status(), (await thief.snapshot()).reason], ['signed_out', 'session_revoked'])
  },

  'the access token goes to apiOrigins only, and not where they redirect to': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab()
    await page.signIn()
    assert.deepEqual(await page.ask(), [200])
    assert.notEqual(stage.asked.at(-1).token, null)
    assert.deepEqual(await page.ask(`${stage.other.url}/`), [200])
    assert.match((await page.ask(`${stage.api.url}/away`))[0], /an access token never follows/)
    assert.deepEqual(stage.stolen, [])
    await page.signOut()
    assert.deepEqual(await page.ask(`${stage.api.url}/away`), [200], 'without a token a redirect is followed')
    assert.deepEqual(stage.stolen, [])
  },

  'answers in the wrong order: two refreshes, the loser last': async (stage) => {
    const { tab } = await stage.profile({ locks: false })
    const a = await tab()
    await a.signIn()
    const b = await (await tab()).ready()
    let late
    stage.fault('/auth/refresh', { keep: new Promise((now) => (late = now)) })
    const before = stage.count('/auth/refresh')
    const loser = a.refresh()
    await until('the edge has the first', () => stage.count('/auth/refresh') > before)
    await b.refresh()
    late()
    await loser
    for (const one of [a, b]) {
      assert.equal(await one.status(), 'signed_in')
      assert.ok(await one.refresh())
      assert.equal(await one.status(), 'signed_in')
    }
  },

  'answers in the wrong order: the old session is refused after the new one began': async (stage) => {
    const { tab, cookies } = await stage.profile({ locks: false })
    const a = await tab()
    await a.signIn()
    const b = await (await tab()).ready()
    let late
    stage.fault('/auth/refresh', { hold: new Promise((now) => (late = now)) })
    const before = stage.count('/auth/refresh')
    const old = a.refresh()
    await until('the old one is on its way', () => stage.count('/auth/refresh') > before)
    assert.equal((await b.signIn('bob')).subject, 'bob')
    late()
    await old
    assert.equal(stage.calls[stage.calls.findIndex((call) => call.path === '/auth/refresh' && call.status === 401)]?.setCookie, undefined)
    for (const one of [a, b]) {
      await until('bob is signed in', async () => (await one.snapshot()).session?.subject === 'bob')
      assert.ok(await one.token())
    }
    assert.equal((await cookies()).length, 1)
    await (await a.reload()).ready()
    assert.equal((await a.snapshot()).session.subject, 'bob')
  },

  'an answer is lost and the page comes back later: still signed in': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab()
    await page.signIn()
    stage.fault('/auth/refresh', 'lose', 20)
    await page.reload()
    await until('an answer was lost', () => stage.calls.some((call) => call.path === '/auth/refresh' && call.status === 200))
    assert.notEqual(await page.status(), 'signed_out')
    await page.page.close()
    stage.faults = []
    const later = await (await tab()).ready()
    assert.equal(await later.status(), 'signed_in')
    assert.ok(await later.refresh())
  },

  'a lost answer is asked for again, and its caller is served': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab()
    await page.signIn()
    for (const kind of ['lose', 'cut']) {
      const before = stage.count('/auth/refresh')
      stage.fault('/auth/refresh', kind)
      assert.ok(await page.refresh())
      assert.equal(stage.count('/auth/refresh') - before, 2)
      assert.equal(await page.status(), 'signed_in')
    }
  },

  'an outage ends no session': async (stage) => {
    const { tab } = await stage.profile()
    const page = await tab()
    await page.signIn()
    stage.fault('/auth/refresh', 'refuse', 2)
    await page.reload()
    await until('it is said what stands in the way', async () => (await page.snapshot()).trouble === 'http_503')
    assert.equal(await page.status(), 'restoring')
    await page.ready()
    assert.deepEqual([await page.status(), (await page.snapshot()).trouble], ['signed_in', null])
  },

  'sessions are listed and ended': async (stage) => {
    const one = await (await stage.profile()).tab()
    const two = await (await stage.profile()).tab()
    await one.signIn()
    await two.signIn()
    const sessions = (page) => page.page.evaluate(() => session.sessions())
    const own = (await one.snapshot()).session.session_id
    const other = (await two.snapshot()).session.session_id
    assert.deepEqual((await sessions(one)).filter(({ current }) => current).map(({ session_id }) => session_id), [own])
    await one.page.evaluate((id) => session.endSession(id), other)
    assert.ok(!(await sessions(one)).some(({ session_id }) => session_id === other))
    assert.equal(await two.refresh(), null)
    assert.deepEqual(await two.ended(), ['session_revoked'])
    await one.page.evaluate(() => session.logoutAll())
    assert.equal(await one.status(), 'signed_out')
    await one.reload()
    assert.equal(await one.status(), 'signed_out')
  },

  'a page on another host of the same site': async (stage, { pagePort }) => {
    const elsewhere = await pageElsewhere(pagePort)
    try {
      const { tab } = await stage.profile()
      const page = await tab({ origin: elsewhere.url })
      assert.equal((await page.signIn()).subject, 'alice')
      await (await page.reload()).ready()
      assert.equal(await page.status(), 'signed_in')
      assert.ok(await page.page.evaluate(() => session.sessions()))
      assert.equal(await page.signOut(), true)
    } finally {
      elsewhere.close()
    }
  },
}
