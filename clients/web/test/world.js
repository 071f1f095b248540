// The browser that the unit tests run in: a clock that stands until it is told to go, tabs (each its own copy of the
// module), Web Locks, channels, a localStorage, and an edge that answers what a test says. Nothing here is awaited by
// sleeping: `go()` moves the clock from timer to timer and lets every promise settle in between.

const AUTH = 'https://auth.example.com/auth'
const API = 'https://api.example.com'
const real = { setImmediate, Date: Date.now.bind(Date) }

const settle = async () => {
  for (let turn = 0; turn < 12; turn++) await new Promise((done) => real.setImmediate(done))
}

export const grant = (n, more = {}) => ({
  status: 200,
  body: {
    access_token: `token-${n}`,
    token_type: 'Bearer',
    expires_in: 900,
    refresh_in: 540,
    session: { session_id: 'session-1', subject: 'alice', client_id: 'web', create_time: 'then', expire_time: 'later', idle_expire_time: 'later' },
    ...more,
  },
})
export const problem = (status, code, more = {}) => ({ status, body: { code, ...more } })
/** The edge did it, and its answer never came. */
export const lost = { lost: true }
/** No answer until the one who asks gives up. */
export const silence = { silence: true }
export const after = (ms, answer) => ({ ...answer, after: ms })

export class World {
  /** Every call to the edge: method, path, token, json, at, and `order` of start and end. */
  calls = []
  /** Every call to a service. */
  requests = []
  /** What the edge answers next, by path; then tokens with rising numbers. */
  answers = {}
  /** What a service answers: a function of the Request. */
  service = () => ({ status: 200 })
  atOnce = 0
  mostAtOnce = 0
  storage = new Map()
  storageForbidden = false
  visibility = 'visible'
  channels = new Set()
  listening = new Set()
  channelDelay = 0
  deaf = false
  minted = 0
  clock = { now: 1_800_000_000_000, tick: 1_000, timers: new Map(), last: 0 }
  static tabs = 0

  constructor({ locks = true, channels = true, document = true, dice = 0.5 } = {}) {
    const world = this
    const { clock } = this
    this.dice = dice
    const define = (name, value) => Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
    const targets = { document: new EventTarget(), window: new EventTarget() }
    this.targets = targets

    Date.now = () => Math.floor(clock.now)
    define('performance', { now: () => clock.tick })
    Math.random = () => (typeof world.dice === 'function' ? world.dice() : world.dice)
    define('setTimeout', (run, ms = 0) => {
      const id = ++clock.last
      clock.timers.set(id, { run, at: clock.tick + ms })
      return id
    })
    define('clearTimeout', (id) => clock.timers.delete(id))
    define('location', { href: 'https://app.example.com/page' })
    define('document', document ? targets.document : undefined)
    if (document) Object.defineProperty(targets.document, 'visibilityState', { get: () => world.visibility })
    for (const target of Object.values(targets)) {
      const { addEventListener: add, removeEventListener: remove } = target
      target.addEventListener = (type, listener) => (world.listening.add(type), add.call(target, type, listener))
      target.removeEventListener = (type, listener) => (world.listening.delete(type), remove.call(target, type, listener))
    }
    define('addEventListener', targets.window.addEventListener)
    define('removeEventListener', targets.window.removeEventListener)
    define('localStorage', {
      getItem: (key) => (world.allowStorage(), world.storage.get(key) ?? null),
      setItem: (key, value) => (world.allowStorage(), world.storage.set(key, String(value))),
      removeItem: (key) => (world.allowStorage(), world.storage.delete(key)),
    })
    this.locks = new Locks()
    define('navigator', locks ? { locks: this.locks } : {})
    define('BroadcastChannel', channels ? channelOf(this) : undefined)
    define('fetch', (...args) => world.fetch(...args))
  }

  allowStorage() {
    if (this.storageForbidden) throw new DOMException('forbidden', 'SecurityError')
  }

  /** A tab: its own copy of the module, as a page load makes one. */
  async tab(options = {}) {
    const { createSession } = await import(`../symbolon.js?tab=${++World.tabs}`)
    const start = (more = {}) => createSession({ authUrl: AUTH, apiOrigins: [API], ...options, ...more })
    const ended = []
    const session = start({ onSignedOut: (reason) => ended.push(reason) })
    await this.go(0)
    return Object.assign(session, { ended, again: start })
  }

  /** A tab in which alice has just signed in. */
  async signedIn(options) {
    const tab = await this.tab(options)
    await this.go(0, tab.login({ username: 'alice', password: 'alice' }))
    return tab
  }

