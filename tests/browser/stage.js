// What a scenario plays on: a real Chromium, a page that uses the module, a resource service, another origin that
// should never see a token, and a proxy before the edge that loses, delays and refuses what a scenario wants. So any
// edge will do, the real one and the fake one.
//
//     browser ── page, module, /auth/* ──▶ proxy ── /auth/* ──▶ edge

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import * as http from 'node:http'
import * as https from 'node:https'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const TOOLS = process.env.SYMBOLON_TOOLS ?? join(ROOT, 'target/tools')
const MODULE = new URL('../../clients/web/symbolon.js', import.meta.url)
/** As long as something may take on a busy machine before a scenario gives up. */
const PATIENCE = 20_000

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

/** Waits until `condition` is true, and fails with `sentence`. */
export const until = async (sentence, condition, patience = PATIENCE) => {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(20)) if (await condition()) return
  throw new Error(`waited ${patience / 1000} s in vain: ${sentence}`)
}

/** Key and certificate of this side, if everything is played by https; the browser is told to believe any. */
let identity

/** Has every page, proxy and service of this side speak https, as the edge does. */
export const playByHttps = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'stage-'))
  const file = (name) => join(dir, name)
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost']
  await promisify(execFile)('openssl', [...made, '-addext', 'subjectAltName=DNS:localhost', '-keyout', file('key'), '-out', file('cert')])
  identity = { key: await readFile(file('key')), cert: await readFile(file('cert')) }
  await rm(dir, { recursive: true })
}

export const launch = async () => {
  const { chromium } = createRequire(join(TOOLS, 'package.json'))('playwright-core')
  const path = process.env.SYMBOLON_CHROMIUM ?? (await promisify(execFile)(join(ROOT, 'tests/tools/chromium'), [TOOLS])).stdout.trim()
  const trust = identity ? ['--ignore-certificate-errors'] : []
  return chromium.launch({ executablePath: path, args: ['--no-sandbox', '--disable-dev-shm-usage', ...trust] })
}

/** Listens on localhost; answers its base URL. */
const listen = (handler, port = 0) =>
  new Promise((listening, failed) => {
    const server = identity ? https.createServer(identity, handler) : http.createServer(handler)
    const scheme = identity ? 'https' : 'http'
    server.once('error', failed)
    server.listen(port, 'localhost', () => listening({ url: `${scheme}://localhost:${server.address().port}`, close: () => server.closeAllConnections() || server.close() }))
  })

const PAGE = `<!doctype html><meta charset="utf-8"><title>scenario</title><script type="module">
  import { createSession } from '/symbolon.js'
  const options = JSON.parse(new URLSearchParams(location.search).get('options'))
  window.ended = []
  const start = () => createSession({ ...options, onSignedOut: (reason) => window.ended.push(reason) })
  if (options.twice) start().close()
  window.session = start()
  window.settled = () => session.getSnapshot().status !== 'restoring'
</script>`

