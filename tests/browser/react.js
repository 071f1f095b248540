// examples/react as a person would use it, behind Vite: R-EDGE-08 once more, in an application. Its pages ask the real
// edge and the real examples/resource.

import assert from 'node:assert/strict'
import { until } from './stage.js'

/** What Chromium itself writes of an answer that is no success; where a scenario causes one, it may. */
const FAILED = /^Failed to load resource: /

/** The application in a browser profile of its own: what it asked for, and what it complained of. */
const visit = async (stage, { failures = false } = {}) => {
  const { context, cookies } = await stage.profile()
  const complaints = []
  const complain = (text) => (failures && FAILED.test(text)) || complaints.push(text)
  context.on('console', (message) => ['error', 'warning'].includes(message.type()) && complain(message.text()))
  context.on('weberror', (error) => complain(String(error.error())))
  const asked = []
  const note = (request) => asked.push({ path: new URL(request.url()).pathname, token: request.headers().authorization })
  context.on('request', note)
  const answered = []
  context.on('response', (response) => answered.push({ path: new URL(response.url()).pathname, status: response.status() }))
  const count = (path) => asked.filter((request) => request.path === path).length
  const open = async (path = '/orders') => {
    const page = await context.newPage()
    await page.goto(new URL(path, stage.edge).href)
    return page
  }
  return { context, cookies, complaints, asked, answered, count, open }
}

const form = (page) => page.getByLabel('User name')
const signOut = (page) => page.getByRole('button', { name: 'Sign out' })
const orders = (page, subject = 'alice') => page.getByText(`${subject} has 0 orders.`)
const path = (page) => new URL(page.url()).pathname

const signIn = async (page, username = 'alice', password = username) => {
  await form(page).fill(username)
  await page.getByLabel('Password').fill(password)
  await page.keyboard.press('Enter')
}

/** Somebody who is signed in and sees the protected page. */
const signedIn = async (stage, options) => {
  const app = await visit(stage, options)
  const page = await app.open()
  await signIn(page)
  await orders(page).waitFor()
  return { ...app, page }
}

/** Has the service refuse the tokens that `refused` says, as it does after its key was compromised. */
const refuse = (context, refused) =>
  context.route('**/api/orders', (route) =>
    refused(route.request().headers().authorization) ? route.fulfill({ status: 401 }) : route.continue())

