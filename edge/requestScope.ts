import type { Client } from './client.ts'
import { ClientEngine } from './clientEngine.ts'
import type { AppDeps, RequestEnd } from './deps.ts'

/** Probes and static pages would drown the log. */
const housekeeping = new Set(['/', '/health', '/ready'])

const MAX_REQUEST_ID_LENGTH = 128

/** What is known about one request while it runs: its id, its client, its clock and its log line. */
export class RequestScope {
  readonly id: string
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  /** For everything the request asks of the engine. */
  engine: ClientEngine
  readonly #deps: AppDeps
  readonly #method: string
  readonly #path: string
  readonly #startMs = performance.now()
  #client: Client | undefined
  #ended = false
  /** Set by a route that answers with a stream: the request ends with it, not with its headers. */
  streaming = false
  /** Things the client should know of an answer that is not an error. */
  readonly warnings: string[] = []
  model: string | undefined
  promptTokens: number | undefined
  completionTokens: number | undefined

  constructor(deps: AppDeps, request: Request, path: string) {
    this.id = incomingId(request) ?? `req_${deps.newId()}`
    this.signal = request.signal
    this.engine = new ClientEngine(deps, this.id, undefined)
    this.#deps = deps
    this.#method = request.method
    this.#path = path
    if (this.#logged) {
      deps.log?.({
        event: 'request_started',
        requestId: this.id,
        method: this.#method,
        path: this.#path,
      })
    }
  }

  /** Tells whose request it is. */
  identify(client: Client): void {
    this.engine = new ClientEngine(this.#deps, this.id, client)
    this.#client = client
  }

  /** What the client's key may still do; nothing where there are no limits. */
  limitHeaders(): Record<string, string> {
    return this.#client?.limits?.headers(this.#deps.clock()) ?? {}
  }

  get elapsedMs(): number {
    return performance.now() - this.#startMs
  }

  reportInternalError(error: unknown): void {
    this.#deps.log?.({ event: 'internal_error', requestId: this.id, error })
  }

  /** Writes the log line; only the first call counts. */
  end(end: RequestEnd, status: number): void {
    if (this.#ended) return
    this.#ended = true
    if (!this.#logged) return
    this.#deps.log?.({
      event: 'request_completed',
      requestId: this.id,
      method: this.#method,
      path: this.#path,
      status,
      durationMs: this.elapsedMs,
      end,
      ...(this.model !== undefined && { model: this.model }),
      ...(this.promptTokens !== undefined && { promptTokens: this.promptTokens }),
      ...(this.completionTokens !== undefined && { completionTokens: this.completionTokens }),
    })
  }

  get #logged(): boolean {
    return this.#method !== 'OPTIONS' && !housekeeping.has(this.#path)
  }
}

/** Hono environment of all routes. */
export type AppEnv = { Variables: { scope: RequestScope } }

/** A client's own id, cut to what is safe to echo and to log. */
function incomingId(request: Request): string | undefined {
  const id = request.headers.get('x-request-id')?.replace(/[^\x21-\x7e]/g, '')
  return id ? id.slice(0, MAX_REQUEST_ID_LENGTH) : undefined
}
