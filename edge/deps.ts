import type { KnownKeys } from './auth.ts'
import type { Engine } from './engine.ts'
import type { ResponseStore } from './responseStore.ts'

/** Everything `createApp` needs from its host; the app itself has no clock, randomness or configuration. */
export interface AppDeps {
  engine: Engine
  /** Keeps the responses of the Responses API; `off`: nothing is kept; default in memory. */
  responses?: ResponseStore | 'off'
  log?: (entry: LogEntry) => void
  limits: { maxBodyBytes: number }
  /** Exact origins, or `['*']` for any. */
  cors: { origins: string[] }
  /** Names of this server beside addresses and localhost, against DNS rebinding; `['*']`: any. */
  hosts: string[]
  /** Absent or empty: every key, and none, is accepted. */
  auth?: Partial<KnownKeys>
  /** Unix milliseconds. */
  clock: () => number
  /** At least 24 random letters and digits, without a prefix. */
  newId: () => string
  /** Silence on a stream after which a comment is sent, so that proxies and clients keep it open. */
  keepAliveMs: number
  /** OpenAI's behaviour where existing clients of this kind of server expect another. */
  strictOpenai: boolean
}

/** What routes get: each request brings its own engine, `scope.engine`, which stays within what its client may do. */
export type RouteDeps = Omit<AppDeps, 'engine'>

/** How a request ended, as far as the client could see. */
export type RequestEnd = 'completed' | 'error' | 'client_disconnected'

export type LogEntry =
  | { event: 'request_started'; requestId: string; method: string; path: string }
  | {
      event: 'request_completed'
      requestId: string
      method: string
      path: string
      status: number
      /** To the last byte handed over, for streams too. */
      durationMs: number
      end: RequestEnd
      model?: string
      promptTokens?: number
      completionTokens?: number
    }
  /** A failure the client only sees as a 500 or an error event. */
  | { event: 'internal_error'; requestId: string; error: unknown }
