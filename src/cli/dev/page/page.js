// The page of `symbolon dev`: what an application does with symbolon.js, and a look at where the tokens are. It shows the
// access token because it is a demonstration; an application has no reason to look into it.

import { VERDICTS, scenes } from '/scenes.js'
import { createSession } from '/symbolon.js'
import { AUTH, entries, explain, look, onLook, server, serverTime } from '/wire.js'

const $ = (id) => document.getElementById(id)
const session = createSession({ authUrl: AUTH, apiOrigins: [location.origin], onSignedOut: (reason) => tell(ENDINGS[reason] ?? reason) })

const ENDINGS = {
  signed_out: 'Signed out',
  session_expired: 'The session has expired',
  session_revoked: 'The session was ended elsewhere',
  session_reused: 'A spent refresh token was used: the session has ended, in case it was a thief',
  session_invalid: 'The cookie holds no refresh token of this issuer',
  no_session: 'There was no session',
}
const REFUSALS = {
  credentials_rejected: 'That user name and password do not belong together.',
  account_disabled: 'This account may not sign in.',
  network: 'The server does not answer. Is it running?',
}

// ---------------------------------------------------------------------------------------------------------- small things

const make = (tag, text, more = {}) => Object.assign(document.createElement(tag), { textContent: text ?? '' }, more)

const define = (list, entries) =>
  list.replaceChildren(...Object.entries(entries).flatMap(([term, value]) => (value === undefined ? [] : [make('dt', term), make('dd', value)])))

const tell = (sentence) => {
  const item = make('li')
  item.append(make('time', new Date().toLocaleTimeString()), make('span', sentence))
  $('log').prepend(item)
}

