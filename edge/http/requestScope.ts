import type { Client } from '../access/client.ts'
import { ClientEngine } from '../access/clientEngine.ts'
import type { AppDeps, Connection, RequestEnd } from '../deps.ts'
import type { Route } from './routing.ts'

/** Probes, scrapes and static pages, which would drown the log; everything else is below `/v1`. */
const housekeeping =
  /^\/(health|ready|metrics|docs(\/.*)?|ui(\/.*)?|openapi\.json|api-doc\/openapi\.json)?$/

/** Routes whose requests name a model. */
const withModel =
  /^\/v1\/((chat\/)?completions|responses(\/input_tokens)?|messages(\/count_tokens)?|embeddings|(de)?tokenize|apply-template|models\/(un|re)load|models\/status)$/

const MAX_REQUEST_ID_LENGTH = 128
const MAX_WARNING_LENGTH = 1000

export interface RequestTerms {
  /** Of the route that answers, without `/v1`; undefined for none. */
  pattern: string | undefined
  /** The headers for pages of other origins. */
  cors: Record<string, string>
}

/** What is known about one request while it runs: its id, its client, its clock and its log line. */
export class RequestScope {
  readonly id: string
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal
  /** For everything the request asks of the engine. */
  engine: ClientEngine
  readonly #deps: AppDeps
  readonly #cors: Record<string, string>
  readonly #names: {
    requestId: string
    method: string
    path: string
    route: string
    bodyBytes?: number
  }
  readonly #isLogged: boolean
  readonly #startMs = performance.now()
  #client: Client | undefined
  #ended = false
  #lastStepMs = -1
  /** Set by a route that answers with a stream: it brings its headers, and the request ends with it. */
  streaming = false
  /** Things the client should know of an answer that is not an error. */
  readonly warnings: string[] = []
  model: string | undefined
  promptTokens: number | undefined
  completionTokens: number | undefined

  constructor(deps: AppDeps, request: Request, { pattern, cors }: RequestTerms) {
    this.id = incomingId(request) ?? `req_${deps.newId()}`
    this.signal = request.signal
    this.engine = new ClientEngine(deps.engine, this.id, undefined)
    this.#deps = deps
    this.#cors = cors
    const { pathname } = new URL(request.url)
    const bodyBytes = Number(request.headers.get('content-length') ?? Number.NaN)
    this.#names = {
      requestId: this.id,
      method: request.method,
      path: pathname,
      route: pattern === undefined ? '<unmatched>' : documentedPath(pattern),
      ...(Number.isSafeInteger(bodyBytes) && { bodyBytes }),
    }
    const isHousekeeping = pattern !== undefined && housekeeping.test(pattern)
    this.#isLogged = request.method !== 'OPTIONS' && (!isHousekeeping || deps.logHealth === true)
    if (this.#isLogged) deps.log?.({ event: 'request_started', ...this.#names })
  }

  /** Tells whose request it is. */
  identify(client: Client): void {
    this.engine = new ClientEngine(this.#deps.engine, this.id, client)
    this.#client = client
  }

  /** What every answer carries, beside the headers of its own. */
  answerHeaders(): Record<string, string> {
    const { requestIdHeader } = this.#deps
    return {
      // The second is the name that Anthropic's clients read.
      ...(requestIdHeader !== false && { 'x-request-id': this.id, 'request-id': this.id }),
      'openai-processing-ms': String(Math.round(this.#elapsedMs)),
      'openai-version': '2020-10-01',
      ...this.#client?.limits?.headers(),
      ...(this.warnings.length > 0 && { 'x-warning': warningText(this.warnings) }),
      ...this.#cors,
    }
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startMs
  }

  /** Said, not refused: agents list tools of their maker's servers whether or not they are needed. */
  warnOfToolsLeft(types: string[]): void {
    if (types.length === 0) return
    this.warnings.push(`tools left out: ${[...new Set(types)].join(', ')}`)
  }

  reportInternalError(error: unknown): void {
    this.#deps.log?.({ event: 'internal_error', requestId: this.id, error })
  }

  /** Measures when tokens are handed to the client. */
  tokensSent(): void {
    const { measure } = this.#deps
    if (measure === undefined) return
    const nowMs = performance.now()
    const isFirst = this.#lastStepMs < 0
    const sinceMs = isFirst ? this.#startMs : this.#lastStepMs
    this.#lastStepMs = nowMs
    const model = this.model ?? 'unknown'
    measure({ kind: isFirst ? 'first_token' : 'step', model, ms: nowMs - sinceMs })
  }

  /** Writes the log line; only the first call counts. */
  end(end: RequestEnd, status: number): void {
    if (this.#ended) return
    this.#ended = true
    if (!this.#isLogged) return
    this.#deps.log?.({
      event: 'request_completed',
      ...this.#names,
      status,
      durationMs: this.#elapsedMs,
      end,
      modelLabel: this.model ?? (withModel.test(this.#names.route) ? 'unknown' : 'none'),
      ...(this.model !== undefined && { model: this.model }),
      ...(this.promptTokens !== undefined && { promptTokens: this.promptTokens }),
      ...(this.completionTokens !== undefined && { completionTokens: this.completionTokens }),
    })
  }
}

/** Hono environment of all routes. */
export type AppEnv = { Bindings: Connection; Variables: { scope: RequestScope; route: Route } }

/** A pattern as `/openapi.json` writes it. */
function documentedPath(pattern: string): string {
  if (housekeeping.test(pattern)) return pattern
  return `/v1${pattern.replace(/:(\w+)(\{.*?\})?/g, '{$1}')}`
}

/** What a header may carry; the texts may quote the request. */
function warningText(warnings: string[]): string {
  return warnings
    .join('; ')
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, MAX_WARNING_LENGTH)
}

/** A client's own id, cut to what is safe to echo and to log. */
function incomingId(request: Request): string | undefined {
  const id = request.headers.get('x-request-id')?.replace(/[^\x21-\x7e]/g, '')
  return id ? id.slice(0, MAX_REQUEST_ID_LENGTH) : undefined
}
