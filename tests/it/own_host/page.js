// The application of app.example.localhost, a page that uses the browser module, and a person in a real Chromium.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { launch } from '../../browser/stage.js'

const port = process.env.HOSTS_PORT
const PAGE = `<!doctype html><script type="module">
  import { createSession } from '/symbolon.js'
  window.session = createSession({ authUrl: 'http://auth.example.localhost:${port}/auth', apiOrigins: [] })
</script>`
const MODULE = await readFile(new URL('../../../clients/web/symbolon.js', import.meta.url))

/** What the application was shown. */
const jars = []
const application = createServer((request, response) => {
  jars.push(request.headers.cookie ?? '')
  const module = request.url === '/symbolon.js'
  response.writeHead(200, { 'Content-Type': module ? 'text/javascript' : 'text/html' }).end(module ? MODULE : PAGE)
})
await new Promise((listening) => application.listen(Number(process.env.APPLICATION_PORT), '127.0.0.1', listening))

const browser = await launch()
try {
  const context = await browser.newContext()
  const open = async (host) => {
    const page = await context.newPage()
    await page.goto(`http://${host}.example.localhost:${port}/`)
    await page.waitForFunction(() => window.session && session.getSnapshot().status !== 'restoring')
    return page
  }
  const page = await open('app')
  await page.evaluate(() => { document.cookie = 'theme=dark' })
  const who = await page.evaluate(() => session.login({ username: 'alice', password: 'alice' }))
  assert.equal(who.subject, 'alice')
  await page.reload()
  await page.waitForFunction(() => window.session?.getSnapshot().status === 'signed_in')
  await page.evaluate(() => session.refresh())

  const [cookie] = (await context.cookies()).filter(({ name }) => name === `symbolon-${port}`)
  assert.deepEqual([cookie.domain, cookie.httpOnly, cookie.sameSite], ['auth.example.localhost', true, 'Strict'])
  assert.ok(jars.includes('theme=dark'), 'the application has its own cookies')
  assert.ok(!jars.join().includes('sr1_'), 'the application saw the refresh cookie')

  assert.equal(await page.evaluate(() => session.logout()), true)
  assert.ok(!(await context.cookies()).some(({ name }) => name === `symbolon-${port}`))
  console.log('signed in across two hosts')
} finally {
  await browser.close()
  application.closeAllConnections()
  application.close()
}
