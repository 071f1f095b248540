// Compiled, never run: what an application writes must type-check, and what it must not write must not.
import { createSession, SymbolonError, type Session, type SessionInfo, type Snapshot } from "@symbolon/web"

const session: Session = createSession({
  authUrl: "https://auth.example.com/auth",
  apiOrigins: ["https://api.example.com"],
  restore: "always",
  onSignedOut: (reason) => {
    const known: "signed_out" | "session_expired" | "session_revoked" | "session_reused" | "session_invalid" | "no_session" = reason
    console.log(known)
  },
  fetch,
})

createSession({ apiOrigins: [] })
// @ts-expect-error the origins a token may go to are never guessed
createSession({ authUrl: "/auth" })
// @ts-expect-error a typing error is not silently "hint"
createSession({ apiOrigins: [], restore: "never" })

const answer: Promise<Response> = session.fetch(new URL("https://api.example.com/things"), { method: "POST", body: "{}" })
const token: Promise<string | null> = session.getAccessToken({ rejected: "…" })
const done: Promise<boolean> = session.logout()
const unsubscribe: () => void = session.subscribe(() => {})

async function signIn(): Promise<SessionInfo | undefined> {
  try {
    return await session.login({ username: "alice", password: "alice", remember: false })
  } catch (error) {
    if (!(error instanceof SymbolonError)) throw error
    if (error.code === "more_required") console.log(error.problem?.details)
    if (error.retryAfter > 0) console.log(error.retryAfter.toFixed())
    return undefined
  }
}

// React's signature, without React.
declare function useSyncExternalStore<T>(subscribe: (changed: () => void) => () => void, get: () => T, getOnServer?: () => T): T
const snapshot: Snapshot = useSyncExternalStore(session.subscribe, session.getSnapshot, session.getServerSnapshot)
if (snapshot.status === "signed_in") console.log(snapshot.session?.subject)
// @ts-expect-error a snapshot shows no token
console.log(snapshot.access_token)
// @ts-expect-error and is nobody's to change
snapshot.status = "signed_out"

async function list(): Promise<void> {
  for (const one of await session.sessions()) if (!one.current) await session.endSession(one.session_id)
  await session.logoutAll()
}

export { answer, token, done, unsubscribe, signIn, list }
