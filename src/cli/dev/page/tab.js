// One of ten tabs: a page of its own, which restores the session as every page does, and says so.

import { createSession } from '/symbolon.js'

const session = createSession({ authUrl: document.documentElement.dataset.auth, apiOrigins: [] })
const show = () => {
  const { status } = session.getSnapshot()
  const state = document.getElementById('state')
  state.className = `state ${status}`
  state.textContent = { restoring: '…', signed_in: 'in', signed_out: 'out' }[status]
  if (status !== 'restoring') parent.postMessage({ tab: location.hash, status }, location.origin)
}
session.subscribe(show)
show()
