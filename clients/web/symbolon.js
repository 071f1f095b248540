// Keeps a user signed in: the access token lives in this module's memory, the refresh token in an HttpOnly cookie that
// no script can see. One file, no dependencies, no build step. Types and the manual: symbolon.d.ts; for people: README.md.
//
// It refuses to know what the tokens say, where your router goes after sign-out, and how a user proves who they are.

// ---------------------------------------------------------------------------------------------------------- constants

// Only these, with 401, mean that the user has to sign in again. Whatever else goes wrong (an outage, a proxy's error
// page, a code of a later version) says nothing about the session and must not end it.
const TERMINAL = ['session_expired', 'session_revoked', 'session_reused', 'session_invalid', 'no_session']

const REQUEST_TIMEOUT = 10_000
const LOGIN_TIMEOUT = 15_000 // somebody's password hash may be slow
const LOCK_WAIT = 20_000 // longer than a holder needs, so that only a stuck page is passed by
const HANDOVER_WAIT = 200 // another tab has just refreshed: its message is on the way
const ASK_AGAIN = 3 // after 409 refresh_stale, and after a token that had run out on arrival
const LOST_RETRIES = 2 // a lost answer is asked for again at once, inside the server's leeway (30 s)
const BACK_OFF = [1_000, 60_000] // first and longest pause after a failure
const DEMAND_GAP = 5_000 // while things fail, a caller who wants a token causes at most one request in this time
const LONGEST_BAR = 3_600_000 // of a retry_after

export class SymbolonError extends Error {
  constructor(code, { status = 0, retryable = false, retryAfter = 0, problem = null } = {}) {
    super(problem?.detail || problem?.title || code)
    Object.assign(this, { name: 'SymbolonError', code, status, retryable, retryAfter, problem })
  }
}

// ---------------------------------------------------------------------------------------- what an answer means (pure)

// What the edge's answer to a refresh says about the session: 'grant', 'ended', 'stale' or 'later'.
const judge = ({ status, body }) => {
  if (status === 200 && isGrant(body)) return 'grant'
  if (status === 401 && TERMINAL.includes(body?.code)) return 'ended'
  if (status === 409 && body?.code === 'refresh_stale') return 'stale'
  return 'later'
}

const isGrant = (body) => !!body?.access_token && typeof body.access_token === 'string' && typeof body.expires_in === 'number'

const failure = ({ status, body }) =>
  new SymbolonError(typeof body?.code === 'string' ? body.code : status === 200 ? 'unexpected_answer' : `http_${status}`, {
    status,
    retryable: body?.retryable ?? (status >= 500 || status === 429),
    retryAfter: Number(body?.retry_after) || 0,
    problem: body,
  })

// ------------------------------------------------------------------------------------------------------- small things

const sleep = (ms) => new Promise((done) => setTimeout(done, ms))
const between = (low, high) => low + Math.random() * (high - low)
const nothing = () => {}

