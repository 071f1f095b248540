// The session with Symbolon's edge, and the hook that shows it. Copy this file.

import { useSyncExternalStore } from 'react'
import { createSession, type Snapshot } from '@symbolon/web'

/**
 * One for the page and in no component: there is one cookie, however often a component is mounted. The access token goes
 * to the page's own origin, where Vite, or your proxy, has the services too, and to no other.
 */
export const session = createSession({ authUrl: '/auth', apiOrigins: [location.origin] })

/**
 * Who is signed in. `status` is `restoring` while that is not known, also during an outage: show neither the sign-in form
 * nor an empty account then.
 */
export const useSession = (): Snapshot =>
  useSyncExternalStore(session.subscribe, session.getSnapshot, session.getServerSnapshot)

// When you edit this file, Vite puts the new one in its place.
import.meta.hot?.dispose(() => session.close())
