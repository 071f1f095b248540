// The demo page at the edge's own address, as a person with a keyboard uses it.

import assert from 'node:assert/strict'
import { until } from './stage.js'

const open = async (context, url, complaints) => {
  const page = await context.newPage()
  page.on('console', (message) => /Content Security Policy/.test(message.text()) && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  const answer = await page.goto(url)
  assert.equal(answer.status(), 200, 'the edge serves a page at /')
  return page
}

export const demo = {
  'the demo page: sign in by keyboard, see both halves, sign out in a second tab': async (stage) => {
    const { context } = await stage.profile()
    const complaints = []
    const page = await open(context, stage.edge.href, complaints)
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
    await page.getByRole('button', { name: 'Refresh now' }).press('Enter')
    await until('another access token', async () => (await token()) !== before)
    assert.ok(!(await page.content()).includes('sr1_'))

    await page.reload()
    await page.getByText('The cookie brought the session back').waitFor()
    const second = await open(context, stage.edge.href, complaints)
    await second.getByRole('button', { name: 'Sign out', exact: true }).press('Enter')
    await page.getByLabel('User name').waitFor()
    await page.getByText('Signed out', { exact: true }).first().waitFor()
    // The page does not wait for the edge to be told.
    await until('the cookie is gone', async () => (await context.cookies()).length === 0)
    assert.deepEqual(complaints, [])
  },

  'the demo page fits a phone, and scrolls in one direction only': async (stage) => {
    const { context } = await stage.profile()
    const page = await open(context, stage.edge.href, [])
    await page.setViewportSize({ width: 360, height: 740 })
    for (const wait of ['Sign in', 'Refresh now']) {
      const button = page.getByRole('button', { name: wait, exact: true })
      await button.waitFor()
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
      assert.ok(content <= window, `${content} px on a screen of ${window}`)
      if (wait === 'Sign in') await button.click()
    }
  },
}
