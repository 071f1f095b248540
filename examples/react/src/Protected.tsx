// What stands in front of pages for people who are signed in. Copy this file.

import { Navigate, Outlet, useLocation } from 'react-router'
import { useSession } from './session'

export function Protected() {
  const { status, session } = useSession()
  const from = useLocation()
  if (status === 'restoring') return <Restoring />
  // Where somebody wanted to go is kept in the history, which no link can write: nobody is sent elsewhere after sign-in.
  if (status === 'signed_out') return <Navigate to="/sign-in" replace state={{ from }} />
  // When somebody else has signed in, in another tab, nothing that was shown to the one before stays.
  return <Outlet key={session?.session_id} />
}

export function Restoring() {
  return <p aria-busy="true">One moment …</p>
}
