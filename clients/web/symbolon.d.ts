/** The session with one edge. Start it once; `close()` it when the component or the test that started it goes. */
export function createSession(options: Options): Session

export interface Options {
  /** Where the edge's routes begin, e.g. `https://auth.example.com/auth`. Default: `/auth` on the page's own host. */
  authUrl?: string
  /** The origins of your own services, e.g. `["https://api.example.com"]`: the access token goes there and nowhere else. */
  apiOrigins: readonly string[]
  /**
   * When a page load asks the edge for a session: `"hint"` (default) only if somebody signed in here with this module
   * and did not sign out; `"always"` also for everybody else, for backends that set the cookie themselves.
   */
  restore?: "hint" | "always"
  /** Called when a session ends, here or in another tab. Not called for a page load that finds nobody signed in. */
  onSignedOut?: (reason: SignedOutReason) => void
  /** Instead of the global `fetch`, for tests and instrumentation. */
  fetch?: typeof fetch
}

/** `signed_out`: the user did it, here or in another tab. The rest is the edge's word. */
export type SignedOutReason =
  | "signed_out"
  | "session_expired"
  | "session_revoked"
  | "session_reused"
  | "session_invalid"
  | "no_session"

export interface Session {
  /**
   * Like the global `fetch`. For `apiOrigins` it attaches the access token, gets a new one when that has run out, and
   * asks once more, with another token, when the service answers 401; a second 401 is yours. A request with its own
   * `Authorization`, or to any other origin, is passed on untouched. With a token no redirect is followed: it rejects
   * with a `TypeError`, because the token must not travel to wherever it leads.
   *
   * Signed out, it sends the request without a token. While no token can be had (an outage) it rejects with a
   * `SymbolonError`: that is not a sign-out.
   */
  fetch: typeof fetch
  /**
   * A token that is good now, for axios or a WebSocket; null when signed out. `rejected`: the token a service has just
   * answered 401 to, to get another one.
   */
  getAccessToken(options?: { rejected?: string | null }): Promise<string | null>
  /** Gets a new token now. Also looks for a session that began by other means (a cookie set by your backend). */
  refresh(): Promise<string | null>
  /**
   * Signs in. `credentials` is whatever JSON object your backend's verifier understands; `remember: false` in it makes
   * the session end with the browser. Rejects with a `SymbolonError`: `credentials_rejected`, `more_required` (then
   * `problem.details` says what; call again with more), `locked` or `rate_limited` (see `retryAfter`), …
   */
  login(credentials: Record<string, unknown>): Promise<SessionInfo>
  /**
   * Signs out: the token is gone when this returns, in all tabs. True: the edge has ended the session. False: it could
   * not be reached; that is remembered, over reloads too, and done before anything else is asked of it. Never rejects.
   */
  logout(): Promise<boolean>
  /** Ends all sessions of this user, everywhere, this one too. */
  logoutAll(): Promise<void>
  /** The user's live sessions; `current` is this one. */
  sessions(): Promise<SessionListItem[]>
  /** Ends one of them. */
  endSession(sessionId: string): Promise<void>
  /** Calls `listener` after every change of the snapshot, until the function it returns is called. */
  subscribe(listener: () => void): () => void
  /** The same object until something changes: `useSyncExternalStore(s.subscribe, s.getSnapshot, s.getServerSnapshot)`. */
  getSnapshot(): Snapshot
  /** What a server renders, and the browser hydrates. */
  getServerSnapshot(): Snapshot
  /** Stops timers, listeners and the channel to other tabs. Ends no session. */
  close(): void
}

/** What a page may show. Never a token. */
export interface Snapshot {
  /** `restoring`: not known yet, also during an outage; show neither the sign-in form nor an empty account. */
  readonly status: "restoring" | "signed_in" | "signed_out"
  readonly session: SessionInfo | null
  /** Why it ended; null if nobody was signed in. */
  readonly reason: SignedOutReason | null
  /** The code of what stands in the way of the next refresh or sign-out, e.g. `network`, `issuer_unavailable`. */
  readonly trouble: string | null
}

/** Times are RFC 3339. */
export interface SessionInfo {
  readonly session_id: string
  readonly subject: string
  readonly client_id: string
  readonly create_time: string
  readonly expire_time: string
  readonly idle_expire_time: string
  readonly acr?: string
  readonly amr?: readonly string[]
  readonly auth_time?: string
}

/** One of `sessions()`, as its owner may see it: times are rounded down to the hour. */
export interface SessionListItem {
  readonly session_id: string
  readonly client_id: string
  readonly current: boolean
  readonly create_time: string
  readonly last_refresh_time?: string
  readonly expire_time: string
  readonly idle_expire_time?: string
  readonly user_agent?: string
  readonly ip_address?: string
  readonly label?: string
}

/** An answer that was not the wished one. `code` is stable: the edge's, or `network`, `unexpected_answer`, `http_502`, `closed`. */
export class SymbolonError extends Error {
  readonly name: "SymbolonError"
  readonly code: string
  /** HTTP status, 0 if there was no answer. */
  readonly status: number
  readonly retryable: boolean
  /** Seconds, 0 if unknown. */
  readonly retryAfter: number
  /** The edge's answer, `application/problem+json`. */
  readonly problem: { readonly code?: string; readonly detail?: string; readonly details?: Record<string, unknown>; readonly [member: string]: unknown } | null
}