// What the application throws is its own, and not in our way.
const guarded = (call) => {
  try {
    call()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

// A timer that is late says nothing, and neither clock alone is right: the wall clock is set back by people, the other
// one stands still while the machine sleeps. Whichever says that more time has passed is believed.
const mark = (date = Date.now()) => ({ date, tick: performance.now() - (Date.now() - date) })
const since = ({ date, tick }) => Math.max(Date.now() - date, performance.now() - tick)

// localStorage, or this page's memory where it is forbidden. Nothing secret is ever kept there.
const memory = new Map()
const store = {
  get: (key) => {
    try {
      return localStorage.getItem(key) ?? memory.get(key)
    } catch {
      return memory.get(key)
    }
  },
  set: (key, value) => {
    try {
      localStorage.setItem(key, value)
    } catch {
      memory.set(key, value)
    }
  },
  remove: (key) => {
    memory.delete(key)
    try {
      localStorage.removeItem(key)
    } catch {}
  },
}

const RESTORING = Object.freeze({ status: 'restoring', session: null, reason: null, trouble: null })

// ------------------------------------------------------------------------------------------------- one core per edge

// Every createSession() of this page for the same edge shares a core: React's StrictMode and two copies of a component
// start twice, and must not refresh twice. Cores stay for the life of the page.
const cores = new Map()

const createCore = (authUrl) => {
  const name = `symbolon ${authUrl}`
  const HINT = `${name} signed in` // somebody signed in here: worth asking after a reload
  const WISH = `${name} sign out` // somebody signed out here, and the edge does not know yet

  const handles = new Set()
  let fetch = (...args) => globalThis.fetch(...args)
  let grant = null // { token, from, life, due, refusedBy }: in this variable and nowhere else
  let snapshot = RESTORING
  let epoch = 0 // counts sign-ins and sign-outs: an answer to a question from before the last one is nobody's
  let flight = null // the refresh that is under way
  let handed = nothing // wakes whoever waits for another tab's token
  let tail = Promise.resolve() // where there are no Web Locks: the end of this page's queue
  let channel = null
  let timer = 0
  let failures = 0
  let lastError = null
  let failedAt = null
  let barredFor = 0 // after failedAt, by a retry_after
  let wished = null // the sign-out this page wished for: applications clear their storage at sign-out

  // --- state

  // With the hint somebody has signed in since, who is not to be signed out.
  const wish = () => store.get(WISH) ?? (store.get(HINT) ? null : wished)
  const alive = (g) => !!g && since(g.from) < g.life
  // A little is kept for the way to the service, which looks at a clock of its own.
  const usable = (g) => !!g && g.life - since(g.from) > Math.min(10_000, g.life / 10)

  const show = (changes) => {
    const next = { ...snapshot, ...changes }
    const unchanged = (key) => JSON.stringify(next[key]) === JSON.stringify(snapshot[key])
    if (Object.keys(next).every(unchanged)) return
    snapshot = Object.freeze(next)
    for (const { listeners } of [...handles]) for (const listener of [...listeners]) guarded(listener)
  }

  const post = (message) => channel?.postMessage(message)

  // Takes a grant of the edge's, `from` a moment ago if it comes from another tab.
  const adopt = (body, from = mark()) => {
    if (!handles.size) return // closed meanwhile: nobody would ever drop it
    const life = body.expires_in * 1000
    const early = Math.max(0, (body.refresh_in ?? body.expires_in * 0.6) * 1000)
    // The moment of the next refresh is drawn here and told nobody: a thief cannot know when to strike, and a thousand
    // pages opened by the same news do not come back in the same second.
    grant = { token: body.access_token, from, life, due: between(early, Math.max(early, life * 0.9)), refusedBy: new Set() }
    failures = 0
    lastError = null
    show({ status: 'signed_in', session: body.session ?? null, reason: null, trouble: null })
    handed()
    schedule(grant.due - since(from))
  }

  const drop = (reason) => {
    epoch++
    grant = null
    failures = 0
    lastError = null
    clearTimeout(timer)
    const was = snapshot.status
    show({ status: 'signed_out', session: null, reason, trouble: null })
    handed()
    if (was === 'signed_out') return
    for (const { onSignedOut } of [...handles]) if (onSignedOut) guarded(() => onSignedOut(reason))
  }

  // The session is over, on the edge's word.
  const end = (reason) => {
    const id = snapshot.session?.session_id
    store.remove(HINT)
    post({ out: reason, id })
    drop(reason)
  }

  // --- the other tabs

  const hear = ({ data }) => {
    if (data.grant) {
      // A sign-in is news for everybody. A refreshed token is not for a tab that was signed out meanwhile: it may have
      // been asked for before that.
      if (!data.login && (snapshot.status === 'signed_out' || wish())) return
      if (data.login) {
        epoch++
        wished = null
      }
      const from = mark(data.at)
      if (data.login || !grant || data.grant.expires_in * 1000 - since(from) >= grant.life - since(grant.from)) adopt(data.grant, from)
    } else if (data.out) {
      const mine = snapshot.session?.session_id
      if (data.id && mine && data.id !== mine) return // the end of a session that is not ours any more
      drop(data.out)
      // The tab that wished may be closed before it got through.
      if (wish()) schedule(between(5_000, 15_000))
    } else if (data.told === wished) {
      wished = null
    }
  }

  // --- one at a time

  // Sign-in, sign-out and refresh exchange the cookie, so one of them runs at a time, in all tabs. `work` learns whether
  // it holds the lock and whether it had to wait. Waiting is bounded: a stuck page must not stop the others, and the
  // server answers two refreshes at once with the same tokens.
  const locked = async (work) => {
    let started = false
    const begin = (held, waited) => {
      started = true
      return work(held, waited)
    }
    const locks = globalThis.navigator?.locks
    if (locks) {
      let patience
      try {
        const done = await locks.request(name, { ifAvailable: true }, async (lock) => lock && { is: await begin(true, false) })
        if (done) return done.is
        const impatient = new AbortController()
        patience = setTimeout(() => impatient.abort(), LOCK_WAIT)
        return await locks.request(name, { signal: impatient.signal }, () => {
          clearTimeout(patience)
          return begin(true, true)
        })
      } catch (error) {
        if (started) throw error
      } finally {
        clearTimeout(patience)
      }
    }
    const mine = tail.then(() => begin(false, false))
    tail = mine.catch(nothing)
    return mine
  }

  // --- talking to the edge

  const call = async (method, path, { json, token, timeout = REQUEST_TIMEOUT, keepalive = false } = {}) => {
    const headers = { 'X-Symbolon-CSRF': '1' }
    if (json) headers['Content-Type'] = 'application/json'
    if (token) headers.Authorization = `Bearer ${token}`
    const impatient = new AbortController()
    const patience = setTimeout(() => impatient.abort(), timeout)
    try {
      const answer = await fetch(authUrl + path, {
        method,
        headers,
        body: json && JSON.stringify(json),
        credentials: 'include',
        cache: 'no-store',
        redirect: 'error',
        signal: impatient.signal,
        keepalive,
      })
      // A body that breaks off is a lost answer; one that is not JSON is somebody else's.
      const text = await answer.text()
      let body = null
      try {
        body = JSON.parse(text)
      } catch {}
      return { status: answer.status, ok: answer.ok, body }
    } catch {
      throw new SymbolonError('network', { retryable: true })
    } finally {
      clearTimeout(patience)
    }
  }

  const refresh = () => (flight ??= run().then(
    () => {
      flight = null
    },
    (error) => {
      flight = null
      postpone(error)
      throw error
    },
  ))

  const run = async () => {
    const began = epoch
    const seen = grant
    for (let lost = 0; ; lost++) {
      try {
        return await locked(async (held, waited) => {
          if (wish()) return finishSignOut()
          if (snapshot.status === 'signed_out') return
          if (waited && grant === seen && epoch === began) await Promise.race([new Promise((now) => (handed = now)), sleep(HANDOVER_WAIT)])
          if (epoch === began && (grant === seen || !usable(grant))) return redeem(began, held)
        })
      } catch (error) {
        if (error.code !== 'network' || lost === LOST_RETRIES) throw error
        await sleep(between(500, 1_500))
      }
    }
  }

  const redeem = async (began, held) => {
    for (let again = 0; ; again++) {
      const answer = await call('POST', '/refresh')
      if (epoch !== began) return
      const verdict = judge(answer)
      if (verdict === 'grant' && answer.body.expires_in > 0) {
        store.set(HINT, '1')
        adopt(answer.body)
        return post({ grant: answer.body, at: Date.now() })
      }
      // Without the lock a sign-in may have overtaken us, and the jar holds its cookie by now: ask before believing it.
      if (verdict === 'ended' && (held || again)) return end(answer.body.code)
      if (verdict === 'later' || again === ASK_AGAIN) throw failure(answer)
      if (verdict === 'stale') await sleep(between(50, 250))
    }
  }

  const finishSignOut = async () => {
    const told = wish()
    const answer = await call('POST', '/logout', { keepalive: true })
    if (!answer.ok) throw failure(answer)
    if (wish() === told) {
      store.remove(WISH)
      wished = null
      post({ told })
    }
    store.remove(HINT)
    failures = 0
    lastError = null
    show({ trouble: null })
  }

  // --- when

  const schedule = (ms) => {
    clearTimeout(timer)
    if (handles.size) timer = setTimeout(work, Math.min(Math.max(0, Math.ceil(ms)), 2 ** 31 - 1))
  }

  const postpone = (error) => {
    lastError = error
    failedAt = mark()
    barredFor = Math.min(error.retryAfter * 1000 || 0, LONGEST_BAR)
    const pause = Math.min(BACK_OFF[0] * 2 ** failures++, BACK_OFF[1])
    show({ trouble: error.code })
    schedule(Math.max(between(pause / 2, pause), barredFor * between(1, 1.1)))
  }

  // What is there to do now? Asked by the timer, by the network coming back and by the page coming back: from another
  // tab, from sleep or from the back-forward cache its timers are late and messages may have been missed.
  const work = () => {
    if (!handles.size || flight) return
    const barred = lastError ? barredFor - since(failedAt) : 0
    if (barred > 0) return schedule(barred)
    if (wish()) {
      if (snapshot.status !== 'signed_out') drop('signed_out')
      refresh().catch(nothing)
    } else if (snapshot.status === 'signed_in') {
      if (!store.get(HINT)) {
        // Signed out in another tab while this one slept, or the application cleared its storage: the edge knows.
        grant = null
        show(RESTORING)
        return refresh().catch(nothing)
      }
      const left = grant.due - since(grant.from)
      if (left > 0) return schedule(left)
      // A page nobody looks at does not refresh by itself: a forgotten tab must not keep an idle session alive. Who
      // asks for a token gets a fresh one, and so does the page when it is looked at again.
      if (document.visibilityState !== 'hidden') refresh().catch(nothing)
    } else if (snapshot.status === 'restoring') {
      refresh().catch(nothing)
    }
  }

  // --- for the handles

  // A token to use now; another one than `rejected`. Null: signed out.
  const token = async (rejected) => {
    const good = () => grant && grant.token !== rejected
    if (!globalThis.document) return null
    if (!handles.size) throw new SymbolonError('closed')
    if (snapshot.status === 'signed_out') return null
    if (!(good() && usable(grant))) {
      if (lastError && !flight && since(failedAt) < Math.max(barredFor, Math.min(BACK_OFF[0] * 2 ** (failures - 1), DEMAND_GAP))) {
        if (good() && alive(grant)) return grant.token
        throw lastError
      }
      try {
        await refresh()
      } catch (error) {
        if (!(good() && alive(grant))) throw error
      }
    }
    if (grant) return grant.token
    if (snapshot.status === 'signed_out') return null
    throw lastError ?? new SymbolonError('network', { retryable: true })
  }

  const login = (credentials) =>
    locked(async () => {
      if (wish()) await finishSignOut().catch(nothing) // else the edge ends the old session with the new sign-in
      const before = wish()
      const answer = await call('POST', '/login', { json: credentials, timeout: LOGIN_TIMEOUT })
      if (judge(answer) !== 'grant') throw failure(answer)
      if (wish() !== before) throw new SymbolonError('signed_out') // signed out while signing in: that is to be done
      store.remove(WISH)
      wished = null
      store.set(HINT, '1')
      epoch++
      adopt(answer.body)
      post({ grant: answer.body, at: Date.now(), login: true })
      return snapshot.session
    })

  // Another token whatever the age of this one; and asked for by a page that is signed out, whether somebody has signed in
  // here by other means (a passkey, a redirect from another identity provider).
  const ask = () => {
    if (snapshot.status === 'signed_out' && !wish()) show(RESTORING)
    return token(grant?.token)
  }

  // Drops the token now; the edge is told now if it can be reached, else before anything else is asked of it.
  const logout = async () => {
    wished = `${Date.now()} ${Math.random()}`
    store.set(WISH, wished)
    drop('signed_out')
    post({ out: 'signed_out' })
    await flight?.catch(nothing)
    await refresh().catch(nothing)
    return !wish()
  }

  // A call about the user's sessions. With `done` it may delete the cookie, and the lock is kept until `done` is too: a
  // sign-in in another tab must not come between the two.
  const authorised = async (method, path, done) => {
    for (let rejected; ; ) {
      const bearer = await token(rejected)
      if (!bearer) throw new SymbolonError('no_session', { status: 401 })
      const send = () => call(method, path, { token: bearer })
      const exchange = async () => {
        const answer = await send()
        if (answer.ok) done()
        return answer
      }
      const answer = await (done ? locked(exchange) : send())
      if (answer.ok) return answer.body
      if (answer.status !== 401 || rejected) throw failure(answer)
      rejected = bearer
    }
  }

  const wake = ({ type }) => {
    if (type !== 'visibilitychange' || document.visibilityState !== 'hidden') work()
  }
  const events = [
    [globalThis.document, 'visibilitychange'],
    [globalThis, 'pageshow'],
    [globalThis, 'online'],
  ]

  const open = (handle, options) => {
    if (!globalThis.document) return // on a server there is nobody to restore
    if (options.fetch) fetch = options.fetch
    handles.add(handle)
    if (handles.size > 1) return
    for (const [target, event] of events) target.addEventListener(event, wake)
    channel = globalThis.BroadcastChannel ? new BroadcastChannel(name) : null
    if (channel) channel.onmessage = hear
    const signedOut = wish() || (options.restore !== 'always' && !store.get(HINT))
    snapshot = signedOut ? Object.freeze({ ...RESTORING, status: 'signed_out' }) : RESTORING
    work()
  }

  const close = (handle) => {
    if (!handles.delete(handle) || handles.size) return
    for (const [target, event] of events) target?.removeEventListener(event, wake)
    channel?.close()
    channel = null
    clearTimeout(timer)
    grant = null
  }

  return { open, close, token, ask, login, logout, authorised, end, grant: () => grant, snapshot: () => snapshot }
}

// ------------------------------------------------------------------------------------------------------ createSession

export const createSession = (options) => {
  const base = globalThis.location?.href ?? 'http://localhost/'
  const authUrl = new URL(options.authUrl ?? '/auth', base).href.replace(/\/+$/, '')
  const apiOrigins = new Set(
    options.apiOrigins.map((text) => {
      const url = new URL(text, base)
      if (url.pathname + url.search + url.hash !== '/') throw new TypeError(`apiOrigins takes origins, no paths: ${text}`)
      return url.origin
    }),
  )
  if (!cores.has(authUrl)) cores.set(authUrl, createCore(authUrl))
  const core = cores.get(authUrl)
  const handle = { listeners: new Set(), onSignedOut: options.onSignedOut }
  const plain = (...args) => (options.fetch ?? globalThis.fetch)(...args)

  // Like fetch(); the access token goes along to apiOrigins and nowhere else.
  const fetchWithToken = async (input, init) => {
    const request = new Request(input, init)
    const { origin } = new URL(request.url)
    if (!apiOrigins.has(origin) || request.headers.has('Authorization')) return plain(request)

    // What happens to the Authorization header at a redirect depends on the browser's age, and where it leads cannot be
    // seen from here. So with a token no redirect is followed.
    const send = async (token, kept) => {
      request.signal.throwIfAborted()
      const headers = new Headers(kept.headers)
      headers.set('Authorization', `Bearer ${token}`)
      const answer = await plain(token ? new Request(kept, { headers, redirect: 'manual' }) : kept)
      if (token && answer.type === 'opaqueredirect' && request.redirect !== 'manual') {
        throw new TypeError(`${request.url} answered with a redirect, which an access token never follows: call the final address`)
      }
      return answer
    }

    const first = await core.token()
    const again = request.clone()
    const answer = await send(first, request)
    if (answer.status !== 401 || !first) return answer

    // Once more with another token; a second 401 is the service's last word. If it has refused a brand-new token before,
    // it has something else against us, and a refresh for each of its answers would help nobody.
    if (core.grant()?.token === first && core.grant().refusedBy.has(origin)) return answer
    const second = await core.token(first).catch(nothing)
    if (!second) return answer
    const last = await send(second, again)
    if (last.status === 401 && core.grant()?.token === second) core.grant().refusedBy.add(origin)
    return last
  }

  core.open(handle, options)
  return {
    fetch: fetchWithToken,
    getAccessToken: ({ rejected } = {}) => core.token(rejected),
    refresh: core.ask,
    login: core.login,
    logout: core.logout,
    logoutAll: async () => {
      await core.authorised('POST', '/logout-all', () => core.end('signed_out'))
    },
    sessions: async () => (await core.authorised('GET', '/sessions')).sessions,
    endSession: async (id) => {
      await core.authorised('DELETE', `/sessions/${encodeURIComponent(id)}`, () => {
        if (id === core.snapshot().session?.session_id) core.end('signed_out')
      })
    },
    subscribe: (listener) => {
      handle.listeners.add(listener)
      return () => handle.listeners.delete(listener)
    },
    getSnapshot: () => core.snapshot(),
    getServerSnapshot: () => RESTORING,
    close: () => {
      handle.listeners.clear()
      core.close(handle)
    },
  }
}
