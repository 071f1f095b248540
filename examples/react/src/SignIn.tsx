import { useState, type SubmitEvent } from 'react'
import { Navigate, useLocation, type To } from 'react-router'
import { SymbolonError } from '@symbolon/web'
import { Restoring } from './Protected'
import { session, useSession } from './session'

export function SignIn() {
  const { status } = useSession()
  const wanted = (useLocation().state as { from?: To } | null)?.from ?? '/orders'
  const [busy, setBusy] = useState(false)
  const [trouble, setTrouble] = useState('')

  if (status === 'restoring') return <Restoring />
  // Also when it was done in another tab.
  if (status === 'signed_in') return <Navigate to={wanted} replace />

  const signIn = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault()
    setBusy(true)
    try {
      await session.login(Object.fromEntries(new FormData(event.currentTarget)))
    } catch (error) {
      setTrouble(sentence(error))
    }
    setBusy(false)
  }

  return (
    <form onSubmit={(event) => void signIn(event)}>
      <h1>Sign in</h1>
      <label>
        User name <input name="username" autoComplete="username" placeholder="alice" required autoFocus />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete="current-password" placeholder="alice" required />
      </label>
      <button disabled={busy}>Sign in</button>
      {trouble && <p role="alert">{trouble}</p>}
    </form>
  )
}

/** For people. A second factor would be asked for here, at `more_required`. */
const sentence = (error: unknown) => {
  const { code, retryAfter } = error instanceof SymbolonError ? error : { code: '', retryAfter: 0 }
  if (code === 'credentials_rejected') return 'That user name and that password do not belong together.'
  if (code === 'locked' || code === 'rate_limited') return `Too many attempts. Try again in ${retryAfter || 60} seconds.`
  return 'That did not work. Please try again in a moment.'
}