  /** Moves the clock by `ms` and on until `until` settles (a minute at most); returns what it resolved to. */
  async go(ms, until) {
    let open = until !== undefined
    let failed = false
    let value
    Promise.resolve(until).then(
      (result) => ((open = false), (value = result)),
      (error) => ((open = false), (failed = true), (value = error)),
    )
    const { clock } = this
    const end = clock.tick + ms
    await settle()
    for (;;) {
      const [id, next] = [...clock.timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? []
      if (!next || !(next.at <= end || (open && next.at <= end + 60_000))) break
      clock.now += Math.max(0, next.at - clock.tick)
      clock.tick = Math.max(clock.tick, next.at)
      clock.timers.delete(id)
      next.run()
      await settle()
    }
    if (clock.tick < end) {
      clock.now += end - clock.tick
      clock.tick = end
    }
    if (open) throw new Error('still waiting after a minute')
    if (failed) throw value
    return value
  }

  /** The machine sleeps: the wall clock goes on; the other one and the timers do not. */
  asleep(ms) {
    this.clock.now += ms
  }

  async event(name) {
    this.targets[name === 'visibilitychange' ? 'document' : 'window'].dispatchEvent(new Event(name))
    await settle()
  }

  count(path) {
    return this.calls.filter((call) => call.path === path).length
  }

  paths() {
    return this.calls.map((call) => call.path)
  }

  /** The network: the edge below AUTH, services elsewhere. */
  async fetch(input, init) {
    const request = input instanceof Request ? input : new Request(input, init)
    if (!request.url.startsWith(AUTH)) {
      this.requests.push({ url: request.url, token: request.headers.get('Authorization'), body: await request.text(), redirect: request.redirect })
      return this.arrive(await this.service(request, this.requests.at(-1)), request.signal)
    }
    const path = request.url.slice(AUTH.length)
    const text = await request.text()
    this.calls.push({
      method: request.method,
      path,
      token: request.headers.get('Authorization'),
      csrf: request.headers.get('X-Symbolon-CSRF'),
      credentials: request.credentials,
      cache: request.cache,
      json: text ? JSON.parse(text) : undefined,
      at: this.clock.tick,
    })
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce)
    try {
      const next = this.answers[path]?.shift()
      const answer = typeof next === 'function' ? await next() : next
      return await this.arrive(answer ?? this.usual(path), request.signal)
    } finally {
      this.atOnce--
    }
  }

  usual(path) {
    if (path === '/login' || path === '/refresh') return grant(++this.minted)
    if (path === '/sessions') return { status: 200, body: { sessions: [{ session_id: 'session-1', current: true }, { session_id: 'session-2' }] } }
    return { status: 204 }
  }

  async arrive(answer, signal) {
    if (answer.after) await new Promise((done) => setTimeout(done, answer.after))
    if (answer.silence) {
      await new Promise((_, fail) => signal.addEventListener('abort', () => fail(new DOMException('aborted', 'AbortError'))))
    }
    if (answer.lost) throw new TypeError('Failed to fetch')
    const text = answer.text ?? (answer.body ? JSON.stringify(answer.body) : '')
    return {
      type: answer.type ?? 'cors',
      status: answer.status,
      ok: answer.status >= 200 && answer.status < 300,
      text: async () => {
        if (answer.cut) throw new TypeError('network error')
        return text
      },
    }
  }
}

class Locks {
  held = null
  queue = []

  async request(name, options, work) {
    if (options.ifAvailable && (this.held || this.queue.length)) return work(null)
    await new Promise((granted, refused) => {
      const turn = () => {
        this.held = name
        granted()
      }
      options.signal?.addEventListener('abort', () => {
        this.queue = this.queue.filter((waiting) => waiting !== turn)
        refused(options.signal.reason)
      })
      if (this.held) this.queue.push(turn)
      else turn()
    })
    try {
      return await work({ name })
    } finally {
      this.held = null
      this.queue.shift()?.()
    }
  }
}

const channelOf = (world) =>
  class {
    onmessage = null

    constructor(name) {
      this.name = name
      world.channels.add(this)
    }

    postMessage(message) {
      const data = structuredClone(message)
      for (const other of world.channels) {
        if (other === this || other.name !== this.name) continue
        setTimeout(() => world.deaf || (world.channels.has(other) && other.onmessage?.({ data })), world.channelDelay)
      }
    }

    close() {
      world.channels.delete(this)
    }
  }