const decode = (token) => {
  const bytes = Uint8Array.from(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
  return JSON.parse(new TextDecoder().decode(bytes))
}

// A browser's name among the many that each browser claims to be.
const device = (agent) => {
  const first = (names) => names.find(([pattern]) => pattern.test(agent))?.[1]
  const browser = first([[/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\//, 'Firefox'], [/Chrome\//, 'Chrome'], [/Safari\//, 'Safari'], [/curl\//, 'curl']])
  const system = first([[/iPhone|iPad/, 'iOS'], [/Android/, 'Android'], [/Windows/, 'Windows'], [/Mac OS X/, 'macOS'], [/Linux/, 'Linux']])
  return [browser ?? agent, browser && system].filter(Boolean).join(' on ')
}

const when = (time) => time && new Date(time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
const timeOf = (millis) => new Date(millis).toLocaleTimeString()
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`

// Does what a button says; it and its companions rest meanwhile, and what goes wrong is told. A disabled button would lose
// the keyboard's focus.
const busy = async (button, work, companions = [button]) => {
  if (button.ariaDisabled === 'true') return
  for (const one of companions) one.ariaDisabled = 'true'
  try {
    return await work()
  } catch (error) {
    tell(`${button.textContent}: ${error.message}`)
    $('story').textContent = `${button.textContent}: ${error.message}`
  } finally {
    for (const one of companions) one.ariaDisabled = 'false'
  }
}

// -------------------------------------------------------------------------------------------------------- what is shown

let shown = null // the access token on the page
let status = null

const showToken = async () => {
  if (document.hidden || session.getSnapshot().status !== 'signed_in') return
  const token = await session.getAccessToken().catch(() => shown)
  if (!token || session.getSnapshot().status !== 'signed_in') return
  const claims = decode(token)
  if (token !== shown) {
    if (shown) tell('A new access token, and a new cookie')
    shown = token
    $('token').textContent = token
    define($('claims'), {
      'sub (who)': claims.sub,
      'aud (for whom)': String(claims.aud),
      'iss (by whom)': claims.iss,
      'iat (since)': new Date(claims.iat * 1000).toLocaleTimeString(),
      'exp (until)': new Date(claims.exp * 1000).toLocaleTimeString(),
      'jti (which one)': claims.jti,
    })
  }
  const life = claims.exp - claims.iat
  const left = Math.max(0, claims.exp - serverTime() / 1000)
  $('left').textContent = clock(left)
  $('life').textContent = clock(life)
  $('bar').value = Math.min(1, left / life)
  $('bar').textContent = `${Math.floor(left)} s`
  $('cookie').textContent = JSON.stringify(document.cookie)
}

// One request and its answer, as a line.
const line = ({ number, time, actor, method, path, authorization, presented, answered, status, code, verdict, lost }) => {
  const item = make('li', '', { className: actor, value: number })
  const brought = [presented && `cookie ${presented}`, { undefined: '“Bearer undefined”', token: 'access token', other: 'Authorization' }[authorization]]
  const got = [lost ? 'lost on the way' : null, answered && answered !== presented ? `cookie ${answered}` : null]
  const passage = [brought.filter(Boolean).join(' + ') || 'nothing', got.filter(Boolean).join(', ')].filter(Boolean).join(' → ')
  item.append(
    make('time', timeOf(time)),
    make('span', actor === 'thief' ? 'thief' : 'browser', { className: 'actor' }),
    make('code', `${method} ${path}`),
    make('span', passage, { className: 'passage' }),
    make('span', verdict ?? code ?? String(status), { className: `verdict ${verdict ?? (status < 400 ? 'fine' : 'failed')}`, title: VERDICTS[verdict] ?? `HTTP ${status}` }),
  )
  return item
}

let newest = null // the entry of the newest line
const showWire = () => {
  const known = entries.indexOf(newest)
  const fresh = entries.slice(known + 1)
  if (known < 0) $('wire').replaceChildren()
  $('wire').prepend(...fresh.map(line).reverse())
  while ($('wire').children.length > entries.length) $('wire').lastChild.remove()
  newest = entries.at(-1) ?? null
  const ahead = server.skipped ? `The server’s clock says ${timeOf(serverTime())}, ${clock(server.skipped)} ahead.` : ''
  const stopped = server.stopped_for > 0 ? ` The issuer is stopped for ${Math.ceil(server.stopped_for)} s.` : ''
  const fixed = server.may_skip ? '' : ' PostgreSQL has a clock of its own, which does not skip: what needs that is left out.'
  $('clock').textContent = ahead + stopped + fixed
  for (const button of document.querySelectorAll('[data-skips]')) button.hidden = !server.may_skip
}

// The session of this tab, over reloads: its id is no secret.
const MINE = 'symbolon demo session'

const showWhy = async () => {
  const id = sessionStorage.getItem(MINE)
  if (!id) return
  // The page knows of a sign-out before the server does.
  for (let tries = 0; tries < 20; tries++) {
    const why = await explain(id).catch(nothing)
    if (session.getSnapshot().status !== 'signed_out') return
    if (why && !why.summary.startsWith('active')) return showExplanation(id, why)
    await new Promise((done) => setTimeout(done, 500))
  }
}

const showExplanation = (id, { summary, decisions }) => {
  $('summary').textContent = `The session ${summary}.`
  $('explained').textContent = id
  $('decisions').replaceChildren(
    ...decisions.map(({ time, kind, presented, current, user_agent }) => {
      const item = make('li')
      const tokens = presented ? `: cookie ${presented} came while ${current} was current` : ''
      item.append(make('time', timeOf(time)), make('span', [`${kind}${tokens}`, user_agent && device(user_agent)].filter(Boolean).join(', by ')))
      return item
    }),
  )
  $('why').hidden = false
}

const showSessions = async () => {
  const listed = await session.sessions()
  $('sessions').replaceChildren(
    ...listed.map((one) => {
      const item = make('li')
      const what = make('div')
      what.append(make('p', one.current ? 'This browser' : one.label || device(one.user_agent ?? '') || 'Another browser'))
      const since = [`since ${when(one.create_time)}`, one.last_refresh_time && `last seen ${when(one.last_refresh_time)}`, one.ip_address]
      what.append(make('p', since.filter(Boolean).join(' · '), { className: 'quiet' }))
      const end = make('button', one.current ? 'Sign out here' : 'End it', { className: 'small', type: 'button' })
      end.setAttribute('aria-label', `${end.textContent}: the session that began ${when(one.create_time)}`)
      end.onclick = () =>
        busy(end, async () => {
          await session.endSession(one.session_id)
          if (one.current) return
          tell('Another session was ended')
          await showSessions()
        })
      item.append(what, end)
      return item
    }),
  )
}

const STATES = { restoring: 'Looking for a session…', signed_out: 'Signed out', signed_in: 'Signed in' }

const show = () => {
  const now = session.getSnapshot()
  const who = now.status === 'signed_in' ? `${STATES.signed_in} as ${now.session.subject}` : STATES[now.status]
  $('state').textContent = now.trouble ? `${who} · waiting for the server` : who
  $('state').className = `state ${now.status} ${now.trouble ? 'trouble' : ''}`
  $('sign-in').hidden = now.status !== 'signed_out'
  $('account').hidden = now.status !== 'signed_in'
  $('devices').hidden = now.status !== 'signed_in'
  $('why').hidden ||= now.status !== 'signed_out'
  if (now.status === 'signed_in') {
    sessionStorage.setItem(MINE, now.session.session_id)
    define($('session'), {
      'signed in': when(now.session.create_time),
      'at the latest until': when(now.session.expire_time),
      'if unused until': when(now.session.idle_expire_time),
      session: now.session.session_id,
    })
    showToken()
  } else if (now.status === 'signed_out') {
    shown = null
    for (const id of ['token', 'claims', 'session', 'sessions', 'frames']) $(id).replaceChildren()
  }
  if (status !== now.status) {
    const first = status === null || status === 'restoring'
    status = now.status
    if (status === 'signed_out') showWhy()
    if (status === 'signed_in') {
      tell(first ? 'The cookie brought the session back' : `Signed in as ${now.session.subject}`)
      showSessions().catch(nothing)
    }
    // Who works by keyboard goes on where the page goes on.
    if (!first && status === 'signed_in') $('access-title').focus()
    if (!first && status === 'signed_out') $('username').focus()
  }
}
const nothing = () => {}

// -------------------------------------------------------------------------------------------------------------- buttons

$('sign-in').onsubmit = (event) => {
  event.preventDefault()
  $('refused').hidden = true
  busy(event.submitter, async () => {
    try {
      await session.login({ username: $('username').value, password: $('password').value, remember: $('remember').checked })
    } catch (error) {
      $('refused').textContent = REFUSALS[error.code] ?? (error.retryAfter ? `Too many attempts. Try again in ${error.retryAfter} s.` : error.message)
      $('refused').hidden = false
    }
  })
}
// Plays a scene; only one plays at a time, or they would see each other's requests.
const play = (button, scene) => {
  const all = [...document.querySelectorAll('[data-scene]'), $('refresh')]
  const work = async () => {
    $('story').textContent = '…'
    $('story').textContent = await scenes[scene](session, $('frames'))
    await look().catch(nothing)
    await showToken()
  }
  return busy(button, work, all)
}
for (const button of document.querySelectorAll('[data-scene]')) button.onclick = () => play(button, button.dataset.scene)
$('refresh').onclick = () => play($('refresh'), 'refresh')
$('reload').onclick = () => location.reload()
$('list').onclick = () => busy($('list'), showSessions)
$('sign-out-all').onclick = () => busy($('sign-out-all'), () => session.logoutAll())
$('sign-out').onclick = () =>
  busy($('sign-out'), async () => {
    if (!(await session.logout())) tell('The server cannot be reached: the sign-out will be finished when it is back')
  })

define($('verdicts'), VERDICTS)
onLook(showWire)
session.subscribe(show)
show()
setInterval(showToken, 250)
// Asked for again and again, and not a stream: ten tabs with one would use up all connections a browser has for a server.
setInterval(() => document.hidden || look().catch(nothing), 1000)
document.addEventListener('visibilitychange', showToken)
