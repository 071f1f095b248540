// What the buttons make happen. Each scene plays with real requests and answers one sentence on what just happened and why,
// from what the server saw, not from what was expected.

import { entries, look, loseNext, mark, server, serverTime, since, skip, stop, thief } from '/wire.js'

const MINUTES = 180 // longer than the leeway (30 s) and the burst (120 s)
const nothing = () => {}
const sleep = (ms) => new Promise((done) => setTimeout(done, ms))

const until = async (condition, patience = 20_000) => {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(200)) if (await condition()) return true
  return false
}

const refreshes = (wire) => wire.filter(({ path }) => path.endsWith('/refresh'))
const checks = (wire) => wire.filter(({ path }) => path.endsWith('/check'))
const verdicts = (wire) => refreshes(wire).map(({ verdict, status }) => verdict ?? status)
const count = (wire, verdict) => verdicts(wire).filter((one) => one === verdict).length
const times = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`
const ended = (wire) => wire.some(({ verdict }) => verdict === 'reuse')

// A service of ours: the edge's check for gateways verifies the token as every service does.
const SERVICE = '/auth/check'
const ask = (session) => session.fetch(SERVICE).then(({ status }) => status)
const askWith = (authorization) => fetch(SERVICE, { headers: authorization ? { Authorization: authorization } : {} }).then(({ status }) => status)
const refreshWith = (authorization) =>
  fetch('/auth/refresh', { method: 'POST', headers: { 'X-Symbolon-CSRF': '1', Authorization: authorization } }).then(({ status }) => status)

// Asks for new tokens until there is an answer: the module lets a failure rest for a moment.
const insist = (session) =>
  until(() =>
    session.refresh().then(
      () => true,
      () => false,
    ),
  )

const claims = (token) => JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')))
const expire = async (session) => {
  const token = await session.getAccessToken()
  if (token) await skip(Math.max(0, claims(token).exp - serverTime() / 1000) + 30)
}

/** Each takes the session and the place for frames, and answers a sentence. */
export const scenes = {
  async refresh(session) {
    const from = await mark()
    await session.refresh()
    const [only] = refreshes(await since(from))
    if (only?.verdict !== 'rotated') return `The server said: ${only?.verdict ?? only?.status ?? 'nothing'}.`
    return `Rotated: the browser sent cookie ${only.presented} by itself and got cookie ${only.answered}; this script got a new access token and saw neither cookie.`
  },

  async ask(session) {
    const from = await mark()
    const status = await ask(session)
    const wire = await since(from)
    if (refreshes(wire).length) return `The service refused the old access token. The page asked the edge once, got a new one, and asked the service again: ${status}.`
    return `The service checked the signature by itself and answered ${status}. Nobody asked the issuer.`
  },

  async expire(session) {
    await expire(session)
    return 'The access token has expired: every service refuses it from now on. Nothing is lost, the cookie lives. Ask a service and see.'
  },

  async twenty(session) {
    await expire(session)
    const from = await mark()
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(session)))
    const wire = await since(from)
    const refused = checks(wire).filter(({ status }) => status === 401).length
    const well = answers.filter((status) => status === 204 || status === 200).length
    return `Twenty requests with an expired token: ${refused} were refused, ${times(refreshes(wire).length, 'refresh', 'refreshes')} went out for all of them, and ${well} of 20 were answered well.`
  },

  async tabs(session, frames) {
    const from = await mark()
    const settled = new Map()
    const hear = ({ data, origin }) => origin === location.origin && data?.tab && settled.set(data.tab, data.status)
    addEventListener('message', hear)
    frames.replaceChildren(...Array.from({ length: 10 }, (_, n) => Object.assign(document.createElement('iframe'), { src: `/tab#${n + 1}`, title: `Tab ${n + 1}` })))
    await until(() => settled.size === 10, 15_000)
    removeEventListener('message', hear)
    const wire = await since(from)
    const signedIn = [...settled.values()].filter((status) => status === 'signed_in').length
    return `Ten pages opened at once with one cookie: ${signedIn} are signed in. They needed ${times(count(wire, 'rotated'), 'rotation')}${count(wire, 'replayed') ? ` and ${times(count(wire, 'replayed'), 'replay')}` : ''}: one asks, and hands the access token to the others.`
  },

  async forget(session) {
    const old = await session.getAccessToken()
    const without = await askWith(null)
    await session.getAccessToken({ rejected: old })
    return `Without an access token the service says ${without}. The page asked the edge, the cookie answered for the user, and a new token is here. A reload does the same.`
  },

  async undefined(session) {
    const service = await askWith('Bearer undefined')
    const edge = await refreshWith('Bearer undefined')
    return `A script that sends “Bearer undefined” is refused by a service (${service}). The edge does not care what stands there when it refreshes: only the cookie counts (${edge}).`
  },

  async lose(session) {
    const from = await mark()
    await loseNext()
    await insist(session)
    const [lost, again] = refreshes(await since(from))
    if (again?.verdict !== 'replayed') return `The server said: ${verdicts(await since(from)).join(', ')}.`
    return `The server made cookie ${lost.answered}, and the answer was lost. The page asked again with cookie ${again.presented} within the leeway of 30 seconds and got the same cookie ${again.answered}, byte for byte: replayed. Nobody was signed out.`
  },

  async late(session) {
    const from = await mark()
    for (const lost of [1, 2]) {
      await loseNext()
      const isLost = async () => refreshes(await since(from)).length === lost
      await until(async () => (await session.refresh().catch(nothing), isLost()))
      await skip(MINUTES)
    }
    await insist(session)
    return `Two answers in a row were lost, three minutes apart: ${verdicts(await since(from)).join(', ')}. Nobody had used the lost cookie, so it was given again: recovered, with an access token minted then; and again the same bytes: repeated, which mints nothing.`
  },

  async skip() {
    await skip(MINUTES)
    return 'The server’s clock is three minutes ahead: the leeway and the burst are over, as if this page had been closed for a while.'
  },

  async stop(session) {
    const from = await mark()
    await stop()
    const service = await ask(session)
    await session.refresh().catch(nothing)
    const [refused] = refreshes(await since(from))
    await until(async () => (await look(), server.stopped_for === 0))
    await insist(session)
    return `The issuer answered nobody for ten seconds. A service still said ${service} to the access token, since it verifies by itself. A refresh got ${refused?.status}, which ends nothing: the page kept its session, asked again, and was answered: ${verdicts(await since(from)).at(-1)}.`
  },

  async replayOld(session) {
    const from = await mark()
    const old = await thief.copy()
    await session.refresh()
    await session.refresh()
    await thief.refresh(old)
    const inTheBurst = verdicts(await since(from)).at(-1)
    await skip(MINUTES)
    await thief.refresh(old)
    const later = verdicts(await since(from)).at(-1)
    await session.refresh().catch(nothing)
    return `The thief presented cookie ${old}, two refreshes old. In the burst: ${inTheBurst}, refused without effect, since six tabs on a bad network look the same. Three minutes later: ${later}. Nobody honest has a reason to do that, so the session ended, for the thief and for you.`
  },

  async goFirst(session) {
    const from = await mark()
    let stolen = await thief.copy()
    let tokens = 0
    for (let turn = 0; turn < 6 && !ended(await since(from)); turn++) {
      const { status, generation } = await thief.refresh(stolen)
      if (status === 200) tokens++
      stolen = generation ?? stolen
      await skip(MINUTES)
      await session.refresh().catch(nothing)
    }
    return `The thief went first with the current cookie, and you came after it each time: ${verdicts(await since(from)).join(', ')}. A lost answer now and then is weather; ${times(count(await since(from), 'recovered'), 'recovered generation')} in a row and a next one are two holders. The thief got ${times(tokens, 'access token')}, and is out.`
  },

  async shadow(session) {
    const from = await mark()
    let stolen = await thief.copy()
    let tokens = 0
    for (let turn = 0; turn < 6 && !ended(await since(from)); turn++) {
      await session.refresh().catch(nothing)
      await skip(MINUTES)
      const { status, generation } = await thief.refresh(stolen)
      if (status === 200) tokens++
      stolen = generation ?? stolen
    }
    await session.refresh().catch(nothing)
    return `The thief followed you, minutes behind, always with the cookie you had just used: ${verdicts(await since(from)).join(', ')}. The third time in a row gave it away. It got ${times(tokens, 'access token')}; you sign in again, and it cannot.`
  },
}

/** How the verdicts are told to a person. */
export const VERDICTS = {
  rotated: 'the current cookie was redeemed: a new pair, the old one is spent',
  replayed: 'the spent one again, within 30 seconds: the same bytes, nothing new',
  recovered: 'the spent one again, later, and nobody had used its successor: an answer was lost',
  repeated: 'the same question again: the same bytes, nothing new',
  stale: 'an older one in a busy moment: refused, no effect, the jar holds a newer one',
  reuse: 'an older one without an excuse, or too many recoveries in a row: the session ended',
  refused: 'the session is over, or was never ours',
}

/** The last session that went over the wire. */
export const lastSession = () => entries.findLast(({ session_id }) => session_id)?.session_id
