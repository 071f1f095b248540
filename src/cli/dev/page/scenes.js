// What the buttons make happen. Each scene plays with real requests and answers one sentence on what just happened and why,
// from what the server saw, not from what was expected.

import { AUTH, look, lose, mark, server, serverTime, since, skip, stop, thief } from '/wire.js'

const MINUTES = 180 // longer than leeway and burst, where nobody has set others
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

// What became of a thief, and why.
const outcome = (wire, tokens) => {
  const got = `The thief got ${times(tokens, 'access token')}`
  if (!ended(wire)) return `${got}, and the session goes on.`
  return `A lost answer now and then is weather; ${times(count(wire, 'recovered'), 'recovery', 'recoveries')} in a row and one more are two holders. ${got} and is out; you sign in again, and it cannot.`
}

// A service of ours: the edge's check for gateways verifies the token as every service does.
const SERVICE = `${AUTH}/check`
const ask = (session) => session.fetch(SERVICE).then(({ status }) => status)
const askWith = (authorization) => fetch(SERVICE, { headers: authorization ? { Authorization: authorization } : {} }).then(({ status }) => status)
const refreshWith = (authorization) =>
  fetch(`${AUTH}/refresh`, { method: 'POST', headers: { 'X-Symbolon-CSRF': '1', Authorization: authorization } }).then(({ status }) => status)

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

const said = (wire) => `The server said: ${verdicts(wire).join(', ') || 'nothing'}.`

