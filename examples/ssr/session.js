// Who asks for a page: the request has the refresh cookie, the edge is asked with it as the browser would ask, and what
// the edge sets goes back with the page. Copy this file.

/** Only these, with 401, mean that nobody is signed in. Whatever else is answered says nothing of the session. */
const ENDED = ['session_expired', 'session_revoked', 'session_reused', 'session_invalid', 'no_session']
const UNKNOWN = { status: 'restoring' }

/**
 * @param edge.url where this server reaches the edge
 * @param edge.publicUrl what browsers call it
 * @param edge.patience how many milliseconds a page waits for it
 * @returns `status` as in the browser module: `signed_in`, `signed_out`, or `restoring` for "not known yet". Signed in,
 *   there are `session`, and `accessToken` for the calls that this server makes for the page: not for the page itself.
 */
export async function whoAsks(request, response, { url, publicUrl, patience = 3000 }) {
  // The page is one person's, and may set that person's cookie.
  response.setHeader('Cache-Control', 'private, no-store')
  let status, body
  try {
    const answer = await fetch(`${url}/auth/refresh`, {
      method: 'POST',
      headers: headers(request, publicUrl),
      redirect: 'error',
      signal: AbortSignal.timeout(patience),
    })
    // Before anything else can fail: it is the next cookie, and this one is spent.
    for (const cookie of answer.headers.getSetCookie()) response.appendHeader('Set-Cookie', cookie)
    status = answer.status
    body = await answer.json()
  } catch {
    return UNKNOWN
  }
  if (status === 200 && body?.session) return { status: 'signed_in', session: body.session, accessToken: body.access_token }
  if (status !== 401 || !ENDED.includes(body?.code)) return UNKNOWN
  // A SameSite=Strict cookie does not come along when a link of another site is followed: it may be there all the same.
  if (body.code === 'no_session' && request.headers['sec-fetch-site'] === 'cross-site') return UNKNOWN
  return { status: 'signed_out' }
}

const headers = ({ headers: asked, socket }, publicUrl) => ({
  Cookie: asked.cookie ?? '',
  Origin: new URL(publicUrl).origin,
  'X-Symbolon-CSRF': '1',
  // So that the session stays that of the user's device. The edge believes it of SYMBOLON_EDGE_TRUSTED_PROXIES.
  'User-Agent': asked['user-agent'] ?? '',
  'X-Forwarded-For': [asked['x-forwarded-for'], socket.remoteAddress].filter(Boolean).join(', '),
})