export class Stage {
  /** What reached the proxy: { path, status, body, setCookie } in order of arrival. */
  calls = []
  /** What is done to the next calls of a path: 'refuse' (503, the edge sees nothing), 'lose' (the edge did it, no answer),
   * 'cut' (the cookie arrives, the body breaks off), or a promise: 'hold' before the edge sees it, 'keep' before the browser sees the answer. */
  faults = []
  /** What the resource service got: { path, token, status }. */
  asked = []
  /** Tokens that the other origin saw. It must stay empty. */
  stolen = []
  /** Says what the resource service thinks of a token. */
  accepts = (token) => token !== null && JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).exp * 1000 > Date.now()
  contexts = []

  static async open(browser, edge) {
    const stage = new Stage()
    stage.browser = browser
    stage.edge = new URL(edge)
    stage.proxy = await listen((request, response) => stage.pass(request, response))
    stage.other = await listen((request, response) => {
      if (request.headers.authorization) stage.stolen.push(request.headers.authorization)
      cors(request, response).end('other')
    })
    stage.api = await listen((request, response) => stage.serve(request, response))
    return stage
  }

  async close() {
    for (const context of this.contexts) await context.close()
    for (const server of [this.proxy, this.other, this.api]) server.close()
  }

  /** A browser profile: one cookie jar, one localStorage. */
  async profile({ locks = true } = {}) {
    const context = await this.browser.newContext()
    this.contexts.push(context)
    if (!locks) await context.addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined }))
    const tab = (options) => this.tab(context, options)
    const cookies = () => context.cookies(this.proxy.url)
    return { context, tab, cookies }
  }

  async tab(context, { origin = this.proxy.url, ...options } = {}) {
    const page = await context.newPage()
    page.on('pageerror', (error) => {
      throw error
    })
    const given = { authUrl: `${this.proxy.url}/auth`, apiOrigins: [this.api.url], ...options }
    await page.goto(`${origin}/scenario?options=${encodeURIComponent(JSON.stringify(given))}`)
    await page.waitForFunction(() => window.session)
    const tab = {
      page,
      ready: async () => (await page.waitForFunction(() => window.settled?.(), null, { timeout: PATIENCE }), tab),
      reload: async () => (await page.reload(), await page.waitForFunction(() => window.session), tab),
      signIn: (username = 'alice', more = {}) => page.evaluate((credentials) => session.login(credentials), { username, password: username, ...more }),
      signOut: () => page.evaluate(() => session.logout()),
      refresh: () => page.evaluate(() => session.refresh()),
      token: () => page.evaluate(() => session.getAccessToken()),
      status: () => page.evaluate(() => session.getSnapshot().status),
      snapshot: () => page.evaluate(() => session.getSnapshot()),
      ended: () => page.evaluate(() => window.ended),
      /** Asks the resource service `times` times at once; the statuses. */
      ask: (url = `${this.api.url}/things`, times = 1) =>
        page.evaluate(([url, times]) => Promise.all(Array.from({ length: times }, () => session.fetch(url).then((answer) => answer.status, (error) => error.message))), [url, times]),
    }
    return tab
  }

  count(path) {
    return this.calls.filter((call) => call.path === path).length
  }

  fault(path, kind, times = 1) {
    for (let n = 0; n < times; n++) this.faults.push({ path, ...(typeof kind === 'string' ? { kind } : kind) })
  }

  // --- the proxy

  async pass(request, response) {
    // Chromium repeats a request by itself if a connection that was used before breaks: that would hide what is lost.
    response.setHeader('Connection', 'close')
    const path = request.url.split('?')[0]
    if (path === '/scenario') return response.writeHead(200, { 'Content-Type': 'text/html' }).end(PAGE)
    if (path === '/symbolon.js') return response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(await readFile(MODULE))
    if (!path.startsWith('/auth/')) return response.writeHead(404).end()
    const preflight = request.method === 'OPTIONS'
    const at = preflight ? -1 : this.faults.findIndex((fault) => fault.path === path)
    const [fault = {}] = at < 0 ? [] : this.faults.splice(at, 1)
    const call = { path, status: 0 }
    if (!preflight) this.calls.push(call)
    if (fault.kind === 'refuse') {
      call.status = 503
      return response.writeHead(503, { 'Content-Type': 'text/plain' }).end('upstream is down')
    }
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    await fault.hold
    const { hostname, port, protocol } = this.edge
    const { request: send } = protocol === 'https:' ? https : http
    const to = { hostname, port, path: request.url, method: request.method, headers: request.headers, rejectUnauthorized: false }
    const forwarded = send(to, async (answer) => {
      const body = []
      for await (const chunk of answer) body.push(chunk)
      Object.assign(call, { status: answer.statusCode, body: Buffer.concat(body).toString(), setCookie: answer.headers['set-cookie'] })
      await fault.keep
      if (fault.kind === 'lose') return response.destroy()
      response.writeHead(answer.statusCode, { ...answer.headers, connection: 'close' })
      if (fault.kind === 'cut') return response.write(call.body.slice(0, 20), () => response.destroy())
      response.end(call.body)
    })
    forwarded.on('error', (error) => (process.env.DEBUG && console.error(error), response.destroy()))
    forwarded.end(Buffer.concat(chunks))
  }

  // --- the resource service

  serve(request, response) {
    cors(request, response)
    if (request.method === 'OPTIONS') return response.writeHead(204).end()
    const path = request.url.split('?')[0]
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? null
    if (path === '/away') return response.writeHead(307, { Location: `${this.other.url}/` }).end()
    const status = this.accepts(token) ? 200 : 401
    this.asked.push({ path, token, status })
    response.writeHead(status).end()
  }
}

// As open as a service can be: what does not reach the other origin was held back by the module and the browser.
const cors = (request, response) => {
  response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*')
  response.setHeader('Access-Control-Allow-Headers', 'authorization, content-type')
  response.setHeader('Access-Control-Allow-Methods', '*')
  return response
}

/** The page on an origin of its own, for an edge on another host of the same site. */
export const pageElsewhere = (port) =>
  listen(async (request, response) => {
    const module = request.url === '/symbolon.js'
    response.writeHead(200, { 'Content-Type': module ? 'text/javascript' : 'text/html' }).end(module ? await readFile(MODULE) : PAGE)
  }, port)
