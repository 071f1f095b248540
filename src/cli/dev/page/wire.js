// What went over the wire, as the server saw it, and what only `symbolon dev` can do: its routes under /dev/.

const LONG_AGO = 400 // entries the page keeps, as the server does

/** Where the edge's routes begin. */
export const AUTH = document.documentElement.dataset.auth

/** The server's state as it was last told: { began, now, skipped, may_skip, stopped_for }. */
export let server = { skipped: 0, may_skip: true, stopped_for: 0 }

/** Every request to the edge and its answer, oldest first. */
export const entries = []

const listeners = new Set()
/** Calls `listener` after every look at the server. */
export const onLook = (listener) => listeners.add(listener)

let ahead = 0 // how far the server's clock is ahead of this browser's, in milliseconds

/** Milliseconds since 1970, by the server's clock. */
export const serverTime = () => Date.now() + ahead

const last = () => entries.at(-1)?.number ?? 0

let looking = null
/** Asks the server what has happened since. */
export const look = async () => {
  // Two looks at once would show everything twice.
  while (looking) await looking
  looking = (async () => {
    const state = async () => (await fetch(`/dev/state/${last()}`, { cache: 'no-store' })).json()
    let told = await state()
    if (server.began && told.began !== server.began) {
      // Another process: it counts from the beginning.
      entries.length = 0
      told = await state()
    }
    const { wire, ...rest } = told
    server = rest
    ahead = server.now - Date.now()
    entries.push(...wire)
    entries.splice(0, Math.max(0, entries.length - LONG_AGO))
  })()
  try {
    await looking
  } finally {
    looking = null
  }
  for (const listener of listeners) listener()
}

/** Where the time line stands now; `since(mark)` is what came after it, of the same session. */
export const mark = async (session) => (await look(), { number: last(), id: session.getSnapshot().session?.session_id })
export const since = async ({ number, id }) => (await look(), entries.filter((entry) => entry.number > number && entry.session_id === id))

const post = async (path) => {
  const answer = await fetch(`/dev/${path}`, { method: 'POST', headers: { 'X-Symbolon-CSRF': '1' } })
  const body = await answer.json().catch(() => null)
  if (!answer.ok) throw new Error(body?.detail ?? `the server answers ${answer.status}`)
  return body
}

export const skip = (seconds) => post(`skip/${Math.ceil(seconds)}`)
export const lose = (times) => post(`lose/${times}`)
export const stop = () => post('stop')
export const thief = {
  /** Copies the cookie that comes with this very request. Answers its generation. */
  copy: async () => (await post('thief/copy')).generation,
  /** Refreshes with a copy. Answers { status, code, generation }. */
  refresh: (generation) => post(`thief/refresh/${generation}`),
}

/** What ExplainSession says of a session; null if nobody knows it. */
export const explain = async (id) => {
  const answer = await fetch(`/dev/sessions/${encodeURIComponent(id)}`, { cache: 'no-store' })
  return answer.ok ? answer.json() : null
}
