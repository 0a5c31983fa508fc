import { EngineError } from '../engine.ts'

interface Turn {
  /** Settles when the job may run, or has left. */
  ready: Promise<void>
  /** Jobs ahead at the time of entering. */
  position: number
  leave: () => void
}

/** Lets `maxRunning` jobs run and `maxWaiting` wait, first come first served. */
export class Turnstile {
  readonly #maxRunning: number
  readonly #maxWaiting: number
  #numRunning = 0
  readonly #waiting: (() => void)[] = []

  constructor(maxRunning: number, maxWaiting: number) {
    this.#maxRunning = maxRunning
    this.#maxWaiting = maxWaiting
  }

  counts() {
    return { running: this.#numRunning, waiting: this.#waiting.length }
  }

  /** @throws EngineError `busy` when the queue is full */
  enter(): Turn {
    let state: 'waiting' | 'running' | 'left' = 'waiting'
    const { promise: ready, resolve } = Promise.withResolvers<void>()
    const run = () => {
      state = 'running'
      this.#numRunning++
      resolve()
    }
    const leave = () => {
      if (state === 'waiting') this.#waiting.splice(this.#waiting.indexOf(run), 1)
      if (state === 'running') {
        this.#numRunning--
        this.#waiting.shift()?.()
      }
      state = 'left'
      resolve()
    }
    const position = this.#waiting.length
    if (this.#numRunning < this.#maxRunning) run()
    else if (position < this.#maxWaiting) this.#waiting.push(run)
    else {
      throw new EngineError({
        kind: 'busy',
        message: `The queue is full: ${position} requests are waiting already.`,
        retryAfterMs: 1500,
      })
    }
    return { ready, position, leave }
  }
}
