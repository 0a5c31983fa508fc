import { parseEventStream, type ServerSentEvent } from './eventStream.ts'
import { NotMet } from './outcome.ts'

/** A whole answer of the server. */
export interface Answer {
  status: number
  headers: Headers
  text: string
}

export interface Streamed extends Answer {
  events: ServerSentEvent[]
}

/** A random model may write for as long as it may. */
const TIMEOUT_MS = 120_000

/** The server that is checked. */
export class Api {
  readonly #origin: string
  readonly #key: string | undefined
  /** Asked for in every request that names one. */
  readonly model: string

  /** @param baseUrl with or without `/v1` */
  constructor(baseUrl: string, key: string | undefined, model: string) {
    this.#origin = baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '')
    this.#key = key
    this.model = model
  }

  get hasKey(): boolean {
    return this.#key !== undefined
  }

  as(key: string | undefined): Api {
    return new Api(this.#origin, key, this.model)
  }

  /** @throws Error when the server cannot be reached, or does not answer in time */
  async send(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    const headers = new Headers(init.headers)
    if (this.#key !== undefined) headers.set('authorization', `Bearer ${this.#key}`)
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(`${this.#origin}${path}`, { ...init, method, headers, signal })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  /** Posts JSON; the model is added unless the body names one. */
  post(path: string, body: object, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('POST', path, {
      body: JSON.stringify({ model: this.model, ...body }),
      headers: { 'content-type': 'application/json', ...headers },
    })
  }

  async stream(path: string, body: object): Promise<Streamed> {
    const answer = await this.post(path, { ...body, stream: true })
    return { ...answer, events: answer.status === 200 ? parseEventStream(answer.text) : [] }
  }
}

/** @throws NotMet where a text that should be JSON is not */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new NotMet(`${what} is not JSON: ${text.slice(0, 80)}`)
  }
}
