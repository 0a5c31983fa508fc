import type { ServerResponse } from 'node:http'
import type { Http2ServerResponse } from 'node:http2'
import type { Patience } from './slowBodies.ts'

type Answer = ServerResponse | Http2ServerResponse

/**
 * Answers on their way out. Those that were written whole and are not taken are cut off in the end: a client that keeps its
 * connection and reads nothing would hold on to them for good. One timer looks at them all, as most are gone before it does.
 */
export class OpenAnswers {
  readonly #answerMs: number
  readonly #open = new Set<Answer>()
  /** When answers that were whole by then were first seen. */
  readonly #wholeAtMs = new Map<Answer, number>()
  readonly #timer: NodeJS.Timeout
  /** One for all, rather than a closure for each. */
  readonly #forget: (this: Answer) => void

  constructor({ answerMs }: Pick<Patience, 'answerMs'>) {
    this.#answerMs = answerMs
    const [open, wholeAtMs] = [this.#open, this.#wholeAtMs]
    this.#forget = function (this: Answer) {
      open.delete(this)
      wholeAtMs.delete(this)
    }
    this.#timer = setInterval(() => this.#check(), Math.min(10_000, answerMs / 4)).unref()
  }

  get size(): number {
    return this.#open.size
  }

  watch(answer: Answer): void {
    this.#open.add(answer)
    answer.on('close', this.#forget)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #check(): void {
    const nowMs = performance.now()
    for (const answer of this.#open) {
      if (!answer.writableEnded) continue
      const sinceMs = this.#wholeAtMs.get(answer)
      if (sinceMs === undefined) this.#wholeAtMs.set(answer, nowMs)
      else if (nowMs - sinceMs >= this.#answerMs) answer.destroy()
    }
  }
}
