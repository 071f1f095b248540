// BFF mode behind a real gateway, as a person in a browser meets it: no page has a token, and a page load is enough to be
// known. SYMBOLON_BFF is where the gateway is; access tokens live a few seconds there.

import assert from 'node:assert/strict'
import { sleep, until } from './stage.js'

const shown = (page, name) => page.locator(`dt:text-is("${name}") + dd`).textContent()

const signIn = async (page, url) => {
  await page.goto(url)
  await page.getByLabel('User name').fill('alice')
  await page.getByLabel('Password').fill('alice')
  await page.getByLabel('Password').press('Enter')
  await page.getByRole('heading', { name: 'Behind the gateway' }).waitFor()
}

export const bff = {
  'a page load that is signed out goes to the sign-in and comes back': async (stage) => {
    const { context } = await stage.profile()
    const page = await context.newPage()
    await page.goto(`${stage.edge.origin}/orders?x=1`)
    assert.equal(new URL(page.url()).pathname, '/sign-in')
    await signIn(page, page.url())
    await until('it comes back', () => page.url() === `${stage.edge.origin}/orders?x=1`)
    assert.equal(await shown(page, 'x-symbolon-subject'), 'alice')
    assert.equal(await shown(page, 'authorization'), 'an access token')
    assert.equal(await shown(page, 'cookies'), '')
    assert.equal(await page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage })), '{}')
    assert.ok(!(await page.content()).match(/eyJ|sr1_/), 'a token is on the page')
  },

  'page loads after the token has run out go on, and its cookie is another': async (stage) => {
    const { context } = await stage.profile()
    const page = await context.newPage()
    await signIn(page, stage.edge.href)
    const before = (await context.cookies()).map(({ value }) => value)
    await sleep(4_000)
    await page.goto(stage.edge.href)
    assert.equal(await shown(page, 'x-symbolon-subject'), 'alice')
    const after = (await context.cookies()).map(({ value }) => value)
    assert.ok(after.length === 1 && after[0] !== before[0], `${before} ${after}`)
  },

  'a sign-out in one tab is one in all': async (stage) => {
    const { context } = await stage.profile()
    const [one, other] = [await context.newPage(), await context.newPage()]
    await signIn(one, stage.edge.href)
    await other.goto(stage.edge.href)
    assert.equal(await shown(other, 'x-symbolon-subject'), 'alice')
    await other.getByRole('button', { name: 'Sign out' }).click()
    await other.getByRole('heading', { name: 'Sign in' }).waitFor()
    await one.reload()
    await one.getByRole('heading', { name: 'Sign in' }).waitFor()
  },

  'a stolen cookie that is used in turn with its owner ends the session': async (stage) => {
    const owner = await stage.profile()
    const page = await owner.context.newPage()
    await signIn(page, stage.edge.href)
    const thief = await stage.profile()
    await thief.context.addCookies(await owner.context.cookies())
    const robber = await thief.context.newPage()
    let turns = 0
    for (let caught = false; !caught; turns++) {
      assert.ok(turns < 10, 'both go on for ever')
      // Later than a token lives and than a spent cookie is worth anything.
      await sleep(6_000)
      const one = [robber, page][turns % 2]
      await one.goto(stage.edge.href)
      caught = new URL(one.url()).pathname === '/sign-in'
    }
    await robber.goto(stage.edge.href)
    assert.equal(new URL(robber.url()).pathname, '/sign-in')
  },
}