export const react = {
  'a protected page sends to sign-in, and sign-in back to it': async (stage) => {
    const { open, count, complaints } = await visit(stage, { failures: true })
    const page = await open('/orders?of=november')
    await form(page).waitFor()
    assert.equal(path(page), '/sign-in')
    assert.equal(count('/auth/refresh') + count('/api/orders'), 0, 'a page that nobody signed in to asks nothing')
    await signIn(page, 'alice', 'wrong')
    await page.getByRole('alert').getByText('do not belong together').waitFor()
    await signIn(page)
    await orders(page).waitFor()
    assert.ok(page.url().endsWith('/orders?of=november'))
    await page.goBack()
    assert.notEqual(path(page), '/sign-in', 'the form is no step back')
    assert.deepEqual(complaints, [])
  },

  'a reload restores, and until it has there is neither a form nor an account': async (stage) => {
    const { page, context, count, complaints } = await signedIn(stage)
    let answer
    const held = new Promise((now) => (answer = now))
    await context.route('**/auth/refresh', async (route) => {
      await held
      await route.continue()
    })
    await page.reload()
    for (const where of ['/orders', '/sign-in']) {
      await page.goto(new URL(where, page.url()).href)
      await page.getByText('One moment').waitFor()
      assert.equal(await form(page).count(), 0)
      assert.equal(await page.getByText('alice').count(), 0)
    }
    answer()
    await orders(page).waitFor()
    assert.equal(path(page), '/orders')
    assert.ok(count('/auth/refresh') > 0)
    assert.deepEqual(complaints, [])
  },

  'the cookie is invisible to scripts, and the access token is nowhere but in memory': async (stage) => {
    const { page, cookies, asked, complaints } = await signedIn(stage)
    const [{ name, value, httpOnly }, ...more] = await cookies()
    assert.deepEqual([httpOnly, more], [true, []])
    assert.match(name, /^symbolon-[0-9]+$/)
    assert.match(value, /^sr1_/)
    const seen = await page.evaluate(async () => JSON.stringify([
      document.cookie, { ...localStorage }, { ...sessionStorage }, history.state, await indexedDB.databases(), await caches.keys(),
      document.documentElement.outerHTML,
    ]))
    assert.doesNotMatch(seen, /sr1_|eyJ/)
    for (const { path, token } of asked) assert.equal(token !== undefined, path === '/api/orders', path)
    assert.deepEqual(complaints, [])
  },

  'tokens run out and the user notices nothing': Object.assign(
    async (stage) => {
      // A token that runs out on its way is refused, and asked for anew.
      const { page, asked, complaints } = await signedIn(stage, { failures: true })
      const tokens = () => new Set(asked.map(({ token }) => token).filter(Boolean)).size
      await until('four tokens in a row', async () => {
        await page.getByRole('button', { name: 'Ask again' }).click()
        assert.equal(path(page), '/orders')
        return tokens() >= 4
      })
      // A page that slept: its timers did not run, and what it holds has run out.
      const before = tokens()
      await page.clock.install()
      await page.clock.fastForward(3_600_000)
      await page.getByRole('button', { name: 'Ask again' }).click()
      await until('a new token', () => tokens() > before)
      await orders(page).waitFor()
      assert.deepEqual(complaints, [])
    },
    { life: 'short' },
  ),

  'ten tabs at once make one refresh, and all are signed in': async (stage) => {
    const { page, context, open, count, complaints } = await signedIn(stage)
    await page.close()
    let answer
    const held = new Promise((now) => (answer = now))
    await context.route('**/auth/refresh', async (route) => {
      await held
      await route.continue()
    })
    const tabs = await Promise.all(Array.from({ length: 10 }, () => open()))
    await Promise.all(tabs.map((tab) => tab.getByText('One moment').waitFor()))
    answer()
    await Promise.all(tabs.map((tab) => orders(tab).waitFor()))
    assert.equal(count('/auth/refresh'), 1)
    assert.deepEqual(complaints, [])
  },

  'signing in and out in one tab reaches the others': async (stage) => {
    const { open, cookies, complaints } = await visit(stage)
    const [a, b] = [await open(), await open()]
    await form(b).waitFor()
    await signIn(a)
    await Promise.all([a, b].map((tab) => orders(tab).waitFor()))
    await signOut(b).click()
    await Promise.all([a, b].map((tab) => form(tab).waitFor()))
    for (const tab of [a, b]) {
      assert.deepEqual([path(tab), await tab.getByText('alice').count()], ['/sign-in', 0])
    }
    await until('the cookie is gone', async () => (await cookies()).length === 0)
    await a.reload()
    await form(a).waitFor()
    assert.deepEqual(complaints, [])
  },

  'what was shown to one person does not stay for the next': async (stage) => {
    const { page, open, complaints } = await signedIn(stage)
    const other = await open('/')
    await other.getByText('Hello, alice').waitFor()
    // As the module signs in, in a tab whose application has a form for people who are signed in.
    await other.evaluate(async () => {
      const headers = { 'X-Symbolon-CSRF': '1', 'Content-Type': 'application/json' }
      const body = JSON.stringify({ username: 'bob', password: 'bob' })
      const answer = await fetch('/auth/login', { method: 'POST', headers, body })
      new BroadcastChannel(`symbolon ${location.origin}/auth`).postMessage({ grant: await answer.json(), at: Date.now(), login: true })
    })
    await orders(page, 'bob').waitFor()
    assert.equal(await page.getByText('alice').count(), 0)
    assert.deepEqual(complaints, [])
  },

  'a double start, as of StrictMode, makes one refresh': async (stage) => {
    const { page, count, complaints } = await signedIn(stage)
    await page.reload()
    await orders(page).waitFor()
    assert.equal(count('/auth/refresh'), 1)
    assert.deepEqual(complaints, [])
  },

  'twenty parallel 401s make one refresh': async (stage) => {
    const { page, context, asked, answered, count, complaints } = await signedIn(stage, { failures: true })
    const old = asked.find(({ token }) => token).token
    await refuse(context, (token) => token === old)
    const from = answered.length
    await page.evaluate(() => {
      const button = [...document.querySelectorAll('button')].find(({ textContent }) => textContent === 'Ask again')
      for (let n = 0; n < 20; n++) button.click()
    })
    const told = (status) => answered.slice(from).filter((answer) => answer.path === '/api/orders' && answer.status === status).length
    await until('twenty answers', () => told(200) === 20)
    assert.equal(told(401), 20)
    assert.equal(count('/auth/refresh'), 1)
    await orders(page).waitFor()
    assert.deepEqual(complaints, [])
  },

  'a second 401 stops, and is no sign-out': async (stage) => {
    const { page, context, count, complaints } = await signedIn(stage, { failures: true })
    await refuse(context, () => true)
    const before = count('/api/orders')
    const ask = page.getByRole('button', { name: 'Ask again' })
    await ask.click()
    await page.getByText('The service answers 401.').waitFor()
    assert.deepEqual([count('/api/orders') - before, count('/auth/refresh')], [2, 1])
    for (let n = 0; n < 5; n++) await ask.click()
    await until('five more', () => count('/api/orders') - before === 7)
    assert.equal(count('/auth/refresh'), 1, 'a service that refuses every token causes no refresh a request')
    await signOut(page).waitFor()
    assert.deepEqual(complaints, [])
  },

  'an outage ends no session and shows no form': async (stage) => {
    const { page, context, complaints } = await signedIn(stage, { failures: true })
    await context.route('**/auth/refresh', (route) => route.fulfill({ status: 502, body: 'nobody is there' }))
    await page.reload()
    await page.getByText('The connection is disturbed').waitFor()
    await page.getByText('One moment').waitFor()
    assert.equal(await form(page).count(), 0)
    await context.unroute('**/auth/refresh')
    await orders(page).waitFor()
    assert.equal(await page.getByText('The connection is disturbed').count(), 0)
    assert.deepEqual(complaints, [])
  },
}
