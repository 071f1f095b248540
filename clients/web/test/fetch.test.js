// Where the access token goes, and what a 401 does.
import assert from 'node:assert/strict'
import test from 'node:test'
import { World, after, grant, lost, problem } from './world.js'

const bearer = (n) => `Bearer token-${n}`

test('the access token is attached for the declared origins and nowhere else', async () => {
  const world = new World()
  const tab = await world.signedIn()
  for (const url of [
    'https://api.example.com/things',
    'https://api.example.com.evil.net/',
    'https://evil.net/?https://api.example.com',
    'https://api.example.com:8443/',
    'http://api.example.com/',
    'https://api.example.com@evil.net/',
    '/relative',
  ].map((url) => (url.startsWith('/') ? new URL(url, location.href) : url))) {
    await world.go(0, tab.fetch(url)).catch((error) => assert.match(String(error.cause ?? error), /credentials/))
  }
  assert.equal(world.requests[0].token, bearer(1))
  assert.ok(world.requests.length >= 5)
  for (const request of world.requests.slice(1)) assert.equal(request.token, null, request.url)
})

test('apiOrigins takes origins only, and is never guessed', async () => {
  const world = new World()
  await assert.rejects(world.tab({ apiOrigins: ['https://api.example.com/v1'] }), /origins, no paths/)
  await assert.rejects(world.tab({ apiOrigins: undefined }), TypeError)
})

test('with a token no redirect is followed, and the error says why', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.service = () => ({ status: 0, type: 'opaqueredirect' })
  await assert.rejects(world.go(0, tab.fetch('https://api.example.com/moved')), /an access token never follows/)
  assert.equal(world.requests[0].redirect, 'manual')
  const answer = await world.go(0, tab.fetch('https://api.example.com/moved', { redirect: 'manual' }))
  assert.equal(answer.type, 'opaqueredirect')
})

test("a request's own Authorization is left alone", async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.service = () => ({ status: 401 })
  const answer = await world.go(0, tab.fetch('https://api.example.com/', { headers: { Authorization: 'Basic eA==' } }))
  assert.equal(answer.status, 401)
  assert.equal(world.requests[0].token, 'Basic eA==')
  assert.equal(world.count('/refresh'), 0)
})

test('after a 401 the request is sent once more, whole, with a new token', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.service = (_, { token }) => ({ status: token === bearer(1) ? 401 : 200 })
  const answer = await world.go(0, tab.fetch('https://api.example.com/things', { method: 'POST', body: 'a body', headers: { 'X-Own': '1' } }))
  assert.equal(answer.status, 200)
  assert.deepEqual(world.requests.map(({ token, body }) => [token, body]), [[bearer(1), 'a body'], [bearer(2), 'a body']])
  assert.equal(world.count('/refresh'), 1)
})

test('a second 401 stops, and a service that refuses every token causes one refresh, not one a request', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.service = () => ({ status: 401 })
  for (let n = 0; n < 5; n++) assert.equal((await world.go(10, tab.fetch('https://api.example.com/'))).status, 401)
  assert.equal(world.count('/refresh'), 1)
  assert.equal(world.requests.length, 6)
})

test('twenty parallel 401s make one refresh', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.service = (request, { token }) => after(Number(request.url.split('=')[1]), { status: token === bearer(1) ? 401 : 200 })
  world.answers['/refresh'] = [after(25, grant(2))]
  // Some arrive before the refresh is asked for, some while it is under way, some when it is over.
  const all = Array.from({ length: 20 }, (_, n) => tab.fetch(`https://api.example.com/?late=${n * 3}`))
  const answers = await world.go(0, Promise.all(all))
  assert.deepEqual(new Set(answers.map((answer) => answer.status)), new Set([200]))
  assert.equal(world.count('/refresh'), 1)
})

test('a token that ran out is replaced before the request is sent', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.asleep(901_000)
  await world.go(0, tab.fetch('https://api.example.com/'))
  assert.deepEqual(world.requests.map(({ token }) => token), [bearer(2)])
})

test('signed out, a request goes without a token and a 401 is only a 401', async () => {
  const world = new World()
  const tab = await world.tab()
  world.service = () => ({ status: 401 })
  assert.equal((await world.go(0, tab.fetch('https://api.example.com/'))).status, 401)
  assert.equal(world.requests[0].token, null)
  assert.deepEqual(world.calls, [])
})

test('while no token can be had a request fails, and is not sent as if nobody were signed in', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.asleep(901_000)
  world.answers['/refresh'] = [problem(503, 'issuer_unavailable', { retryable: true })]
  await assert.rejects(world.go(0, tab.fetch('https://api.example.com/')), { code: 'issuer_unavailable', retryable: true })
  assert.deepEqual(world.requests, [])
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('a 401 whose refresh fails is the answer', async () => {
  const world = new World()
  const tab = await world.signedIn()
  world.service = () => ({ status: 401 })
  world.answers['/refresh'] = [lost, lost, lost]
  assert.equal((await world.go(0, tab.fetch('https://api.example.com/'))).status, 401)
  assert.equal(tab.getSnapshot().status, 'signed_in')
})

test('getAccessToken gives axios another token than the rejected one, once for all who ask', async () => {
  const world = new World()
  const tab = await world.signedIn()
  assert.equal(await world.go(0, tab.getAccessToken()), 'token-1')
  const all = Array.from({ length: 5 }, () => tab.getAccessToken({ rejected: 'token-1' }))
  assert.deepEqual(new Set(await world.go(0, Promise.all(all))), new Set(['token-2']))
  assert.equal(await world.go(0, tab.getAccessToken({ rejected: 'token-1' })), 'token-2')
  assert.equal(world.count('/refresh'), 1)
})
