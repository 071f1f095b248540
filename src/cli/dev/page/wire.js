// What went over the wire, as the server saw it, and what only `symbolon dev` can do: its routes under /dev/.

const LONG_AGO = 400 // entries the page keeps, as the server does

/** The server's state as it was last told: { now, skipped, may_skip, stopped_for, loses_next, generation }. */
export let server = { skipped: 0, may_skip: true, stopped_for: 0, generation: null }

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
    const { wire, ...state } = await (await fetch(`/dev/state/${last()}`, { cache: 'no-store' })).json()
    server = state
    ahead = state.now - Date.now()
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

/** Where the time line stands now; `since(mark)` is what came after it. */
export const mark = async () => (await look(), last())
export const since = async (mark) => (await look(), entries.filter((entry) => entry.number > mark))

const post = async (path) => {
  const answer = await fetch(`/dev/${path}`, { method: 'POST', headers: { 'X-Symbolon-CSRF': '1' } })
  const body = answer.status === 204 ? null : await answer.json()
  if (!answer.ok) throw new Error(body?.detail ?? `the server answers ${answer.status}`)
  return body
}

export const skip = (seconds) => post(`skip/${Math.ceil(seconds)}`)
export const loseNext = () => post('lose')
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
