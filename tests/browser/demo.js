// The page of `symbolon dev`, at the edge's own address: every button is pressed, and what the page then says is held against
// what the service says of the session and of itself.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { TOOLS, until } from './stage.js'

const require = createRequire(join(TOOLS, 'package.json'))

/** What pages complain of; nothing may stand here at the end. */
let complaints = []

const POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

const open = async (context, url) => {
  const page = await context.newPage()
  // What the browser says of an answer that is an error is not the page's.
  page.on('console', (message) => message.type() === 'error' && !/Failed to load resource/.test(message.text()) && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  const answer = await page.goto(url)
  assert.equal(answer.status(), 200, 'the edge serves a page at /')
  assert.equal(answer.headers()['content-security-policy'], POLICY)
  return page
}

/** Signed in as somebody with a browser of their own. */
const signedIn = async (stage, username = 'alice') => {
  const { context } = await stage.profile()
  const page = await open(context, stage.edge.href)
  await page.getByLabel('User name').fill(username)
  await page.getByLabel('Password').fill(username)
  await page.getByLabel('Password').press('Enter')
  await page.getByText(`Signed in as ${username}`, { exact: true }).first().waitFor()
  return { context, page }
}

/** Presses a button and waits for its sentence, and until it may be pressed again. */
const press = async (page, name) => {
  const before = await page.locator('#story').textContent()
  const button = page.getByRole('button', { name, exact: true })
  await button.focus()
  await page.keyboard.press('Enter')
  const told = async () => !['…', before].includes(await page.locator('#story').textContent())
  await until(`a sentence after “${name}”`, async () => (await told()) && !(await page.locator('[data-scene][aria-disabled=true]').count()), 60_000)
  if (await button.isVisible()) assert.ok(await button.evaluate((it) => it === document.activeElement), 'who works by keyboard has lost the place')
  return page.locator('#story').textContent()
}

/** The number of the newest line on the page's time line, and the verdicts after a line, oldest first. */
const newest = async (page) => {
  await page.locator('#wire li').first().waitFor()
  return page.evaluate(() => document.querySelector('#wire li').value)
}
const verdicts = (page, after) =>
  page.evaluate((after) => [...document.querySelectorAll('#wire li')].filter((line) => line.value > after).map((line) => line.querySelector('.verdict').textContent).reverse(), after)
const NAMES = ['rotated', 'replayed', 'recovered', 'repeated', 'stale', 'reuse', 'refused']
const tally = (names) => Object.fromEntries(NAMES.map((name) => [name, names.filter((one) => one === name).length]))

/** The same as the service counts it. */
const counted = async () => {
  const text = await (await fetch(`http://${process.env.SYMBOLON_OPS}/metrics`)).text()
  const of = (name) => Number(text.match(new RegExp(`symbolon_refreshes_total\\{outcome="${name}"\\} (\\d+)`))?.[1] ?? 0)
  return Object.fromEntries(NAMES.map((name) => [name, of(name)]))
}
const minus = (one, other) => Object.fromEntries(NAMES.map((name) => [name, one[name] - other[name]]))

/** What ExplainSession answers over gRPC. */
const explained = (id) => {
  const grpc = require('@grpc/grpc-js')
  const { loadSync } = require('@grpc/proto-loader')
  const described = loadSync('symbolon/auth/v1/auth_service.proto', { includeDirs: ['proto'] })
  const { AuthService } = grpc.loadPackageDefinition(described).symbolon.auth.v1
  const client = new AuthService(process.env.SYMBOLON_GRPC, grpc.credentials.createInsecure())
  return new Promise((done, failed) =>
    client.ExplainSession({ session_id: id, sessionId: id }, (error, answer) => (client.close(), error ? failed(error) : done(answer))),
  )
}

/** What must be true of the page and of the service after these buttons. */
const played = async (stage, buttons, expected) => {
  const { context, page } = await signedIn(stage)
  const id = await page.locator('#session dd').last().textContent()
  const before = await counted()
  const earlier = await newest(page)
  const said = []
  for (const button of buttons) said.push(await press(page, button))
  const shown = tally(await verdicts(page, earlier))
  assert.deepEqual(shown, minus(await counted(), before), 'the page counts as the service does')
  for (const [name, times] of Object.entries(expected)) assert.equal(shown[name], times, `${name}: ${JSON.stringify(shown)}`)
  assert.ok(!(await page.content()).includes('sr1_'), 'a refresh token is on the page')
  return { context, page, said, id }
}

/** The session is over, and the page says why in the service's words. */
const over = async (page, id) => {
  await page.getByLabel('User name').waitFor()
  const { summary, decisions } = await explained(id)
  await until('the page says why', async () => (await page.locator('#summary').textContent()) === `The session ${summary}.`)
  assert.equal(await page.locator('#decisions li').count(), decisions.length)
  assert.ok(!(await page.content()).includes('eyJ'), 'an access token is left on the page')
  return summary
}

const page = {
  'sign in by keyboard, see both halves, sign out in a second tab': async (stage) => {
    const { context } = await stage.profile()
    const page = await open(context, stage.edge.href)
    await page.getByLabel('User name').fill('alice')
    await page.keyboard.press('Tab')
    await page.keyboard.type('wrong')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').getByText('do not belong together').waitFor()
    await page.getByLabel('Password').fill('alice')
    await page.keyboard.press('Enter')
    await page.getByText('Signed in as alice', { exact: true }).first().waitFor()
    const token = () => page.locator('#token').textContent()
    await until('the access token is shown', async () => (await token()).startsWith('eyJ'))
    assert.equal(await page.locator('#cookie').textContent(), '""')
    assert.match(await page.locator('#left').textContent(), /^\d+:\d\d$/)
    await page.getByText('This browser').waitFor()

    const before = await token()
    assert.match(await press(page, 'Refresh now'), /^Rotated: the browser sent cookie 1 by itself and got cookie 2/)
    await until('another access token', async () => (await token()) !== before)

    await page.getByRole('button', { name: 'Reload', exact: true }).press('Enter')
    await page.getByText('The cookie brought the session back').waitFor({ state: 'attached' })
    const second = await open(context, stage.edge.href)
    await second.getByRole('button', { name: 'Sign out', exact: true }).press('Enter')
    await second.getByText('the user signed out', { exact: false }).waitFor()
    await page.getByLabel('User name').waitFor()
    await page.getByText('Signed out', { exact: true }).first().waitFor()
    // The page does not wait for the edge to be told.
    await until('the cookie is gone', async () => (await context.cookies()).length === 0)
  },

  'fits a phone, and scrolls in one direction only': async (stage) => {
    const { context } = await stage.profile()
    const page = await open(context, stage.edge.href)
    await page.setViewportSize({ width: 360, height: 740 })
    const fits = async () => {
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
      assert.ok(content <= window, `${content} px on a screen of ${window}`)
    }
    await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor()
    await fits()
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await press(page, 'Open ten tabs')
    for (const closed of await page.locator('summary').all()) await closed.click()
    await fits()
    await page.evaluate(require('axe-core').source)
    const { violations } = await page.evaluate(() => axe.run())
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [])
  },

  'axe finds nothing, in both schemes, signed out and in': async (stage) => {
    const { page } = await signedIn(stage)
    await press(page, 'Replay an old one')
    await page.getByText('Why was I signed out?').waitFor()
    const { source } = require('axe-core')
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      for (const state of ['out', 'in']) {
        if (state === 'in') {
          await page.getByLabel('Password').press('Enter')
          await page.getByText('Signed in as alice', { exact: true }).first().waitFor()
          await page.getByText('This browser').waitFor()
        }
        // The page's policy forbids scripts of elsewhere: it is handed over by the debugger.
        await page.evaluate(source)
        const { violations } = await page.evaluate(() => axe.run())
        assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${colorScheme}, signed ${state}`)
        if (process.env.SYMBOLON_PICTURES && state === 'in') await page.screenshot({ path: `${process.env.SYMBOLON_PICTURES}/page-${colorScheme}.png`, clip: { x: 100, y: 0, width: 1080, height: 1680 }, fullPage: true })
        if (state === 'in') await page.getByRole('button', { name: 'Sign out everywhere', exact: true }).click()
        await page.getByLabel('User name').waitFor()
      }
    }
  },
}

const buttons = {
  'an access token that has run out costs one refresh, and so do twenty requests': async (stage) => {
    const { page, said } = await played(stage, ['Ask a service', 'Let the token expire', 'Ask a service', 'Skip three minutes', 'Twenty requests at once'], { rotated: 2 })
    assert.equal(said[0], 'The service checked the signature by itself and answered 200. Nobody asked the issuer.')
    assert.match(said[1], /^The access token has expired/)
    assert.equal(said[2], 'The service refused the old access token. The page asked the edge, got a new one, and asked the service again: 200.')
    assert.match(said[3], /three minutes further/)
    assert.equal(said[4], 'Twenty requests with an expired token: 20 were refused, 1 refresh went out for all of them, and 20 of 20 were answered well.')
    assert.match(await page.locator('#clock').textContent(), /ahead/)
  },

  'ten tabs are signed in': async (stage) => {
    const { said } = await played(stage, ['Open ten tabs'], { reuse: 0, stale: 0, refused: 0 })
    assert.match(said[0], /^Ten pages opened at once with one cookie: 10 are signed in, by [123] refresh(es)? \(rotated/)
  },

  'a forgotten token and `Bearer undefined` bring a new one': async (stage) => {
    const { said } = await played(stage, ['Forget the access token', 'Send “Bearer undefined”'], { rotated: 2 })
    assert.match(said[0], /^Without an access token the service says 401\..* a new token is here/)
    assert.match(said[1], /gets 401 from a service\..*only the cookie counts, and it says 200/)
  },

  'a lost answer is given again, at once and minutes later': async (stage) => {
    const { said } = await played(stage, ['Lose the next answer', 'Skip three minutes', 'Lose two, minutes apart'], { rotated: 2, replayed: 1, recovered: 1, repeated: 1 })
    assert.match(said[0], /byte for byte: replayed\./)
    assert.match(said[2], /: rotated, recovered, repeated\. Nobody had used/)
  },

  'an issuer that is stopped ends nothing': async (stage) => {
    const { page, said } = await played(stage, ['Stop the issuer for ten seconds'], { rotated: 2, refused: 0, reuse: 0 })
    assert.match(said[0], /A service said 200.*A refresh got 503.*asked again: rotated\./)
    assert.equal(await page.locator('#state').textContent(), 'Signed in as alice')
  },

  'an old cookie has no effect in the burst and ends the session after it': async (stage) => {
    const { page, said, id } = await played(stage, ['Replay an old one'], { rotated: 2, stale: 1, reuse: 1 })
    assert.match(said[0], /In the burst: stale, .*later: reuse\. Nobody honest/)
    assert.match(await over(page, id), /^ended at /)
  },

  'a thief who goes first gets three tokens': async (stage) => {
    const { page, said, id } = await played(stage, ['Go first with the current one'], { rotated: 3, recovered: 2, reuse: 1 })
    assert.match(said[0], /2 recoveries in a row.* The thief got 3 access tokens and is out/)
    await over(page, id)
  },

  'a thief who shadows gets two': async (stage) => {
    const { page, said, id } = await played(stage, ['Shadow you'], { rotated: 3, recovered: 2, reuse: 1 })
    assert.match(said[0], /The thief got 2 access tokens and is out/)
    await over(page, id)
  },

  'signing out everywhere says why, and a session can be ended from another browser': async (stage) => {
    const one = await signedIn(stage, 'bob')
    const other = await signedIn(stage, 'bob')
    await one.page.getByRole('button', { name: 'Look again' }).click()
    await until('both are listed', async () => (await one.page.locator('#sessions li').count()) >= 2)
    const id = await one.page.locator('#session dd').last().textContent()
    await other.page.getByRole('button', { name: /^End it/ }).first().click()
    await one.page.getByRole('button', { name: 'Refresh now' }).click()
    await over(one.page, id)
    const mine = await other.page.locator('#session dd').last().textContent()
    await other.page.getByRole('button', { name: 'Sign out everywhere' }).click()
    await over(other.page, mine)
    await other.page.getByLabel('Password').press('Enter')
    await other.page.getByRole('button', { name: /^Sign out here/ }).click()
    await other.page.getByText('the user ended it from another session', { exact: false }).or(other.page.getByText('the user signed out', { exact: false })).first().waitFor()
  },

  'somebody who never signed in is told of nobody': async (stage) => {
    const { context } = await stage.profile()
    const page = await open(context, stage.edge.href)
    await page.getByLabel('User name').waitFor()
    await page.waitForTimeout(1500)
    assert.ok(await page.locator('#why').isHidden())
  },

  'what only `dev` has is for its page alone': async (stage) => {
    const { context } = await stage.profile()
    const rebound = await context.request.get(new URL('/dev/state/0', stage.edge).href, { headers: { Host: 'evil.example' }, ignoreHTTPSErrors: true })
    assert.equal(rebound.status(), 403)
    for (const path of ['skip/1', 'lose/1', 'stop', 'thief/copy', 'thief/refresh/1']) {
      for (const headers of [{}, { 'X-Symbolon-CSRF': '1', Origin: 'http://evil.example' }]) {
        const answer = await context.request.post(new URL(`/dev/${path}`, stage.edge).href, { headers, ignoreHTTPSErrors: true })
        assert.equal(answer.status(), 403, path)
      }
    }
  },
}

// The buttons are told apart by what the service counts, so they are played where that can be asked.
const told = Object.entries({ ...page, ...(process.env.SYMBOLON_OPS ? buttons : {}) })
const uncomplaining = (play) => async (stage) => {
  complaints = []
  await play(stage)
  assert.deepEqual(complaints, [])
}
export const demo = Object.fromEntries(told.map(([name, play]) => [`the page of dev: ${name}`, uncomplaining(play)]))
