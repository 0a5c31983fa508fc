import type { KnownKeys } from './access/auth.ts'
import type { Engine } from './engine.ts'
import type { StreamSource } from './streamSource.ts'

/** What requests need from the host; the app itself has no clock, randomness or configuration. */
export interface AppDeps {
  engine: Engine
  log?: (entry: LogEntry) => void
  /** Takes measurements of streams; absent: none are made. */
  measure?: (measurement: Measurement) => void
  /** Everything measured so far, as Prometheus text; absent: GET /metrics is 503. */
  metrics?: () => Promise<string>
  /** false: answers do not carry `x-request-id`. */
  requestIdHeader?: boolean
  /** Probes and scrapes are logged too. */
  logHealth?: boolean
  limits: { maxBodyBytes: number }
  /** Exact origins, or `['*']` for any. */
  cors: { origins: string[] }
  /** Names of this server beside addresses and localhost, against DNS rebinding; `['*']`: any. */
  hosts: string[]
  /** Absent or empty: every key, and none, is accepted. */
  auth?: Partial<KnownKeys>
  /** Bodies of static files of pages, by paths such as `/docs/swagger-ui.css`; absent: there are no pages. */
  assets?: (path: string) => Promise<Response | undefined>
  /** Unix milliseconds. */
  clock: () => number
  /** At least 24 random letters and digits, without a prefix. */
  newId: () => string
  /** Silence on a stream after which a comment is sent, so that proxies and clients keep it open. */
  keepAliveMs: number
  /** OpenAI's behaviour where existing clients of this kind of server expect another. */
  strictOpenai: boolean
}

/** What a host knows of the connection that a request comes by. */
export interface Connection {
  /** Resolves when the body comes too slowly to wait for it any longer, with what to tell the client. */
  tooSlow?: Promise<string>
  /** Answers 200 with a stream in less memory than a `ReadableStream` takes, where the host can. */
  sendStream?: (source: StreamSource, headers: Record<string, string>) => Response
}

/** What routes get: each request brings its own engine, `scope.engine`, which stays within what its client may do. */
export type RouteDeps = Omit<AppDeps, 'engine'>

/** How a request ended, as far as the client could see. */
export type RequestEnd = 'completed' | 'error' | 'client_disconnected'

/** Time to the first token of a stream since its request came, and between its later steps. */
export interface Measurement {
  kind: 'first_token' | 'step'
  model: string
  ms: number
}

interface RequestNames {
  requestId: string
  method: string
  /** As the client wrote it, without the query. */
  path: string
  /** Its path in `/openapi.json`, `<unmatched>` for none: there are few of them. */
  route: string
  /** As declared. */
  bodyBytes?: number
}

export type LogEntry =
  | ({ event: 'request_started' } & RequestNames)
  | ({
      event: 'request_completed'
      status: number
      /** To the last byte handed over, for streams too. */
      durationMs: number
      end: RequestEnd
      model?: string
      /** The model, `unknown` where the request named none that exists, `none` where there is none to name. */
      modelLabel: string
      promptTokens?: number
      completionTokens?: number
    } & RequestNames)
  /** A failure the client only sees as a 500 or an error event. */
  | { event: 'internal_error'; requestId: string; error: unknown }