/** Each takes the session and the place for frames, and answers a sentence. */
export const scenes = {
  async refresh(session) {
    const from = await mark(session)
    await session.refresh()
    const wire = await since(from)
    const [only] = refreshes(wire)
    if (only?.verdict !== 'rotated') return said(wire)
    return `Rotated: the browser sent cookie ${only.presented} by itself and got cookie ${only.answered}; this script got a new access token and saw neither cookie.`
  },

  async ask(session) {
    const from = await mark(session)
    const status = await ask(session)
    const wire = await since(from)
    if (refreshes(wire).length) return `The service refused the old access token. The page asked the edge, got a new one, and asked the service again: ${status}.`
    return `The service checked the signature by itself and answered ${status}. Nobody asked the issuer.`
  },

  async expire(session) {
    await expire(session)
    return 'The access token has expired by the server’s clock. Nothing is lost, the cookie lives. Ask a service and see.'
  },

  async twenty(session) {
    await expire(session)
    const from = await mark(session)
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(session)))
    const wire = await since(from)
    const refused = checks(wire).filter(({ status }) => status === 401).length
    const well = answers.filter((status) => status < 300).length
    return `Twenty requests with an expired token: ${refused} were refused, ${times(refreshes(wire).length, 'refresh', 'refreshes')} went out for all of them, and ${well} of 20 were answered well.`
  },

  async tabs(session, frames) {
    const from = await mark(session)
    const settled = new Map()
    const hear = ({ data, origin }) => origin === location.origin && data?.tab && settled.set(data.tab, data.status)
    addEventListener('message', hear)
    frames.replaceChildren(...Array.from({ length: 10 }, (_, n) => Object.assign(document.createElement('iframe'), { src: `/tab#${n + 1}`, title: `Tab ${n + 1}` })))
    await until(() => settled.size === 10)
    removeEventListener('message', hear)
    const wire = await since(from)
    const signedIn = [...settled.values()].filter((status) => status === 'signed_in').length
    const asked = refreshes(wire).length
    return `Ten pages opened at once with one cookie: ${signedIn} are signed in, by ${times(asked, 'refresh', 'refreshes')} (${verdicts(wire).join(', ')}). ${asked === 1 ? 'One asked, and handed' : 'Who asked handed'} the access token to the others.`
  },

  async forget(session) {
    const old = await session.getAccessToken()
    const without = await askWith(null)
    const fresh = await session.getAccessToken({ rejected: old })
    return `Without an access token the service says ${without}. The page asked the edge, the cookie answered for the user, and ${fresh && fresh !== old ? 'a new token is here' : 'no new token came'}. A reload does the same.`
  },

  async undefined(session) {
    const service = await askWith('Bearer undefined')
    const edge = await refreshWith('Bearer undefined')
    return `A script that sends “Bearer undefined” gets ${service} from a service. The edge does not care what stands there when it refreshes: only the cookie counts, and it says ${edge}.`
  },

  async lose(session) {
    const from = await mark(session)
    await lose(1)
    await insist(session)
    const wire = await since(from)
    const [lost, again] = refreshes(wire)
    if (again?.verdict !== 'replayed') return said(wire)
    return `The server made cookie ${lost.answered}, and the answer was lost. The page asked again with cookie ${again.presented}, within the leeway, and got the same cookie ${again.answered}, byte for byte: replayed. Nobody was signed out.`
  },

  async late(session) {
    const from = await mark(session)
    // Both at once: the page asks again by itself, too.
    await lose(2)
    for (const lost of [1, 2]) {
      await until(async () => (await session.refresh().catch(nothing), refreshes(await since(from)).filter((one) => one.lost).length >= lost))
      await skip(MINUTES)
    }
    await insist(session)
    const wire = await since(from)
    const why =
      count(wire, 'recovered') && count(wire, 'repeated')
        ? ' Nobody had used the lost cookie, so it was given again: recovered, with an access token minted then; and again the same bytes: repeated, which mints nothing.'
        : ''
    return `Two answers in a row were lost, minutes apart: ${verdicts(wire).join(', ')}.${why}`
  },

  async skip() {
    await skip(MINUTES)
    return 'The server’s clock is three minutes further: the leeway and the burst are over, as if this page had been closed for a while.'
  },

  async stop(session) {
    await session.refresh()
    const from = await mark(session)
    await stop()
    const service = await ask(session)
    await session.refresh().catch(nothing)
    const [refused] = refreshes(await since(from))
    await until(async () => (await look(), server.stopped_for === 0))
    await insist(session)
    return `For ten seconds the issuer answered its edge nothing. A service said ${service} to the access token meanwhile: it verifies by itself. A refresh got ${refused?.status}, which ends nothing: the page kept its session and asked again: ${verdicts(await since(from)).at(-1)}.`
  },

  async replayOld(session) {
    const from = await mark(session)
    const old = await thief.copy()
    await session.refresh()
    await session.refresh()
    await thief.refresh(old)
    const inTheBurst = verdicts(await since(from)).at(-1)
    await skip(MINUTES)
    await thief.refresh(old)
    const later = verdicts(await since(from)).at(-1)
    await session.refresh().catch(nothing)
    const why = later === 'reuse' ? ' Nobody honest has a reason to do that, so the session ended, for the thief and for you.' : ''
    return `The thief presented cookie ${old}, two refreshes old. In the burst: ${inTheBurst}${inTheBurst === 'stale' ? ', refused without effect, since six tabs on a bad network look the same' : ''}. Three minutes later: ${later}.${why}`
  },

  async goFirst(session) {
    const from = await mark(session)
    let stolen = await thief.copy()
    let tokens = 0
    for (let turn = 0; turn < 6 && !ended(await since(from)); turn++) {
      const { status, generation } = await thief.refresh(stolen)
      if (status === 200) tokens++
      stolen = generation ?? stolen
      await skip(MINUTES)
      await session.refresh().catch(nothing)
    }
    const wire = await since(from)
    return `The thief went first with the current cookie, and you came minutes after it each time: ${verdicts(wire).join(', ')}. ${outcome(wire, tokens)}`
  },

  async shadow(session) {
    const from = await mark(session)
    let stolen = await thief.copy()
    let tokens = 0
    for (let turn = 0; turn < 6 && !ended(await since(from)); turn++) {
      await session.refresh().catch(nothing)
      await skip(MINUTES)
      const { status, generation } = await thief.refresh(stolen)
      if (status === 200) tokens++
      stolen = generation ?? stolen
    }
    const wire = await since(from)
    await session.refresh().catch(nothing)
    return `The thief followed you, minutes behind, always with the cookie you had just used: ${verdicts(wire).join(', ')}. ${outcome(wire, tokens)}`
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
  healed: 'a newer one than the database knows, which has lost commits: it goes on',
  rolled_back: 'far newer than the database knows: the session ended',
}
