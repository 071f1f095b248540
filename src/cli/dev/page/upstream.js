// All that a page does in BFF mode: it signs in and out. Whatever else it asks for carries the cookie by itself.

const post = (path, body) =>
  fetch(`/auth${path}`, {
    method: 'POST',
    headers: { 'X-Symbolon-CSRF': '1', ...(body && { 'Content-Type': 'application/json' }) },
    body: body && JSON.stringify(body),
  })

const back = () => {
  const path = new URLSearchParams(location.search).get('return_to') ?? '/'
  // A path on this host, whatever a link says.
  const there = new URL(path, location.origin)
  location.assign(there.origin === location.origin ? there.href : '/')
}

document.getElementById('sign-in').onsubmit = async (event) => {
  event.preventDefault()
  const value = (id) => document.getElementById(id).value
  const answer = await post('/login', { username: value('username'), password: value('password') })
  if (answer.ok) return back()
  const refused = document.getElementById('refused')
  refused.hidden = false
  refused.textContent = (await answer.json()).detail
}
document.getElementById('sign-out').onclick = async () => {
  await post('/logout')
  location.assign('/')
}
